/**
 * Round trips with `ws` and `undici` under everything that can be agreed on. `INTEROP_MESSAGES=1000` makes it 1,000 messages
 * each.
 */
import type { Options } from "@effect-websocket/platform/WebSocket"
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { WebSocket as UndiciWebSocket } from "undici"
import { type PerMessageDeflateOptions, WebSocket as WsClient, WebSocketServer as WsServer } from "ws"
import { Effect } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { connect, noHandlesLeft, serveEcho } from "./support.js"

afterEach(noHandlesLeft)

const count = Number(process.env["INTEROP_MESSAGES"] ?? 8)
const timeout = 20_000 + count * 1000

type Data = string | Buffer

/** The same messages every time: small and large, alike and random. */
const messages = (): ReadonlyArray<Data> => {
  let state = 20_26
  const next = (max: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state % max
  }
  const words = ["price", "volume", "état", "用户", "order", "🎉", "null", "true"]
  const json = (size: number) => {
    const items: Array<unknown> = []
    for (let length = 0; length < size; length += 40) {
      items.push({ id: next(1e6), word: words[next(words.length)], more: words[next(words.length)] })
    }
    return JSON.stringify(items)
  }
  return Array.from({ length: count }, (_, i): Data => {
    const size = i % 8 === 5 ? 70_000 : i % 4 === 3 ? next(20_000) : next(1500)
    return i % 3 === 2 ? Buffer.from(Array.from({ length: size }, () => next(i % 2 === 0 ? 256 : 4))) : json(size)
  })
}

const assertSame = (actual: unknown, expected: Data, message: string) => {
  const bytes = Buffer.from(actual as Uint8Array)
  assert.strictEqual(typeof actual, typeof expected, message)
  assert.strictEqual(Buffer.compare(bytes, Buffer.from(expected as string)), 0, message)
}

interface Combination {
  readonly bits: number
  readonly serverNoContextTakeover: boolean
  readonly clientNoContextTakeover: boolean
  readonly fragmented: boolean
}

const takeovers = [
  [false, false],
  [false, true],
  [true, false],
  [true, true]
] as const

const combinations = (serverNoContextTakeover: boolean, clientNoContextTakeover: boolean): ReadonlyArray<Combination> =>
  [9, 10, 11, 12, 13, 14, 15].flatMap((bits) =>
    [false, true].map((fragmented) => ({ bits, serverNoContextTakeover, clientNoContextTakeover, fragmented }))
  )

const title = (server: boolean, client: boolean) =>
  `context takeover ${server ? "not" : ""} by the server, ${client ? "not" : ""} by the client`.replaceAll("  ", " ")

const wsOptions = ({
  bits,
  clientNoContextTakeover,
  serverNoContextTakeover
}: Combination): PerMessageDeflateOptions => ({
  threshold: 0,
  serverMaxWindowBits: bits,
  clientMaxWindowBits: bits,
  // To `ws`, `false` forbids it.
  ...(serverNoContextTakeover ? { serverNoContextTakeover } : {}),
  ...(clientNoContextTakeover ? { clientNoContextTakeover } : {})
})

const options = ({ bits, clientNoContextTakeover, serverNoContextTakeover }: Combination) =>
  ({
    threshold: 0,
    serverMaxWindowBits: bits,
    clientMaxWindowBits: bits,
    serverNoContextTakeover,
    clientNoContextTakeover
  }) as const

const fragment = (combination: Combination): Options => ({
  maxFrameSize: combination.fragmented ? 500 : undefined
})

const wsSend = (socket: WsClient, data: Data, fragmented: boolean): void => {
  if (!fragmented || data.length < 3) return socket.send(data)
  const cut = Math.floor(data.length / 3)
  // Not inside a pair of surrogates.
  const middle = typeof data === "string" && /[\udc00-\udfff]/.test(data.charAt(cut)) ? cut + 1 : cut
  socket.send(data.slice(0, middle), { fin: false })
  socket.send(data.slice(middle), { fin: true })
}

/** Sends everything and waits until everything has come back. */
const echoed = (
  expected: ReadonlyArray<Data>,
  send: (data: Data) => void,
  listen: (take: (data: unknown) => void, fail: (error: unknown) => void) => void,
  message: string
): Effect.Effect<void> =>
  Effect.promise(
    () =>
      new Promise<void>((resolve, reject) => {
        let received = 0
        listen((data) => {
          try {
            assertSame(data, expected[received]!, `${message}, message ${received}`)
          } catch (error) {
            reject(error)
          }
          received++
          if (received === expected.length) resolve()
        }, reject)
        for (const data of expected) send(data)
      })
  )

