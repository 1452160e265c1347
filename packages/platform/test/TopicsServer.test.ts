import {
  MemoryTopicBroker,
  Presence,
  Topics,
  TopicsClient,
  TopicsServer,
  WebSocketServer,
  WebSocketTest
} from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Frame } from "@effect-websocket/protocol"
import * as fc from "fast-check"
import { Stream } from "effect"
import { Effect, Fiber, Layer, TestClock } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import { property } from "./property.js"
import { settled } from "./support.js"

const rules = [Topics.rule("**", { subscribe: true, publish: true, presence: true })]

const topicsLayer = (history?: MemoryTopicBroker.Options["history"]) =>
  Layer.provideMerge(Layer.merge(Topics.layerBroker(), Presence.layerBroker()), MemoryTopicBroker.layer({ history }))

const inMemory = Layer.merge(topicsLayer(), WebSocketTest.layerWith({ protocols: TopicsServer.protocols }))

const serve = Effect.forkScoped(WebSocketServer.run(TopicsServer.handler({ rules })))

const json = { protocols: ["effect-websocket-topics.v1.json"] }

/** Messages go back and forth. */
const passed = Effect.forEach([1, 2, 3, 4, 5, 6], () => settled, { discard: true })

describe("a message that is not a request", () => {
  it.effect.each(['{"type":"ping"}', "nonsense", '{"type":"ok","id":1}'])("closes with 1007: %s", (text) =>
    Effect.gen(function* () {
      yield* serve
      const peer = yield* WebSocketTest.connectPeer(undefined, json)
      yield* peer.send(Frame.text(text))
      yield* peer.answerClose({ code: 1007 })
    }).pipe(Effect.scoped, Effect.provide(inMemory))
  )

  it.effect("is one in the other form, too", () =>
    Effect.gen(function* () {
      yield* serve
      const peer = yield* WebSocketTest.connectPeer(undefined, json)
      yield* peer.send(Frame.binary(Uint8Array.of(4, 1, 0)))
      yield* peer.answerClose({ code: 1007 })
    }).pipe(Effect.scoped, Effect.provide(inMemory))
  )
})

it.effect("closes a connection without a subprotocol with 1008", () =>
  Effect.gen(function* () {
    yield* serve
    const peer = yield* WebSocketTest.connectPeer()
    yield* peer.answerClose({ code: 1008 })
  }).pipe(Effect.scoped, Effect.provide(inMemory))
)

it.effect("answers as the specification says", () =>
  Effect.gen(function* () {
    yield* serve
    const topics = yield* Topics.Topics
    const { epoch } = yield* topics.position("a")
    const peer = yield* WebSocketTest.connectPeer(undefined, json)
    const ask = (request: object) => peer.send(Frame.text(JSON.stringify(request)))
    const expect = (answer: object) => peer.expectFrame(Frame.text(JSON.stringify(answer)))
    yield* ask({ type: "ping", id: 1 })
    yield* expect({ type: "ok", id: 1 })
    yield* ask({ type: "subscribe", id: 2, topic: "a", last: 0 })
    yield* expect({ type: "started", topic: "a", how: "new", position: { epoch, offset: 0 }, missed: 0 })
    yield* expect({ type: "ok", id: 2 })
    yield* ask({ type: "publish", id: 3, topic: "a", key: "k", echo: true, data: "hello" })
    yield* expect({ type: "publication", topic: "a", position: { epoch, offset: 1 }, data: "hello" })
    yield* expect({ type: "ok", id: 3, position: { epoch, offset: 1 } })
    yield* ask({ type: "publish", id: 4, topic: "a", key: "k", data: "again" })
    yield* expect({ type: "ok", id: 4, position: { epoch, offset: 1 } })
    yield* ask({ type: "ping", id: 5, topic: "a" })
    yield* expect({ type: "ok", id: 5, position: { epoch, offset: 1 } })
    yield* ask({ type: "subscribe", id: 6, topic: "a", last: 0 })
    yield* expect({ type: "error", id: 6, reason: "AlreadyAttached" })
    yield* ask({ type: "unsubscribe", id: 7, topic: "a" })
    yield* expect({ type: "ok", id: 7 })
    yield* ask({ type: "track", id: 8, topic: "a", session: 1, key: "ann", meta: "here" })
    yield* expect({ type: "ok", id: 8 })
    yield* ask({ type: "watch", id: 9, topic: "a" })
    yield* expect({ type: "ok", id: 9 })
    yield* expect({ type: "present", topic: "a", members: [{ key: "ann", metas: ["here"] }] })
    yield* ask({ type: "untrack", id: 10, session: 1 })
    yield* expect({ type: "ok", id: 10 })
    yield* TestClock.adjust("2 seconds")
    yield* expect({ type: "changed", topic: "a", joined: [], updated: [], left: [{ key: "ann", metas: ["here"] }] })
    yield* ask({ type: "unwatch", id: 11, topic: "a" })
    yield* expect({ type: "ok", id: 11 })
    yield* ask({ type: "watch", id: 12, topic: "a", counts: true })
    yield* expect({ type: "ok", id: 12 })
    yield* expect({ type: "count", topic: "a", count: 0 })
  }).pipe(Effect.scoped, Effect.provide(inMemory))
)

