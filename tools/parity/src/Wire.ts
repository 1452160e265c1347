/** The other end of a socket, byte by byte: it knows the format of RFC 6455 by itself. */
import { Effect, type Scope } from "effect"
import { createHash } from "node:crypto"
import { once } from "node:events"
import * as Net from "node:net"

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

/** The accept value, without this library. */
export const accept = (key: string): string =>
  createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")

/** A frame as it came over the wire: its first byte and its payload, unmasked; and whether it was masked. */
export interface WireFrame {
  readonly first: number
  readonly masked: boolean
  readonly key: Uint8Array
  readonly payload: Uint8Array
}

/** The bytes of a frame of at most 65,535 bytes; masked with a key if there is one. */
export const frameBytes = (first: number, data: string | Uint8Array, key?: ReadonlyArray<number>): Uint8Array => {
  const payload = typeof data === "string" ? utf8(data) : data
  const mask = key === undefined ? 0 : 0x80
  const size = payload.length < 126 ? [mask | payload.length] : [mask | 126, payload.length >> 8, payload.length & 255]
  const masked = key === undefined ? payload : payload.map((byte, i) => byte ^ key[i % 4]!)
  return Uint8Array.from([first, ...size, ...(key ?? []), ...masked])
}

/** The payload of a Close. */
export const closePayload = (code: number, reason = ""): Uint8Array =>
  Uint8Array.from([code >> 8, code & 255, ...utf8(reason)])

export class Wire {
  readonly socket: Net.Socket
  private buffer = Buffer.alloc(0)
  private ended = false
  private wake = (): void => {}

  constructor(socket: Net.Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on("data", this.onData)
    for (const event of ["end", "close", "error"]) socket.on(event, this.onEnd)
  }

  private readonly onData = (chunk: Buffer): void => {
    this.buffer = Buffer.concat([this.buffer, chunk])
    this.wake()
  }

  private readonly onEnd = (): void => {
    this.ended = true
    this.wake()
  }

  /** Gives the socket away: paused, without a listener, and with what was read and not taken. */
  release(): { readonly socket: Net.Socket; readonly head: Uint8Array } {
    const { socket } = this
    socket.pause()
    socket.off("data", this.onData)
    for (const event of ["end", "close", "error"]) socket.off(event, this.onEnd)
    return { socket, head: this.take(this.buffer.length) }
  }

  write(bytes: string | Uint8Array): void {
    this.socket.write(bytes)
  }

  /** Writes, and sends no more. */
  end(bytes: string | Uint8Array): void {
    this.socket.end(bytes)
  }

  /** Waits until there are so many bytes, or more; fails if the peer ends before that. */
  private atLeast(size: number): Effect.Effect<void, Error> {
    return this.until(() => this.buffer.length >= size)
  }

  private until(isThere: () => boolean): Effect.Effect<void, Error> {
    return Effect.async((resume) => {
      this.wake = () => {
        if (isThere()) resume(Effect.void)
        else if (this.ended) resume(Effect.fail(new Error("The peer has ended the connection")))
      }
      this.wake()
    })
  }

  private take(size: number): Uint8Array {
    const taken = Uint8Array.from(this.buffer.subarray(0, size))
    this.buffer = this.buffer.subarray(size)
    return taken
  }

  private exactly(size: number): Effect.Effect<Uint8Array, Error> {
    return Effect.map(this.atLeast(size), () => this.take(size))
  }

  /** The head of an HTTP message, without its last empty line. */
  readonly head: Effect.Effect<string, Error> = Effect.suspend(() =>
    Effect.map(
      this.until(() => this.buffer.includes("\r\n\r\n")),
      () => {
        const head = Buffer.from(this.take(this.buffer.indexOf("\r\n\r\n"))).toString("latin1")
        this.take(4)
        return head
      }
    )
  )

  /** The next frame. */
  readonly frame: Effect.Effect<WireFrame, Error> = Effect.gen(this, function* () {
    const [first = 0, second = 0] = yield* this.exactly(2)
    const masked = (second & 0x80) !== 0
    let size = second & 0x7f
    if (size > 125) {
      const long = yield* this.exactly(size === 126 ? 2 : 8)
      size = long.reduce((sum, byte) => sum * 256 + byte, 0)
    }
    const key = yield* this.exactly(masked ? 4 : 0)
    const payload = yield* this.exactly(size)
    return { first, masked, key, payload: masked ? payload.map((byte, i) => byte ^ key[i % 4]!) : payload }
  })

  /** Everything up to the end of what the peer sends. */
  readonly rest: Effect.Effect<string, Error> = Effect.suspend(() =>
    Effect.map(
      this.until(() => this.ended),
      () => Buffer.from(this.take(this.buffer.length)).toString("latin1")
    )
  )
}

/** The value of a header in a head. */
export const header = (head: string, name: string): string | undefined =>
  head
    .split("\r\n")
    .find((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}:`))
    ?.slice(name.length + 1)
    .trim()

const release = (socket: Net.Socket) => Effect.sync(() => socket.destroy())

/** A TCP server on a loopback address, or on the path of a Unix socket, whose connections are handed over one by one. */
export const listen = (
  at: "127.0.0.1" | "::1" | { readonly path: string } = "127.0.0.1"
): Effect.Effect<
  { readonly url: string; readonly port: number; readonly next: Effect.Effect<Wire, never, Scope.Scope> },
  never,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const wires: Array<Wire> = []
    let wake = (): void => {}
    const server = Net.createServer((socket) => {
      wires.push(new Wire(socket))
      wake()
    })
    yield* Effect.promise(() => {
      if (typeof at === "string") server.listen(0, at)
      else server.listen(at)
      return once(server, "listening")
    })
    yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    const next = Effect.acquireRelease(
      Effect.async<Wire>((resume) => {
        wake = () => {
          const wire = wires.shift()
          if (wire === undefined) return
          wake = () => {}
          resume(Effect.succeed(wire))
        }
        wake()
      }),
      ({ socket }) => release(socket)
    )
    return { url: `ws://${at === "::1" ? "[::1]" : "127.0.0.1"}:${port}`, port, next }
  })

/** A TCP connection to a port or the path of a Unix socket. */
export const dial = (to: number | string): Effect.Effect<Wire, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => (typeof to === "number" ? Net.connect(to, "127.0.0.1") : Net.connect(to))),
      release
    ),
    (socket) => new Wire(socket)
  )

export const key = "dGhlIHNhbXBsZSBub25jZQ=="

/** An upgrade request, with further header lines. */
export const upgradeRequest = (path = "/", ...lines: ReadonlyArray<string>): string =>
  [
    `GET ${path} HTTP/1.1`,
    "Host: 127.0.0.1",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Key: ${key}`,
    "Sec-WebSocket-Version: 13",
    ...lines,
    "",
    ""
  ].join("\r\n")

/** Reads an upgrade request, answers 101 with further header lines, and returns the head of the request. */
export const answer = (wire: Wire, ...lines: ReadonlyArray<string>): Effect.Effect<string, Error> =>
  Effect.tap(wire.head, (head) =>
    Effect.sync(() =>
      wire.write(
        [
          "HTTP/1.1 101 Switching Protocols",
          "Upgrade: websocket",
          "Connection: Upgrade",
          `Sec-WebSocket-Accept: ${accept(header(head, "Sec-WebSocket-Key") ?? "")}`,
          ...lines,
          "",
          ""
        ].join("\r\n")
      )
    )
  )
