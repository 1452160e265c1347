import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import { WorkersWebSocketServer } from "@effect-websocket/platform/workers"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import { Context, Deferred, Effect, Layer } from "../effect/index.js"
import { assert, describe, it, vi } from "../effect/vitest.js"
import { FakeSocket } from "../engine/native/FakeSocket.js"
import { FakeResponse, stubWorkers, upgradeRequest } from "./stubWorkers.js"

/** An end of a pair as `workerd` has it. */
class WorkersSocket extends FakeSocket {
  static last: WorkersSocket
  readyState = 1
  accepted = false

  constructor() {
    super()
    WorkersSocket.last = this
  }

  accept(): void {
    this.accepted = true
  }

  /** The peer's Close arrives. */
  closedByPeer(code: number, reason = ""): void {
    this.readyState = 2
    this.emit("close", { code, reason, wasClean: true })
  }
}

stubWorkers(WorkersSocket)

type App = Layer.Layer<never, unknown, WebSocketServer.WebSocketServer>

/** A request, its answer, and the end of what it keeps alive. */
const ask = async (app: () => App, options?: WorkersWebSocketServer.Options, path = "/", headers = {}) => {
  const waiting: Array<Promise<unknown>> = []
  const handler = WorkersWebSocketServer.toFetchHandler(app, options)
  const context = { waitUntil: (promise: Promise<unknown>) => void waiting.push(promise) }
  const response: unknown = await handler(upgradeRequest(path, headers), undefined, context)
  assert.instanceOf(response, FakeResponse)
  return { response, socket: WorkersSocket.last, ended: Promise.all(waiting) }
}

const Echo = WebSocketServer.layerHandler((socket) => socket.run((message) => socket.send(message)))

class Resource extends Context.Service<Resource, string>()("test/Resource") {}

const silence = () => vi.spyOn(console, "log").mockReturnValue(undefined)

describe("WorkersWebSocketServer", () => {
  it("answers with the client's end of a pair, and serves the other end", async () => {
    const { ended, response, socket } = await ask(() => Echo, { protocols: ["chat.v1"] }, "/", {
      "Sec-WebSocket-Protocol": "chat.v1"
    })
    assert.deepStrictEqual([response.status, response.headers.get("sec-websocket-protocol")], [101, "chat.v1"])
    assert.notStrictEqual(response.webSocket, socket)
    assert.isTrue(socket.accepted)
    assert.strictEqual(socket.binaryType, "arraybuffer")
    socket.receive("one", Uint8Array.of(2).buffer)
    await vi.waitFor(() => assert.deepStrictEqual(socket.sent, ["one", Uint8Array.of(2)]))
    socket.closedByPeer(1000, "bye")
    await ended
    assert.deepStrictEqual(socket.closes, [[1000, "bye"]])
  })

  it("keeps the request alive until the handler has ended", async () => {
    const gate = Deferred.makeUnsafe<void>()
    const events: Array<string> = []
    const app = WebSocketServer.layerHandler((socket) =>
      Effect.andThen(
        Effect.andThen(
          socket.run(() => {}),
          Deferred.await(gate)
        ),
        Effect.sync(() => events.push("handler"))
      )
    )
    const { ended, socket } = await ask(() => app)
    void ended.then(() => events.push("request"))
    socket.closedByPeer(1005)
    await new Promise((resolve) => setTimeout(resolve, 10))
    assert.deepStrictEqual(events, [])
    await Effect.runPromise(Deferred.succeed(gate, undefined))
    await ended
    assert.deepStrictEqual(events, ["handler", "request"])
    assert.deepStrictEqual(socket.closes, [[]])
  })

  it("sends every close code, and releases the app after the connection", async () => {
    const released: Array<string> = []
    const resource = Layer.effect(
      Resource,
      Effect.acquireRelease(Effect.succeed("resource"), () =>
        Effect.sync(() => released.push(`after ${WorkersSocket.last.closes.length}`))
      )
    )
    const app = WebSocketServer.layerHandler((socket) =>
      Effect.andThen(Resource, () => socket.close(1011, "why"))
    ).pipe(Layer.provide(resource))
    const { ended, socket } = await ask(() => app)
    await vi.waitFor(() => assert.deepStrictEqual(socket.closes, [[1011, "why"]]))
    assert.deepStrictEqual(released, [])
    socket.closedByPeer(1011, "why")
    await ended
    assert.lengthOf(released, 1)
  })

  it("refuses by the check, by the origin, and without a route, and keeps nothing alive", async () => {
    const log = silence()
    const app = WebSocketServer.layerRoute({
      path: "/chat",
      check: () => Effect.succeed(UpgradeCheck.reject(401, { body: "who?", headers: { "X-Why": "unknown" } })),
      handler: (socket) => socket.run(() => {})
    })
    const rejected = await ask(() => app, {}, "/chat")
    assert.deepStrictEqual(
      [rejected.response.status, rejected.response.headers.get("x-why"), rejected.response.webSocket],
      [401, "unknown", undefined]
    )
    const foreign = await ask(() => app, {}, "/chat", { Origin: "https://other" })
    const lost = await ask(() => app, {}, "/other")
    assert.deepStrictEqual([foreign.response.status, lost.response.status], [403, 404])
    await Promise.all([rejected.ended, foreign.ended, lost.ended])
    log.mockRestore()
  })

  it("answers 426 to a request that does not ask for an upgrade", async () => {
    const { response } = await ask(() => Echo, {}, "/", { Upgrade: "h2c" })
    assert.deepStrictEqual([response.status, response.headers.get("upgrade")], [426, "websocket"])
  })

  it("answers 500 if the app cannot be made", async () => {
    const log = silence()
    const broken = await ask(() => Layer.effectDiscard(Effect.fail("on purpose")))
    const thrown = await ask(() => {
      throw new Error("on purpose")
    })
    assert.deepStrictEqual([broken.response.status, thrown.response.status], [500, 500])
    await Promise.all([broken.ended, thrown.ended])
    assert.strictEqual(log.mock.calls.length, 2)
    log.mockRestore()
  })

  it("takes a request of a Worker, and says where it came to", async () => {
    const addresses: Array<unknown> = []
    const app = Layer.effectDiscard(
      Effect.map(WebSocketServer.WebSocketServer, ({ address }) => addresses.push({ ...address }))
    )
    const handler = WorkersWebSocketServer.toFetchHandler<string>(() => Layer.merge(app, Echo))
    const request = { method: "GET", url: "https://example.com:8443/a", headers: new Headers({ Upgrade: "websocket" }) }
    const response: unknown = await handler(request, "env", { waitUntil: () => {} })
    assert.propertyVal(Object(response), "status", 101)
    WorkersSocket.last.closedByPeer(1000)
    assert.deepStrictEqual(addresses, [
      { hostname: "example.com", port: 8443, url: "wss://example.com:8443", socketPath: undefined }
    ])
  })

  it("ends the connection at its deadlines, and drops a peer that does not close", async () => {
    const { ended, socket } = await ask(() => Echo, { idleTimeout: "5 millis", closeTimeout: "5 millis" })
    await ended
    assert.deepStrictEqual(socket.closes[0], [1001, "idle"])
    // Its listeners have gone, apart from those that answer and notice the end.
    assert.strictEqual(socket.listening, 2)
  })

  it("throws for options that make no sense", () => {
    assert.throws(() => WorkersWebSocketServer.toFetchHandler(() => Echo, { maxUnreadBytes: 0 }), RangeError)
    assert.throws(() => WorkersWebSocketServer.toFetchHandler(() => Echo, { idleTimeout: -1 }), RangeError)
  })
})
