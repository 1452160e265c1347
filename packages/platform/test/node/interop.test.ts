import { WebSocket as UndiciWebSocket } from "undici"
import { WebSocket as WsClient, WebSocketServer as WsServer } from "ws"
import { Effect, Fiber, Queue, Stream, type Scope } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { closedFacts, connect, facts, mebibyte, noHandlesLeft, serve, serveEcho } from "./support.js"

afterEach(noHandlesLeft)

type Data = string | Uint8Array

/** What a peer sees, in order. */
type Seen =
  | { readonly _tag: "Open"; readonly protocol: string }
  | { readonly _tag: "Message" | "Ping" | "Pong"; readonly data: Data }
  | { readonly _tag: "Close"; readonly code: number; readonly reason: string }

/** A WebSocket of another implementation. */
interface Foreign {
  readonly next: Effect.Effect<Seen>
  readonly send: (data: Data) => void
  readonly close: (code?: number, reason?: string) => void
}

const bytesOf = (data: unknown): Uint8Array =>
  data instanceof ArrayBuffer
    ? new Uint8Array(data)
    : Array.isArray(data)
      ? Uint8Array.from(Buffer.concat(data))
      : Uint8Array.from(data as Uint8Array)

const watchWs = (socket: WsClient): Effect.Effect<Foreign & { readonly socket: WsClient }> =>
  Effect.map(Queue.unbounded<Seen>(), (seen) => {
    const see = (event: Seen) => Queue.offerUnsafe(seen, event)
    socket.on("open", () => see({ _tag: "Open", protocol: socket.protocol }))
    socket.on("message", (data, binary) =>
      see({ _tag: "Message", data: binary ? bytesOf(data) : Buffer.from(bytesOf(data)).toString() })
    )
    socket.on("ping", (data) => see({ _tag: "Ping", data: bytesOf(data) }))
    socket.on("pong", (data) => see({ _tag: "Pong", data: bytesOf(data) }))
    socket.on("close", (code, reason) => see({ _tag: "Close", code, reason: reason.toString() }))
    return {
      socket,
      next: Queue.take(seen),
      send: (data) => socket.send(data),
      close: (code, reason) => socket.close(code, reason)
    }
  })

const wsClient = (url: string, protocols: Array<string> = []) =>
  Effect.flatMap(
    Effect.acquireRelease(
      Effect.sync(() => new WsClient(url, protocols)),
      (socket) => Effect.sync(() => socket.terminate())
    ),
    watchWs
  )

const undiciClient = (url: string, protocols: Array<string> = []): Effect.Effect<Foreign, never, Scope.Scope> =>
  Effect.map(Queue.unbounded<Seen>(), (seen) => {
    const socket = new UndiciWebSocket(url, protocols)
    socket.binaryType = "arraybuffer"
    const see = (event: Seen) => Queue.offerUnsafe(seen, event)
    socket.addEventListener("open", () => see({ _tag: "Open", protocol: socket.protocol }))
    socket.addEventListener("message", ({ data }) =>
      see({ _tag: "Message", data: typeof data === "string" ? data : bytesOf(data) })
    )
    socket.addEventListener("close", ({ code, reason }) => see({ _tag: "Close", code, reason }))
    return {
      next: Queue.take(seen),
      send: (data) => socket.send(data),
      close: (code, reason) => socket.close(code, reason)
    }
  })

/** An HTTP server of `ws` that hands its connections over. */
const wsServer = (options: { readonly protocol?: string } = {}) =>
  Effect.gen(function* () {
    const accepted = yield* Queue.unbounded<WsClient>()
    const { protocol } = options
    const server = yield* Effect.acquireRelease(
      Effect.callback<WsServer>((resume) => {
        const server: WsServer = new WsServer(
          {
            port: 0,
            host: "127.0.0.1",
            ...(protocol === undefined ? {} : { handleProtocols: () => protocol })
          },
          () => resume(Effect.succeed(server))
        )
        server.on("connection", (socket) => Queue.offerUnsafe(accepted, socket))
      }),
      (server) =>
        Effect.callback<void>((resume) => {
          for (const socket of server.clients) socket.terminate()
          server.close(() => resume(Effect.void))
        })
    )
    const address = server.address()
    if (address === null || typeof address === "string") return yield* Effect.die("no address")
    return { url: `ws://127.0.0.1:${address.port}`, accept: Effect.flatMap(Queue.take(accepted), watchWs) }
  })

