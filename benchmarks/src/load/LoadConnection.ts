/** A raw socket that performs the handshake and counts the messages that it receives. It checks nothing else. */
import { connect, type Socket } from "node:net"
import { MessageCounter } from "./MessageCounter.js"
import type { Peer } from "./Peer.js"

// All sockets of the process read into this buffer, so that reading is cheap.
const shared = Buffer.allocUnsafe(256 * 1024)

const request = (port: number, path: string, compressed: boolean): string =>
  [
    `GET ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    ...(compressed ? ["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"] : []),
    "",
    ""
  ].join("\r\n")

export class LoadConnection implements Peer {
  onMessages: (count: number) => void = () => {}
  /** Resolves with the head of the 101. */
  readonly opened: Promise<string>
  readonly closed: Promise<void>

  private readonly socket: Socket
  private readonly counter = new MessageCounter()
  private head = ""
  private open = false

  constructor(port: number, compressed: boolean, path = "/") {
    let onOpen: (head: string) => void = () => {}
    let onFail: (error: Error) => void = () => {}
    this.opened = new Promise((resolve, reject) => {
      onOpen = resolve
      onFail = reject
    })
    this.onOpen = onOpen
    this.socket = connect({
      port,
      host: "127.0.0.1",
      noDelay: true,
      onread: {
        buffer: shared,
        callback: (count: number) => {
          this.receive(shared, count)
          return true
        }
      }
    })
    this.socket.on("connect", () => this.socket.write(request(port, path, compressed)))
    this.socket.on("error", onFail)
    this.closed = new Promise((resolve) => this.socket.once("close", () => resolve()))
    void this.closed.then(() => onFail(new Error("closed")))
    // Possibly nothing waits for this promise any more.
    this.opened.catch(() => {})
  }

  private readonly onOpen: (head: string) => void

  write(bytes: Uint8Array, written?: () => void): void {
    this.socket.write(bytes, written)
  }

  end(): void {
    this.socket.destroy()
  }

  private count(bytes: Buffer, end: number): void {
    const messages = this.counter.count(bytes, end)
    if (messages > 0) this.onMessages(messages)
  }

  private receive(bytes: Buffer, end: number): void {
    if (this.open) {
      this.count(bytes, end)
      return
    }
    this.head += bytes.toString("latin1", 0, end)
    const headEnd = this.head.indexOf("\r\n\r\n")
    if (headEnd < 0) return
    this.open = this.head.startsWith("HTTP/1.1 101")
    if (!this.open) {
      this.socket.destroy(new Error(this.head))
      return
    }
    const rest = Buffer.from(this.head.slice(headEnd + 4), "latin1")
    this.onOpen(this.head.slice(0, headEnd))
    if (rest.length > 0) this.count(rest, rest.length)
  }
}