it.effect("a request for presence that is refused changes nothing", () =>
  Effect.gen(function* () {
    const allowed = [Topics.rule("a", { presence: true })]
    yield* Effect.forkScoped(WebSocketServer.run(TopicsServer.handler({ rules: allowed, maxTopics: 2 })))
    const presence = yield* Presence.Presence
    const peer = yield* WebSocketTest.connectPeer(undefined, json)
    const ask = (request: object) => peer.send(Frame.text(JSON.stringify(request)))
    const expect = (answer: object) => peer.expectFrame(Frame.text(JSON.stringify(answer)))
    yield* ask({ type: "track", id: 1, topic: "a", session: 1, key: "ann", meta: "here" })
    yield* expect({ type: "ok", id: 1 })
    yield* ask({ type: "watch", id: 2, topic: "a" })
    yield* expect({ type: "ok", id: 2 })
    yield* expect({ type: "present", topic: "a", members: [{ key: "ann", metas: ["here"] }] })
    yield* ask({ type: "track", id: 3, topic: "b", session: 1, key: "ann", meta: "there" })
    yield* expect({ type: "error", id: 3, reason: "Denied" })
    yield* ask({ type: "track", id: 4, topic: "a", session: 2, key: "bob", meta: "" })
    yield* expect({ type: "error", id: 4, reason: "TooManyTopics", max: 2 })
    yield* ask({ type: "track", id: 5, topic: "a", session: 1, key: "k".repeat(256), meta: "" })
    yield* expect({ type: "error", id: 5, reason: "TooLarge", max: 255 })
    yield* ask({ type: "track", id: 6, topic: "a", session: 1, key: "ann", meta: "m".repeat(4097) })
    yield* expect({ type: "error", id: 6, reason: "TooLarge", max: 4096 })
    assert.deepStrictEqual(yield* presence.list("a"), [{ key: "ann", metas: ["here"] }])
    // Another key takes the place of the first one, which needs no place more, and so does another watch.
    yield* ask({ type: "track", id: 7, topic: "a", session: 1, key: "k".repeat(255), meta: "m".repeat(4096) })
    yield* expect({ type: "ok", id: 7 })
    assert.deepStrictEqual(
      (yield* presence.list("a")).map(({ key }) => key.length),
      [255]
    )
    yield* ask({ type: "untrack", id: 8, session: 1 })
    yield* expect({ type: "ok", id: 8 })
    yield* TestClock.adjust("2 seconds")
    yield* expect({ type: "changed", topic: "a", joined: [], updated: [], left: [{ key: "ann", metas: ["here"] }] })
    yield* ask({ type: "watch", id: 9, topic: "a" })
    yield* expect({ type: "ok", id: 9 })
    yield* expect({ type: "present", topic: "a", members: [] })
  }).pipe(Effect.scoped, Effect.provide(inMemory))
)

it.live("serves clients over real sockets", () =>
  Effect.gen(function* () {
    yield* serve
    const { url } = yield* WebSocketServer.address
    const one = yield* TopicsClient.make(url)
    const other = yield* TopicsClient.make(url, { form: "json" })
    const start = yield* one.publish("rooms/a", "before")
    const got = yield* Effect.forkScoped(
      Stream.runCollect(Stream.take(other.subscribe("rooms/a", { since: start }), 3))
    )
    yield* other.track("rooms/a", "other", "")
    yield* one.publish("rooms/a", "text")
    yield* one.publish("rooms/a", Uint8Array.of(1, 2, 3))
    const events = Array.from(yield* Fiber.join(got))
    assert.deepStrictEqual(
      events.map((event) => (event._tag === "Publication" ? event.message.data : event._tag)),
      ["Recovered", "text", Uint8Array.of(1, 2, 3)]
    )
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Layer.mergeAll(
        topicsLayer(),
        NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1", protocols: TopicsServer.protocols }),
        NodeWebSocketClient.layer
      )
    )
  )
)

