import {
  MemoryTopicBroker,
  Presence,
  TopicsClient,
  TopicsServer,
  Topics,
  TopicBroker,
  type WebSocket,
  type WebSocketClient,
  WebSocketServer,
  WebSocketTest
} from "@effect-websocket/platform"
import { Frame } from "@effect-websocket/protocol"
import { Stream } from "effect"
import { Effect, Exit, Fiber, Layer, Scope, TestClock } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import { settled } from "./support.js"
import { showTopicEvent as show } from "./showTopicEvent.js"

const rules = [
  Topics.rule("rooms/*", { subscribe: true, publish: true, presence: true }),
  Topics.rule("news/*", { subscribe: true })
]

const services = Layer.mergeAll(
  Layer.provideMerge(Layer.merge(Topics.layerBroker(), Presence.layerBroker()), MemoryTopicBroker.layer()),
  WebSocketTest.layerWith({ protocols: TopicsServer.protocols })
)

type Services =
  | Topics.Topics
  | Presence.Presence
  | TopicBroker.TopicBroker
  | WebSocketServer.WebSocketServer
  | WebSocketClient.WebSocketClient
  | WebSocketTest.WebSocketTest

/** The connections of a server, as it sees them. */
const serve = (options: TopicsServer.Options<never> = { rules }) =>
  Effect.gen(function* () {
    const sockets: Array<WebSocket.WebSocket> = []
    const handle = TopicsServer.handler(options)
    yield* Effect.forkScoped(
      WebSocketServer.run((socket) =>
        Effect.suspend(() => {
          sockets.push(socket)
          return handle(socket)
        })
      )
    )
    return {
      sockets,
      /** The network of the newest connection breaks. */
      reset: Effect.suspend(() =>
        Effect.scoped(Effect.flatMap(WebSocketTest.network(sockets[sockets.length - 1]!), (network) => network.reset))
      )
    }
  })

const test = (name: string, run: () => Effect.Effect<void, unknown, Services | Scope.Scope>) =>
  it.effect(name, () => Effect.provide(Effect.scoped(run()), services))

const collect = <A, E>(stream: Stream.Stream<A, E>) =>
  Effect.gen(function* () {
    const seen: Array<A> = []
    const fiber = yield* Effect.forkScoped(Stream.runForEach(stream, (item) => Effect.sync(() => void seen.push(item))))
    yield* passed
    return { fiber, seen }
  })

/** Messages go back and forth. */
const passed = Effect.forEach([1, 2, 3, 4, 5, 6], () => settled, { discard: true })

const reconnected = Effect.andThen(passed, Effect.andThen(TestClock.adjust("1 second"), passed))

const url = "ws://test/topics"

for (const form of ["binary", "json"] as const) {
  describe(`over ${form}`, () => {
    test("subscribers get what others publish, texts and bytes", () =>
      Effect.gen(function* () {
        yield* serve()
        const one = yield* TopicsClient.make(url, { form })
        const other = yield* TopicsClient.make(url, { form })
        const { seen } = yield* collect(Stream.map(one.subscribe("rooms/a"), show))
        const position = yield* other.publish("rooms/a", "hello 🚀")
        assert.strictEqual(position.offset, 1)
        yield* other.publish("rooms/a", Uint8Array.of(1, 2))
        yield* one.publish("rooms/a", "not to itself")
        yield* one.publish("rooms/a", "but with echo", { echo: true })
        yield* passed
        assert.deepStrictEqual(seen, ["New 0", "1 hello 🚀", "2 1,2", "4 but with echo"])
      }))
  })
}

