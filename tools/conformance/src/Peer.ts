/** The other side of the endpoint under test: a TCP socket, without any WebSocket library. */
import * as Net from "node:net"
import type { Head } from "./Clause.js"
import { decode, type Received } from "./Frame.js"

/** Says what an endpoint did not do in time. No case depends on the deadline: it only ends cases that fail. */
export class NoAnswer extends Error {}

const deadline = 10_000

export class Peer {
  private readonly socket: Net.Socket
  private bytes = Buffer.alloc(0)
  private over = false
  private wake: (() => void) | undefined = undefined

  constructor(socket: Net.Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    const end = () => {
      this.over = true
      this.wake?.()
    }
    socket.on("data", (chunk) => {
      this.bytes = Buffer.concat([this.bytes, chunk])
      this.wake?.()
    })
    socket.on("end", end)
    socket.on("close", end)
    // Here, a reset counts as a normal end.
    socket.on("error", end)
  }

  write(bytes: Uint8Array | string): void {
    if (this.socket.writable) this.socket.write(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes)
  }

  end(): void {
    this.socket.end()
  }

  destroy(): void {
    this.socket.destroy()
  }

  /** The head of a request or an answer, or `undefined` if the other side ends before it. */
  async head(): Promise<Head | undefined> {
    const text = await this.until("a head", () => {
      const index = this.bytes.indexOf("\r\n\r\n")
      return index < 0 ? undefined : this.take(index + 4).toString("latin1")
    })
    if (text === undefined) return undefined
    const [line = "", ...rest] = text.slice(0, -4).split("\r\n")
    return {
      line,
      headers: rest.map((field) => {
        const colon = field.indexOf(":")
        return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()]
      })
    }
  }

  /** The next frame, or `undefined` at the end. */
  frame(): Promise<Received | undefined> {
    return this.until("a frame or the end", () => {
      const frame = decode(this.bytes)
      if (frame !== undefined) this.take(frame.size)
      return frame
    })
  }

  /** Waits until the other side ends its output. */
  async ended(): Promise<void> {
    await this.until("the end", () => {
      this.bytes = Buffer.alloc(0)
      return undefined
    })
  }

  private take(size: number): Buffer {
    const taken = this.bytes.subarray(0, size)
    this.bytes = this.bytes.subarray(size)
    return taken
  }

  private async until<A>(what: string, look: () => A | undefined): Promise<A | undefined> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new NoAnswer(`waited in vain for ${what}`)), deadline)
    })
    try {
      for (;;) {
        const found = look()
        if (found !== undefined || this.over) return found
        await Promise.race([new Promise<void>((resolve) => (this.wake = resolve)), late])
      }
    } finally {
      clearTimeout(timer)
    }
  }
}

/** A peer that is connected to a server. */
export const connect = (url: URL): Promise<Peer> =>
  new Promise((resolve, reject) => {
    const socket = Net.connect({
      host: url.hostname,
      port: Number(url.port === "" ? 80 : url.port),
      allowHalfOpen: true
    })
    socket.once("error", reject)
    socket.once("connect", () => {
      socket.off("error", reject)
      resolve(new Peer(socket))
    })
  })

export interface Listener {
  readonly port: number
  /** The next connection. */
  readonly accept: () => Promise<Peer>
  readonly close: () => Promise<void>
}

export const listen = async (port: number): Promise<Listener> => {
  const waiting: Array<Peer> = []
  const takers: Array<(peer: Peer) => void> = []
  const sockets = new Set<Net.Socket>()
  const server = Net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.once("close", () => sockets.delete(socket))
    const peer = new Peer(socket)
    const taker = takers.shift()
    if (taker === undefined) waiting.push(peer)
    else taker(peer)
  })
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, "127.0.0.1", resolve)
  })
  const address = server.address()
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    accept: () => {
      const peer = waiting.shift()
      return peer === undefined ? new Promise((resolve) => takers.push(resolve)) : Promise.resolve(peer)
    },
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy()
        server.close(() => resolve())
      })
  }
}
