/** A raw socket that shakes hands, counts the messages that it receives, and looks at nothing else. */
import { connect, type Socket } from "node:net"

const empty = Buffer.alloc(0)
// All sockets of the process read into this one, so that reading costs little.
const shared = Buffer.allocUnsafe(256 * 1024)

const request = (port: number, compressed: boolean): string =>
  [
    "GET / HTTP/1.1",
    `Host: 127.0.0.1:${port}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    ...(compressed ? ["Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"] : []),
    "",
    ""
  ].join("\r\n")

export class LoadConnection {
  /** Called with the number of messages that a chunk completed. */
  onMessages: (count: number) => void = () => {}
  /** Resolves with the head of the answer 101. */
  readonly opened: Promise<string>
  readonly closed: Promise<void>
  outstanding = 0

  private readonly socket: Socket
  private head = ""
  private open = false
  // A header that straddles chunks, and what is left of the frame behind it.
  private held = empty
  private remaining = 0
  private final = false

  constructor(port: number, compressed: boolean) {
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
    this.socket.on("connect", () => this.socket.write(request(port, compressed)))
    this.socket.on("error", onFail)
    this.closed = new Promise((resolve) => this.socket.once("close", () => resolve()))
    void this.closed.then(() => onFail(new Error("closed")))
    // Nobody may be waiting for it any more.
    this.opened.catch(() => {})
  }

  private readonly onOpen: (head: string) => void

  write(bytes: Uint8Array): void {
    this.socket.write(bytes)
  }

  end(): void {
    this.socket.destroy()
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

  private count(chunk: Buffer, chunkEnd: number): void {
    let bytes = chunk
    let end = chunkEnd
    let position = 0
    if (this.held.length > 0) {
      bytes = Buffer.concat([this.held, chunk.subarray(0, chunkEnd)])
      end = bytes.length
      this.held = empty
    }
    let messages = 0
    while (position < end) {
      if (this.remaining === 0) {
        const header = readHeader(bytes, position, end)
        if (header < 0) {
          this.held = Buffer.from(bytes.subarray(position, end))
          break
        }
        const first = bytes[position]!
        this.final = (first & 0x80) !== 0 && (first & 8) === 0
        position += header
        this.remaining = payloadBytes
      }
      const part = Math.min(this.remaining, end - position)
      this.remaining -= part
      position += part
      if (this.remaining === 0 && this.final) messages++
    }
    if (messages > 0) this.onMessages(messages)
  }
}

// The size of the payload behind the header that was read last.
let payloadBytes = 0

/** The size of the header, or -1 where it is not whole. Masked ones come from a server that sends back what it got. */
const readHeader = (bytes: Buffer, start: number, end: number): number => {
  if (end - start < 2) return -1
  const second = bytes[start + 1]!
  const short = second & 0x7f
  const size = (short < 126 ? 2 : short === 126 ? 4 : 10) + (second < 0x80 ? 0 : 4)
  if (end - start < size) return -1
  payloadBytes =
    short < 126
      ? short
      : short === 126
        ? bytes.readUInt16BE(start + 2)
        : bytes.readUInt32BE(start + 2) * 2 ** 32 + bytes.readUInt32BE(start + 6)
  return size
}
