/** A client that is only a socket, for what no good client does. */
import { Effect, type Scope } from "effect"
import { connect, type Socket } from "node:net"

const key = "dGhlIHNhbXBsZSBub25jZQ=="

/** A masked frame with a short payload. The mask is zero. */
export const frame = (opcode: number, payload: Uint8Array = new Uint8Array(0)): Uint8Array =>
  Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0]), payload])

export const text = (data: string): Uint8Array => frame(1, Buffer.from(data))

export interface Peer {
  readonly socket: Socket
  readonly write: (...parts: ReadonlyArray<string | Uint8Array>) => void
  /** Everything that arrived. */
  readonly received: () => string
  /** Waits until what arrived has a text. */
  readonly until: (text: string) => Effect.Effect<void>
  readonly closed: Effect.Effect<void>
}

/** The request of a handshake. */
export const handshake = (url: URL, ...lines: ReadonlyArray<string>): string =>
  [
    `GET ${url.pathname}${url.search} HTTP/1.1`,
    `Host: ${url.host}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Key: ${key}`,
    ...lines,
    "",
    ""
  ].join("\r\n")

export const open = (url: URL): Effect.Effect<Peer, Error, Scope.Scope> =>
  Effect.gen(function* () {
    const socket = yield* Effect.acquireRelease(
      Effect.async<Socket, Error>((resume) => {
        const socket: Socket = connect(Number(url.port), url.hostname, () => resume(Effect.succeed(socket)))
        socket.on("error", (error) => resume(Effect.fail(error)))
      }),
      (socket) => Effect.sync(() => socket.destroy())
    )
    let received = ""
    let look = (): void => {}
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1")
      look()
    })
    return {
      socket,
      write: (...parts) => void socket.write(Buffer.concat(parts.map((part) => Buffer.from(part)))),
      received: () => received,
      until: (text) =>
        Effect.async<void>((resume) => {
          look = () => {
            if (!received.includes(text)) return
            look = () => {}
            resume(Effect.void)
          }
          look()
        }),
      closed: Effect.async<void>((resume) => {
        if (socket.destroyed) resume(Effect.void)
        else socket.once("close", () => resume(Effect.void))
      })
    }
  })