const payloads: ReadonlyArray<readonly [name: string, data: Data]> = [
  ["text", "héllo, 世界 🎉"],
  ["empty text", ""],
  ["binary", new Uint8Array([0, 1, 127, 128, 255])],
  ["empty binary", new Uint8Array(0)],
  ["126 bytes", "x".repeat(126)],
  ["65,535 bytes", new Uint8Array(65535).fill(1)],
  ["65,536 bytes", new Uint8Array(65536).fill(2)],
  ["1 MiB of text", "é".repeat(mebibyte / 2)],
  ["1 MiB of bytes", new Uint8Array(mebibyte).fill(3)]
]

const assertSame = (actual: Data, expected: Data) => {
  if (typeof actual === "string" || typeof expected === "string") assert.strictEqual(actual, expected)
  else assert.strictEqual(Buffer.compare(actual, expected), 0)
}

describe.each([
  ["ws", wsClient],
  ["undici", undiciClient]
] as const)("our server and a client of %s", (_, client) => {
  it.live("echoes every kind of message", () =>
    Effect.gen(function* () {
      const { address } = yield* serveEcho()
      const peer = yield* client(address.url)
      assert.deepStrictEqual(yield* peer.next, { _tag: "Open", protocol: "" })
      for (const [, data] of payloads) peer.send(data)
      for (const [, data] of payloads) {
        const seen = yield* peer.next
        if (seen._tag !== "Message") return assert.fail(seen._tag)
        assertSame(seen.data, data)
      }
      peer.close(1000)
      assert.deepStrictEqual(yield* peer.next, { _tag: "Close", code: 1000, reason: "" })
    })
  )

  it.live("agrees on a subprotocol", () =>
    Effect.gen(function* () {
      const { address } = yield* serveEcho({ protocols: ["v2", "v1"] })
      const peer = yield* client(address.url, ["v1", "v2"])
      assert.deepStrictEqual(yield* peer.next, { _tag: "Open", protocol: "v2" })
      peer.close(1000)
      assert.strictEqual((yield* peer.next)._tag, "Close")
    })
  )

  it.live("closes first, with a code and a reason", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const peer = yield* client(server.address.url)
      const socket = yield* server.accept()
      yield* peer.next
      yield* socket.close(4001, "ça suffit")
      assert.deepStrictEqual(yield* peer.next, { _tag: "Close", code: 4001, reason: "ça suffit" })
      const status = yield* socket.closeStatus
      assert.isTrue(status.clean)
      assert.strictEqual(status.initiator, "local")
      assert.strictEqual(status.received?.code, 4001)
    })
  )

  it.live("is closed by the client, with and without a code and a reason", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      for (const [code, reason] of [
        [4002, "bye ✗"],
        [undefined, ""]
      ] as const) {
        const peer = yield* client(server.address.url)
        const socket = yield* server.accept()
        yield* peer.next
        if (code === undefined) peer.close()
        else peer.close(code, reason)
        assert.deepStrictEqual(
          facts(yield* Effect.flip(socket.receive)),
          closedFacts(code ?? 1005, "remote", true, reason)
        )
        const seen = yield* peer.next
        assert.strictEqual(seen._tag === "Close" && seen.code, code ?? 1005)
        assert.isTrue((yield* socket.closeStatus).clean)
      }
    })
  )
})