describe("subscribe", () => {
  test("shares one subscription, and ends it with the last reader", () =>
    Effect.gen(function* () {
      yield* serve()
      const topics = yield* Topics.Topics
      const client = yield* TopicsClient.make(url)
      const one = yield* collect(Stream.map(client.subscribe("rooms/a"), show))
      yield* topics.publish("rooms/a", "one")
      yield* passed
      const other = yield* collect(Stream.map(client.subscribe("rooms/a"), show))
      assert.strictEqual(yield* topics.memberCount("rooms/a"), 1)
      yield* topics.publish("rooms/a", "two")
      yield* passed
      assert.deepStrictEqual(one.seen, ["New 0", "1 one", "2 two"])
      assert.deepStrictEqual(other.seen, ["New 1", "2 two"])
      yield* Fiber.interrupt(one.fiber)
      yield* passed
      assert.strictEqual(yield* topics.memberCount("rooms/a"), 1)
      yield* Fiber.interrupt(other.fiber)
      yield* passed
      assert.strictEqual(yield* topics.memberCount("rooms/a"), 0)
      // A reader that comes at once finds the end of the subscription under way.
      const again = yield* collect(Stream.map(client.subscribe("rooms/a"), show))
      yield* Fiber.interrupt(again.fiber)
      const last = yield* collect(Stream.map(client.subscribe("rooms/a", { last: 1 }), show))
      assert.deepStrictEqual(last.seen, ["New 1", "2 two"])
    }))

  test("recovers in place of a reader that has left at any moment while its subscription began", () =>
    Effect.gen(function* () {
      yield* serve()
      const topics = yield* Topics.Topics
      const client = yield* TopicsClient.make(url)
      yield* passed
      for (let turns = 0; turns < 16; turns++) {
        const topic = `rooms/${turns}`
        const since = yield* topics.position(topic)
        yield* topics.publish(topic, "one")
        const fiber = yield* Effect.forkScoped(Stream.runDrain(client.subscribe(topic)))
        for (let turn = 0; turn < turns; turn++) yield* Effect.promise(() => new Promise((go) => setImmediate(go)))
        yield* Fiber.interrupt(fiber)
        const { seen } = yield* collect(Stream.map(client.subscribe(topic, { since }), show))
        assert.deepStrictEqual(seen, ["Recovered 0, missed 1", "1 one"])
      }
    }))

  test("goes on after a reconnect, without a sign", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const topics = yield* Topics.Topics
      const client = yield* TopicsClient.make(url)
      const { seen } = yield* collect(Stream.map(client.subscribe("rooms/a"), show))
      yield* topics.publish("rooms/a", "one")
      yield* passed
      yield* server.reset
      yield* topics.publish("rooms/a", "two")
      yield* topics.publish("rooms/a", "three")
      yield* reconnected
      yield* topics.publish("rooms/a", "four")
      yield* passed
      assert.deepStrictEqual(seen, ["New 0", "1 one", "2 two", "3 three", "4 four"])
      assert.strictEqual(server.sockets.length, 2)
    }))

  test("says gap if the server no longer has what was missed", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const topics = yield* Topics.Topics
      const client = yield* TopicsClient.make(url)
      const { seen } = yield* collect(Stream.map(client.subscribe("rooms/a"), show))
      yield* topics.publish("rooms/a", "one")
      yield* passed
      yield* server.reset
      yield* topics.remove("rooms/a")
      yield* topics.publish("rooms/a", "two")
      yield* reconnected
      yield* topics.publish("rooms/a", "three")
      yield* passed
      assert.deepStrictEqual(seen, ["New 0", "1 one", "Gap 1", "2 three"])
    }))

  test("recovers from a position, or begins with the last ones", () =>
    Effect.gen(function* () {
      yield* serve()
      const topics = yield* Topics.Topics
      const start = yield* topics.position("rooms/a")
      for (const text of ["one", "two", "three"]) yield* topics.publish("rooms/a", text)
      const client = yield* TopicsClient.make(url)
      const since = { epoch: start.epoch, offset: 1 }
      const recovered = yield* collect(Stream.map(client.subscribe("rooms/a", { since }), show))
      assert.deepStrictEqual(recovered.seen, ["Recovered 1, missed 2", "2 two", "3 three"])
      const late = yield* collect(Stream.map(client.subscribe("rooms/a", { since }), show))
      assert.deepStrictEqual(late.seen, ["Gap 3"])
      const other = yield* TopicsClient.make(url)
      const last = yield* collect(Stream.map(other.subscribe("rooms/a", { last: 2 }), show))
      assert.deepStrictEqual(last.seen, ["New 1", "2 two", "3 three"])
    }))

  test("fails with what the server refuses", () =>
    Effect.gen(function* () {
      yield* serve({ rules, maxTopics: 1 })
      const client = yield* TopicsClient.make(url)
      const refused = (topic: string) =>
        Effect.map(Effect.flip(Stream.runDrain(client.subscribe(topic))), ({ max, reason }) => [reason, max])
      assert.deepStrictEqual(yield* refused("secret"), ["Denied", undefined])
      yield* collect(client.subscribe("rooms/a"))
      assert.deepStrictEqual(yield* refused("rooms/b"), ["TooManyTopics", 1])
    }))

  test("fails for a name that no topic can have, without the server", () =>
    Effect.gen(function* () {
      const client = yield* TopicsClient.make(url)
      const attempts: ReadonlyArray<Effect.Effect<unknown, TopicBroker.TopicError, Scope.Scope>> = [
        client.publish("rooms//", "x"),
        Stream.runDrain(client.subscribe("rooms/\ud800")),
        client.track("", "ann", ""),
        Stream.runDrain(client.presence("rooms/*")),
        Stream.runDrain(client.presenceCounts("a\n"))
      ]
      for (const attempt of attempts) assert.strictEqual((yield* Effect.flip(attempt)).reason, "InvalidName")
    }))

  test("fails if its reader is too slow, and the others go on", () =>
    Effect.gen(function* () {
      yield* serve()
      const topics = yield* Topics.Topics
      const client = yield* TopicsClient.make(url)
      const slow = yield* Effect.forkScoped(
        Effect.exit(
          Stream.runForEach(client.subscribe("rooms/a", { maxWaitingBytes: 200 }), () => Effect.sleep("1 minute"))
        )
      )
      const { seen } = yield* collect(Stream.map(client.subscribe("rooms/a"), show))
      for (const text of ["one", "two", "three", "four", "five"]) yield* topics.publish("rooms/a", text)
      yield* passed
      assert.lengthOf(seen, 6)
      for (let minute = 0; minute < 6; minute++) yield* TestClock.adjust("1 minute")
      const exit = yield* Fiber.join(slow)
      assert(Exit.isFailure(exit))
      assert.include(String(exit.cause), "too slowly")
    }))

  test("makes the connection wait for a reader with the strategy suspend", () =>
    Effect.gen(function* () {
      yield* serve()
      const topics = yield* Topics.Topics
      const client = yield* TopicsClient.make(url)
      const got: Array<string> = []
      yield* Effect.forkScoped(
        Stream.runForEach(client.subscribe("rooms/a", { slowStrategy: "suspend", maxWaitingBytes: 1 }), (event) =>
          Effect.andThen(
            Effect.sync(() => got.push(show(event))),
            Effect.sleep("1 second")
          )
        )
      )
      yield* passed
      for (let n = 1; n <= 40; n++) yield* topics.publish("rooms/a", "x")
      yield* passed
      assert.isBelow(got.length, 5)
      for (let n = 1; n <= 50; n++) yield* Effect.andThen(TestClock.adjust("1 second"), passed)
      assert.lengthOf(got, 41)
    }))
})