/** What happens to a client and a server. `reset` breaks the network, `restart` makes the topic begin again. */
const step = fc.oneof(
  { weight: 6, arbitrary: fc.constant("publish" as const) },
  { weight: 3, arbitrary: fc.constant("publish from the client" as const) },
  { weight: 2, arbitrary: fc.constant("reset" as const) },
  { weight: 1, arbitrary: fc.constant("restart" as const) },
  { weight: 3, arbitrary: fc.constant("wait" as const) }
)

property(
  "a subscriber gets exactly what is published by others, in order, or a gap",
  { steps: fc.array(step, { maxLength: 40 }), maxPublications: fc.constantFrom(3, 1000) },
  ({ maxPublications, steps }) =>
    Effect.gen(function* () {
      const sockets: Array<Parameters<typeof handle>[0]> = []
      const handle = TopicsServer.handler({ rules })
      yield* Effect.forkScoped(
        WebSocketServer.run((socket) => {
          sockets.push(socket)
          return handle(socket)
        })
      )
      const topics = yield* Topics.Topics
      const client = yield* TopicsClient.make("ws://test")
      const seen: Array<Topics.TopicEvent> = []
      yield* Effect.forkScoped(
        Stream.runForEach(client.subscribe("a"), (event) => Effect.sync(() => void seen.push(event)))
      )
      yield* passed
      // In each epoch, what was published by others, by its offset.
      const published = new Map<string, Map<number, string>>()
      const own = new Set<string>()
      const ownFibers: Array<Fiber.Fiber<unknown, unknown>> = []
      let texts = 0
      for (const what of steps) {
        if (what === "publish") {
          const text = `m${++texts}`
          const { epoch, offset } = yield* topics.publish("a", text)
          published.set(epoch, (published.get(epoch) ?? new Map<number, string>()).set(offset, text))
        } else if (what === "publish from the client") {
          const text = `own${++texts}`
          own.add(text)
          ownFibers.push(yield* Effect.forkScoped(client.publish("a", text)))
          yield* settled
        } else if (what === "reset") {
          const socket = sockets[sockets.length - 1]
          if (socket !== undefined) {
            yield* Effect.scoped(Effect.flatMap(WebSocketTest.network(socket), (network) => network.reset))
          }
        } else if (what === "restart") yield* topics.remove("a")
        else yield* Effect.andThen(TestClock.adjust("2 seconds"), passed)
      }
      for (let second = 0; second < 5; second++) yield* Effect.andThen(TestClock.adjust("10 seconds"), passed)
      // Every publish of the client has been acknowledged, so nothing of it is sent again.
      yield* Effect.forEach(ownFibers, Fiber.join)
      const last = yield* topics.publish("a", "last")
      published.set(last.epoch, (published.get(last.epoch) ?? new Map<number, string>()).set(last.offset, "last"))
      yield* passed

      const [first, ...rest] = seen
      assert(first?._tag === "New" || first?._tag === "Gap")
      let position = first.position
      for (const event of rest) {
        if (event._tag === "Gap") {
          position = event.position
          continue
        }
        assert(event._tag === "Publication")
        const { epoch, offset } = event.position
        assert.strictEqual(epoch, position.epoch)
        assert.isAbove(offset, position.offset)
        assert.strictEqual(event.message.data, published.get(epoch)?.get(offset))
        // Nothing of others is between two elements.
        for (let between = position.offset + 1; between < offset; between++) {
          assert.isUndefined(published.get(epoch)?.get(between))
        }
        position = event.position
      }
      assert.deepStrictEqual(position, last)
      for (const event of seen) if (event._tag === "Publication") assert.isFalse(own.has(String(event.message.data)))
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Layer.merge(topicsLayer({ maxPublications }), WebSocketTest.layerWith({ protocols: TopicsServer.protocols }))
      )
    ),
  { numRuns: 40 }
)
