/** Those who connect: good clients of ours, and raw ones that misbehave. Each is one connection from beginning to end. */
import { WebSocketClient, type WebSocket } from "@effect-websocket/platform"
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import { Effect } from "effect"
import { randomBytes, randomInt } from "node:crypto"
import * as Net from "node:net"

export interface Counts {
  connections: number
  echoes: number
  bytes: number
  slowReaders: number
  garbage: number
  abruptEnds: number
  /** Echoes that were wrong or missing, and good connections that did not end well. */
  readonly failures: Array<string>
}

export const noCounts = (): Counts => ({
  connections: 0,
  echoes: 0,
  bytes: 0,
  slowReaders: 0,
  garbage: 0,
  abruptEnds: 0,
  failures: []
})

const sizes = [0, 1, 125, 126, 1000, 5000, 65_535, 65_536, 200_000] as const

const randomMessage = (): string | Uint8Array => {
  const size = sizes[Math.floor(randomInt(sizes.length * sizes.length) / sizes.length)] ?? 0
  const bytes = randomBytes(Math.floor(size / 2))
  return randomInt(2) === 0 ? bytes.toString("hex") : Uint8Array.from(bytes)
}

const isSame = (a: string | Uint8Array, b: string | Uint8Array): boolean =>
  typeof a === "string" || typeof b === "string" ? a === b : Buffer.compare(a, b) === 0

/** Sends some messages at once, and checks that they come back, in order. */
const burst = (socket: WebSocket.WebSocket, counts: Counts): Effect.Effect<void, ConnectionError> =>
  Effect.gen(function* () {
    const sent = Array.from({ length: 1 + randomInt(8) }, randomMessage)
    const receiving = Effect.forEach(sent, (message) =>
      Effect.map(socket.receive, ({ data }) => {
        counts.echoes++
        counts.bytes += data.length
        if (!isSame(data, message)) counts.failures.push(`an echo of ${message.length} is another one`)
      })
    )
    yield* Effect.all([Effect.forEach(sent, (message) => socket.send(message)), receiving], {
      concurrency: "unbounded"
    })
  })

/** A client of ours. Some end in the middle of it all. */
export const client = (
  url: string,
  counts: Counts,
  {
    compression,
    end,
    pause
  }: { readonly compression: boolean; readonly end: number; readonly pause: Effect.Effect<void> }
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(url, { compression })
      counts.connections++
      const abrupt = randomInt(10) === 0
      for (let bursts = 1 + randomInt(6); bursts > 0 && Date.now() < end; bursts--) {
        yield* burst(socket, counts)
        if (randomInt(4) === 0) yield* socket.ping()
        yield* pause
      }
      if (abrupt) {
        counts.abruptEnds++
        yield* socket.send(randomMessage())
        yield* socket.abort
        return
      }
      yield* socket.close(1000)
      const { clean } = yield* socket.closeStatus
      if (!clean) counts.failures.push("a connection did not end clean")
    })
  ).pipe(Effect.catchAll((error) => Effect.sync(() => counts.failures.push(`${error._tag}: ${error.message}`))))

const request = [
  "GET / HTTP/1.1",
  "Host: 127.0.0.1",
  "Upgrade: websocket",
  "Connection: Upgrade",
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version: 13",
  "\r\n"
].join("\r\n")

/** A binary frame of a client with a mask of zeros. */
const frame = (size: number): Buffer =>
  Buffer.concat([Buffer.from([0x82, 0xfe, size >> 8, size & 255, 0, 0, 0, 0]), Buffer.alloc(size)])

const raw = (port: number, use: (socket: Net.Socket) => void, millis: number): Effect.Effect<void> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const socket = Net.connect(port, "127.0.0.1", () => use(socket))
      // A server that drops it is what it is there for.
      socket.on("error", () => {})
      return socket
    }),
    () => Effect.sleep(millis),
    (socket) =>
      Effect.async<void>((resume) => {
        if (socket.closed) {
          resume(Effect.void)
          return
        }
        socket.once("close", () => resume(Effect.void))
        socket.destroy()
      })
  )

/** Asks for much, and reads nothing. */
export const slowReader = (port: number, counts: Counts): Effect.Effect<void> =>
  Effect.suspend(() => {
    counts.slowReaders++
    return raw(
      port,
      (socket) => {
        socket.pause()
        socket.write(request)
        for (let count = 0; count < 40; count++) socket.write(frame(50_000))
      },
      500 + randomInt(3000)
    )
  })

/** Sends bytes that mean nothing, in place of a handshake or behind it, or half of either. */
export const garbage = (port: number, counts: Counts): Effect.Effect<void> =>
  Effect.suspend(() => {
    counts.garbage++
    const kind = randomInt(4)
    return raw(
      port,
      (socket) => {
        socket.resume()
        if (kind === 0) socket.write(randomBytes(randomInt(2000)))
        else if (kind === 1) socket.write(request.slice(0, randomInt(request.length)))
        else if (kind === 2) socket.write(Buffer.concat([Buffer.from(request), randomBytes(randomInt(2000))]))
        else socket.write(Buffer.concat([Buffer.from(request), frame(1000).subarray(0, randomInt(900))]))
      },
      randomInt(1500)
    )
  })