describe("publish", () => {
  test("is sent again after a reconnect, and published once", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const topics = yield* Topics.Topics
      const publisher = yield* TopicsClient.make(url)
      const { seen } = yield* collect(Stream.map(topics.subscribe("rooms/a"), show))
      yield* publisher.publish("rooms/a", "one")
      // The server gets the second one, but the acknowledgement is lost.
      yield* Effect.scoped(
        Effect.gen(function* () {
          const network = yield* WebSocketTest.network(server.sockets[0]!)
          yield* network.serverToClient.stall
          const fiber = yield* Effect.forkScoped(publisher.publish("rooms/a", "two"))
          yield* passed
          assert.lengthOf(seen, 3)
          yield* network.reset
          yield* reconnected
          assert.strictEqual((yield* Fiber.join(fiber)).offset, 2)
        })
      )
      assert.strictEqual((yield* publisher.publish("rooms/a", "three")).offset, 3)
      yield* passed
      assert.deepStrictEqual(seen, ["New 0", "1 one", "2 two", "3 three"])
    }))

  test("does not come back to its client after a reconnect", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const topics = yield* Topics.Topics
      const client = yield* TopicsClient.make(url)
      const { seen } = yield* collect(Stream.map(client.subscribe("rooms/a"), show))
      yield* client.publish("rooms/a", "own")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const network = yield* WebSocketTest.network(server.sockets[0]!)
          yield* network.serverToClient.stall
          const fiber = yield* Effect.forkScoped(client.publish("rooms/a", "own, too"))
          yield* passed
          yield* topics.publish("rooms/a", "of another")
          yield* network.reset
          yield* reconnected
          yield* Fiber.join(fiber)
        })
      )
      yield* passed
      assert.deepStrictEqual(seen, ["New 0", "3 of another"])
    }))

  test("gives up, and says so", () =>
    Effect.gen(function* () {
      const client = yield* TopicsClient.make(url, { publishTimeout: "5 seconds", maxPublishes: 1 })
      const publishing = yield* Effect.forkScoped(Effect.flip(client.publish("rooms/a", "nobody answers")))
      yield* passed
      const error = yield* Effect.flip(client.publish("rooms/a", "one too many"))
      assert.strictEqual(error.reason, "Unavailable")
      yield* TestClock.adjust("5 seconds")
      const late = yield* Fiber.join(publishing)
      assert.deepStrictEqual([late.reason, late.topic], ["Unavailable", "rooms/a"])
    }))

  test("fails with what the server refuses", () =>
    Effect.gen(function* () {
      yield* serve({ rules, publishRate: { limit: 1, interval: "1 minute" } })
      const client = yield* TopicsClient.make(url)
      yield* client.publish("rooms/a", "one")
      assert.strictEqual((yield* Effect.flip(client.publish("rooms/a", "two"))).reason, "TooFast")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Effect.flip(client.publish("news/a", "three"))).reason, "Denied")
    }))
})