const parametersOf = (combination: Combination): Array<string> => [
  ...(combination.serverNoContextTakeover ? ["server_no_context_takeover"] : []),
  ...(combination.clientNoContextTakeover ? ["client_no_context_takeover"] : []),
  `server_max_window_bits=${combination.bits}`,
  `client_max_window_bits=${combination.bits}`
]

const all = messages()

describe("our server and a client of ws", () => {
  for (const [server, client] of takeovers) {
    it.live(
      title(server, client),
      () =>
        Effect.gen(function* () {
          for (const combination of combinations(server, client)) {
            const label = JSON.stringify(combination)
            yield* Effect.gen(function* () {
              const { address } = yield* serveEcho({
                ...fragment(combination),
                compression: { threshold: 0, serverMaxWindowBits: 15, clientMaxWindowBits: 15 }
              })
              const socket = new WsClient(address.url, { perMessageDeflate: wsOptions(combination) })
              let answer: string | undefined
              socket.on("upgrade", ({ headers }) => {
                answer = headers["sec-websocket-extensions"]
              })
              yield* Effect.promise(() => once(socket, "open"))
              assert.strictEqual(answer, ["permessage-deflate", ...parametersOf(combination)].join("; "))
              yield* echoed(
                all,
                (data) => wsSend(socket, data, combination.fragmented),
                (take, fail) => {
                  socket.on("message", (data: Buffer, binary) => take(binary ? data : data.toString()))
                  socket.on("error", fail)
                  socket.on("close", fail)
                },
                label
              )
              socket.removeAllListeners("close")
              socket.close()
              yield* Effect.promise(() => once(socket, "close"))
            }).pipe(Effect.scoped)
          }
        }),
      timeout
    )
  }
})

describe("our client and a server of ws", () => {
  for (const [server, client] of takeovers) {
    it.live(
      title(server, client),
      () =>
        Effect.gen(function* () {
          for (const combination of combinations(server, client)) {
            const label = JSON.stringify(combination)
            yield* Effect.gen(function* () {
              const wsServer = yield* Effect.acquireRelease(
                Effect.sync(
                  () => new WsServer({ port: 0, host: "127.0.0.1", perMessageDeflate: wsOptions(combination) })
                ),
                (wsServer) => Effect.callback<void>((resume) => wsServer.close(() => resume(Effect.void)))
              )
              yield* Effect.promise(() => once(wsServer, "listening"))
              wsServer.on("connection", (socket) =>
                socket.on("message", (data: Buffer, binary) =>
                  wsSend(socket, binary ? data : data.toString(), combination.fragmented)
                )
              )
              const { port } = wsServer.address() as AddressInfo
              const socket = yield* connect(`ws://127.0.0.1:${port}`, {
                ...fragment(combination),
                compression: options(combination)
              })
              assert.sameMembers(
                socket.extensions[0]?.parameters.map(([key, value]) => (value === true ? key : `${key}=${value}`)) ??
                  [],
                parametersOf(combination)
              )
              yield* Effect.forkChild(Effect.forEach(all, (data) => socket.send(data)))
              for (const [i, data] of all.entries()) {
                const received = (yield* socket.receive).data
                assertSame(received, data, `${label}, message ${i}`)
              }
              yield* socket.close()
            }).pipe(Effect.scoped)
          }
        }),
      timeout
    )
  }
})

describe("our server and a client of undici", () => {
  for (const [server, client] of takeovers) {
    it.live(
      title(server, client),
      () =>
        Effect.gen(function* () {
          for (const combination of combinations(server, client)) {
            const { address } = yield* serveEcho({ ...fragment(combination), compression: options(combination) })
            const socket = new UndiciWebSocket(address.url)
            socket.binaryType = "arraybuffer"
            yield* Effect.promise(
              () => new Promise((resolve) => socket.addEventListener("open", resolve, { once: true }))
            )
            assert.include(socket.extensions, "permessage-deflate")
            yield* echoed(
              all,
              (data) => socket.send(data),
              (take, fail) => {
                socket.addEventListener("message", ({ data }) =>
                  take(typeof data === "string" ? data : Buffer.from(data as ArrayBuffer))
                )
                socket.addEventListener("error", fail)
              },
              JSON.stringify(combination)
            )
            const closed = new Promise((resolve) => socket.addEventListener("close", resolve, { once: true }))
            socket.close()
            yield* Effect.promise(() => closed)
          }
        }),
      timeout
    )
  }
})