describe("our server and a client of ws", () => {
  it.live("joins fragments, with a ping between them", () =>
    Effect.gen(function* () {
      const { address } = yield* serveEcho()
      const { next, socket } = yield* wsClient(address.url)
      yield* next
      socket.send("one ", { fin: false })
      socket.ping("now")
      socket.send("two ", { fin: false })
      socket.send("three", { fin: true })
      assert.deepStrictEqual(yield* next, { _tag: "Pong", data: Uint8Array.from(Buffer.from("now")) })
      assert.deepStrictEqual(yield* next, { _tag: "Message", data: "one two three" })
      socket.close()
      assert.strictEqual((yield* next)._tag, "Close")
    })
  )

  it.live("pings, and reports pings and pongs", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const { next, socket: foreign } = yield* wsClient(server.address.url)
      const socket = yield* server.accept()
      yield* next
      const pongs = yield* Effect.forkChild(Stream.runCollect(Stream.take(socket.pongs, 2)))
      const pings = yield* Effect.forkChild(Stream.runCollect(Stream.take(socket.pings, 1)))
      yield* Effect.yieldNow
      yield* socket.ping(new Uint8Array([1, 2]))
      assert.deepStrictEqual(yield* next, { _tag: "Ping", data: new Uint8Array([1, 2]) })
      foreign.pong("unasked")
      foreign.ping("theirs")
      assert.deepStrictEqual(yield* next, { _tag: "Pong", data: Uint8Array.from(Buffer.from("theirs")) })
      assert.deepStrictEqual(
        Array.from(yield* Fiber.join(pongs), (data) => Buffer.from(data).toString()),
        ["\u0001\u0002", "unasked"]
      )
      assert.deepStrictEqual(
        Array.from(yield* Fiber.join(pings), (data) => Buffer.from(data).toString()),
        ["theirs"]
      )
      yield* socket.close()
    })
  )
})

describe("our client and a server of ws", () => {
  it.live("exchanges every kind of message, whole and in fragments", () =>
    Effect.gen(function* () {
      const server = yield* wsServer()
      for (const maxFrameSize of [undefined, 60_000]) {
        const socket = yield* connect(server.url, { maxFrameSize })
        const peer = yield* server.accept
        for (const [, data] of payloads) yield* socket.send(data)
        for (const [, data] of payloads) {
          const seen = yield* peer.next
          if (seen._tag !== "Message") return assert.fail(seen._tag)
          assertSame(seen.data, data)
          peer.send(seen.data)
        }
        for (const [, data] of payloads) assertSame((yield* socket.receive).data, data)
        yield* socket.close()
      }
    })
  )

  it.live("joins fragments, and pings both ways", () =>
    Effect.gen(function* () {
      const server = yield* wsServer()
      const socket = yield* connect(server.url)
      const peer = yield* server.accept
      peer.socket.send(Buffer.from([1]), { fin: false, binary: true })
      peer.socket.ping("now")
      peer.socket.send(Buffer.from([2]), { fin: true })
      assertSame((yield* socket.receive).data, new Uint8Array([1, 2]))
      assert.deepStrictEqual(yield* peer.next, { _tag: "Pong", data: Uint8Array.from(Buffer.from("now")) })
      yield* socket.ping()
      assert.strictEqual((yield* peer.next)._tag, "Ping")
      yield* socket.close()
    })
  )

  it.live("agrees on a subprotocol", () =>
    Effect.gen(function* () {
      const server = yield* wsServer({ protocol: "v1" })
      const socket = yield* connect(server.url, { protocols: ["v2", "v1"] })
      assert.strictEqual(socket.protocol, "v1")
      yield* socket.close()
    })
  )

  it.live("closes first, with a code and a reason", () =>
    Effect.gen(function* () {
      const server = yield* wsServer()
      const socket = yield* connect(server.url)
      const peer = yield* server.accept
      yield* socket.close(4001, "ça suffit")
      assert.deepStrictEqual(yield* peer.next, { _tag: "Close", code: 4001, reason: "ça suffit" })
      const status = yield* socket.closeStatus
      assert.isTrue(status.clean)
      assert.strictEqual(status.initiator, "local")
    })
  )

  it.live("is closed by the server, with and without a code and a reason", () =>
    Effect.gen(function* () {
      const server = yield* wsServer()
      for (const [code, reason] of [
        [4002, "bye ✗"],
        [1001, "going away"],
        [undefined, ""]
      ] as const) {
        const socket = yield* connect(server.url)
        const peer = yield* server.accept
        if (code === undefined) peer.close()
        else peer.close(code, reason)
        assert.deepStrictEqual(
          facts(yield* Effect.flip(socket.receive)),
          closedFacts(code ?? 1005, "remote", true, reason)
        )
        const seen = yield* peer.next
        assert.strictEqual(seen._tag === "Close" && seen.code, code ?? 1005)
        assert.isTrue((yield* socket.closeStatus).clean)
      }
    })
  )
})