const showPresence = (event: Presence.PresenceEvent): string => {
  const shown = (members: ReadonlyArray<Presence.Member>) =>
    members.map(({ key, metas }) => `${key}(${metas.join(" ")})`).join(" ")
  return event._tag === "Present"
    ? `present ${shown(event.members)}`
    : `+${shown(event.joined)} =${shown(event.updated)} -${shown(event.left)}`
}

describe("presence", () => {
  test("is tracked on each connection, and a reconnect is no change", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const watcher = yield* TopicsClient.make(url)
      const { seen } = yield* collect(Stream.map(watcher.presence("rooms/a"), showPresence))
      const counts = yield* collect(watcher.presenceCounts("rooms/a"))
      const scope = yield* Scope.make()
      const ann = yield* TopicsClient.make(url)
      const { update } = yield* Scope.provide(ann.track("rooms/a", "ann", "1"), scope)
      yield* TestClock.adjust("50 millis")
      yield* passed
      yield* server.reset
      yield* reconnected
      yield* TestClock.adjust("10 seconds")
      yield* passed
      assert.deepStrictEqual(seen, ["present ", "+ann(1) = -"])
      yield* update("2")
      yield* TestClock.adjust("50 millis")
      yield* passed
      yield* Scope.close(scope, Exit.void)
      yield* passed
      yield* TestClock.adjust("2 seconds")
      yield* passed
      assert.deepStrictEqual(seen.slice(2), ["+ =ann(2) -", "+ = -ann(2)"])
      assert.deepStrictEqual(counts.seen, [0, 1, 0])
    }))

  test("begins again after a reconnect, and later readers get it, too", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const presence = yield* Presence.Presence
      const watcher = yield* TopicsClient.make(url)
      const one = yield* collect(Stream.map(watcher.presence("rooms/a"), showPresence))
      yield* server.reset
      yield* presence.track("rooms/a", "ann", "1")
      yield* TestClock.adjust("50 millis")
      yield* reconnected
      assert.deepStrictEqual(one.seen, ["present ", "present ann(1)"])
      const other = yield* collect(Stream.map(watcher.presence("rooms/a"), showPresence))
      assert.deepStrictEqual(other.seen, ["present ann(1)"])
    }))

  test("has the key that the server knows, and needs a rule", () =>
    Effect.gen(function* () {
      yield* serve({ rules, owner: "user-1" })
      const presence = yield* Presence.Presence
      const client = yield* TopicsClient.make(url)
      yield* client.track("rooms/a", "somebody else", "")
      assert.deepStrictEqual(yield* presence.list("rooms/a"), [{ key: "user-1", metas: [""] }])
      assert.strictEqual((yield* Effect.flip(client.track("news/a", "me", ""))).reason, "Denied")
      assert.strictEqual((yield* Effect.flip(Stream.runDrain(client.presence("news/a")))).reason, "Denied")
    }))

  it.effect("is asked for again if the broker of the server failed after a reconnect", () =>
    Effect.gen(function* () {
      let isDown = false
      const unlessDown = <A, E, R>(topic: string, effect: Effect.Effect<A, E, R>) =>
        Effect.suspend((): Effect.Effect<A, E | TopicBroker.TopicError, R> =>
          isDown ? Effect.fail(new TopicBroker.TopicError({ reason: "Unavailable", topic })) : effect
        )
      const flaky = TopicBroker.layer(
        Effect.map(MemoryTopicBroker.make(), (broker) => ({
          ...broker,
          presence: {
            ...broker.presence,
            set: (topic, entry, expiry) => unlessDown(topic, broker.presence.set(topic, entry, expiry)),
            changes: (topic, listener) => unlessDown(topic, broker.presence.changes(topic, listener))
          }
        }))
      )
      yield* Effect.gen(function* () {
        const server = yield* serve()
        const presence = yield* Presence.Presence
        const client = yield* TopicsClient.make(url)
        yield* client.track("rooms/a", "ann", "1")
        const { fiber, seen } = yield* collect(Stream.map(client.presence("rooms/a"), showPresence))
        isDown = true
        yield* server.reset
        yield* reconnected
        assert.deepStrictEqual(yield* presence.list("rooms/a"), [])
        assert.strictEqual((yield* Effect.flip(client.track("rooms/a", "bob", "1"))).reason, "Unavailable")
        isDown = false
        yield* TestClock.adjust("25 seconds")
        yield* passed
        // Not bob, who was told that it failed.
        assert.deepStrictEqual(yield* presence.list("rooms/a"), [{ key: "ann", metas: ["1"] }])
        assert.deepStrictEqual(seen, ["present ann(1)", "present ann(1)"])
        yield* Fiber.interrupt(fiber)
      }).pipe(
        Effect.provide(
          Layer.merge(
            Layer.provideMerge(Layer.merge(Topics.layerBroker(), Presence.layerBroker()), flaky),
            WebSocketTest.layerWith({ protocols: TopicsServer.protocols })
          )
        )
      )
    }).pipe(Effect.scoped)
  )

  test("ends with the connection", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const presence = yield* Presence.Presence
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(TopicsClient.make(url), scope)
      yield* client.track("rooms/a", "me", "")
      assert.lengthOf(yield* presence.list("rooms/a"), 1)
      yield* Scope.close(scope, Exit.void)
      yield* passed
      assert.lengthOf(yield* presence.list("rooms/a"), 0)
      assert.lengthOf(server.sockets, 1)
    }))
})

