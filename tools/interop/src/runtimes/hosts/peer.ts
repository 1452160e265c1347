/** A client that is only a socket, for what no good client does. */
import { Effect, type Scope } from "effect"
import { connect, type Socket } from "node:net"

const key = "dGhlIHNhbXBsZSBub25jZQ=="

/** A masked frame with a short payload. The mask is zero. */
export const frame = (opcode: number, payload: Uint8Array = new Uint8Array(0)): Uint8Array =>
  Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | payload.length, 0, 0, 0, 0]), payload])

export const text = (data: string): Uint8Array => frame(1, Buffer.from(data))

/** A Close with a code. */
export const close = (code: number): Uint8Array => frame(8, Buffer.from([code >> 8, code & 0xff]))

/** A masked binary message of zeros, without its last bytes. The mask is zero, too. */
export const zeros = (length: number, missing = 0): Uint8Array => {
  const bytes = Buffer.alloc((length < 65_536 ? 8 : 14) + length - missing)
  bytes.set([0x82, length < 65_536 ? 0xfe : 0xff])
  if (length < 65_536) bytes.writeUInt16BE(length, 2)
  else bytes.writeBigUInt64BE(BigInt(length), 2)
  return bytes
}

/** A frame of a server. */
export interface Frame {
  readonly opcode: number
  readonly payload: Buffer
}

export interface Peer {
  readonly socket: Socket
  readonly write: (...parts: ReadonlyArray<string | Uint8Array>) => void
  /** Everything that arrived. */
  readonly received: () => string
  /** The frames that arrived behind the answer to the handshake. */
  readonly frames: () => ReadonlyArray<Frame>
  /** The code of the Close that arrived; 1005 for one without a code. */
  readonly closeCode: () => number | undefined
  /** Whether TCP has ended, in one way or another. */
  readonly hasEnded: () => boolean
  /** Waits until something holds of what arrived, or of how TCP ended. */
  readonly when: (holds: () => boolean) => Effect.Effect<void>
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

/** The whole frames behind the answer to the handshake. Those of a server have no mask. */
const framesIn = (received: string): ReadonlyArray<Frame> => {
  const head = received.indexOf("\r\n\r\n")
  const bytes = Buffer.from(head === -1 ? "" : received.slice(head + 4), "latin1")
  const frames: Array<Frame> = []
  let at = 0
  while (at + 2 <= bytes.length) {
    const short = bytes.readUInt8(at + 1) & 0x7f
    const wide = short === 126 ? 2 : short === 127 ? 8 : 0
    if (at + 2 + wide > bytes.length) break
    const start = at + 2 + wide
    const length = wide === 0 ? short : bytes.readUIntBE(start - Math.min(wide, 6), Math.min(wide, 6))
    if (start + length > bytes.length) break
    frames.push({ opcode: bytes.readUInt8(at) & 0x0f, payload: bytes.subarray(start, start + length) })
    at = start + length
  }
  return frames
}

const codeIn = (frames: ReadonlyArray<Frame>): number | undefined => {
  const payload = frames.find(({ opcode }) => opcode === 8)?.payload
  return payload === undefined || payload.length >= 2 ? payload?.readUInt16BE(0) : 1005
}

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
    let ended = false
    let closed = false
    const lookers = new Set<() => void>()
    const look = (): void => {
      for (const looker of lookers) looker()
    }
    socket.on("data", (chunk: Buffer) => {
      received += chunk.toString("latin1")
      look()
    })
    socket.on("end", () => {
      ended = true
      look()
    })
    socket.on("close", () => {
      ended = true
      closed = true
      look()
    })
    const when = (holds: () => boolean) =>
      Effect.async<void>((resume) => {
        const looker = (): void => {
          if (!holds()) return
          lookers.delete(looker)
          resume(Effect.void)
        }
        lookers.add(looker)
        looker()
        return Effect.sync(() => lookers.delete(looker))
      })
    const frames = (): ReadonlyArray<Frame> => framesIn(received)
    return {
      socket,
      write: (...parts) => void socket.write(Buffer.concat(parts.map((part) => Buffer.from(part)))),
      received: () => received,
      frames,
      closeCode: () => codeIn(frames()),
      hasEnded: () => ended,
      when,
      until: (text) => when(() => received.includes(text)),
      closed: when(() => closed)
    }
  })