describe("the connection", () => {
  test("is made again if nothing arrives any more", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const topics = yield* Topics.Topics
      const client = yield* TopicsClient.make(url, {
        heartbeatInterval: "1 hour",
        pingInterval: "10 seconds",
        closeTimeout: "1 second"
      })
      const { seen } = yield* collect(Stream.map(client.subscribe("rooms/a"), show))
      yield* Effect.scoped(
        Effect.gen(function* () {
          const network = yield* WebSocketTest.network(server.sockets[0]!)
          yield* network.serverToClient.stall
          yield* topics.publish("rooms/a", "one")
          for (let second = 0; second < 25; second++) yield* Effect.andThen(TestClock.adjust("1 second"), passed)
        })
      )
      assert.deepStrictEqual(seen, ["New 0", "1 one"])
      assert.strictEqual(server.sockets.length, 2)
    }))

  test("ends everything when it ends", () =>
    Effect.gen(function* () {
      yield* serve()
      const client = yield* TopicsClient.make(url)
      const subscribed = yield* Effect.forkScoped(Effect.flip(Stream.runDrain(client.subscribe("rooms/a"))))
      const watched = yield* Effect.forkScoped(Effect.flip(Stream.runDrain(client.presence("rooms/a"))))
      yield* passed
      yield* client.connection.close()
      assert.strictEqual((yield* Fiber.join(subscribed)).reason, "Unavailable")
      assert.strictEqual((yield* Fiber.join(watched)).reason, "Unavailable")
      assert.strictEqual((yield* Effect.flip(client.publish("rooms/a", "late"))).reason, "Unavailable")
      assert.strictEqual((yield* Effect.flip(client.track("rooms/a", "late", ""))).reason, "Unavailable")
      assert.strictEqual((yield* Effect.flip(Stream.runDrain(client.subscribe("rooms/b")))).reason, "Unavailable")
    }))

  test("fails with a server that agrees to no subprotocol, and with one that sends something else", () =>
    Effect.gen(function* () {
      const client = yield* TopicsClient.make(url)
      const attempt = yield* WebSocketTest.nextAttempt
      const silent = yield* attempt.accept()
      yield* silent.answerClose({ code: 1011 })
      const error = yield* Effect.flip(client.connection.awaitOpen)
      assert.strictEqual(error._tag, "Protocol_error")
      const other = yield* TopicsClient.make(url)
      const second = yield* Effect.forkScoped(Effect.flip(Stream.runDrain(other.subscribe("rooms/a"))))
      const peer = yield* WebSocketTest.acceptPeer({ protocol: "effect-websocket-topics.v1.json" })
      yield* passed
      // The first frame is the subscription.
      yield* peer.receive
      yield* peer.send(Frame.text("nonsense"))
      yield* peer.answerClose({ code: 1007 })
      assert.strictEqual((yield* Fiber.join(second)).reason, "Unavailable")
    }))
})
