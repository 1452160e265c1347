import * as TopicBroker from "@effect-websocket/platform/TopicBroker"
import * as Message from "@effect-websocket/protocol/Message"
import * as NatsTopicBroker from "@effect-websocket/topics-nats/NatsTopicBroker"
import { node } from "./brokers.js"
import { hasNats, NatsServer } from "./nats.js"
import {
  afterAll,
  assert,
  beforeAll,
  Config,
  describe,
  Effect,
  eventually,
  Exit,
  freshTopic,
  it,
  Layer,
  listen,
  publish,
  textOf,
  topicBrokerLaws,
  until,
  untilTrue
} from "./platform.js"

describe.skipIf(!hasNats)("over NATS", () => {
  let server: NatsServer
  beforeAll(async () => {
    server = await NatsServer.start()
  })
  afterAll(() => server?.stop())

  topicBrokerLaws(
    "NatsTopicBroker",
    TopicBroker.layer(Effect.suspend(() => NatsTopicBroker.make({ client: { servers: server.url } })))
  )

  it.live("the history is bounded by its bytes, headers included", () =>
    Effect.gen(function* () {
      const broker = yield* node(server.url, { history: { maxBytes: 1_000 } })
      const topic = freshTopic()
      const texts = Effect.map(broker.history(topic, { limit: 10 }), ({ publications }) => publications.map(textOf))
      const [one, other] = ["1".repeat(500), "2".repeat(500)]
      yield* publish(broker, topic, one)
      assert.deepStrictEqual(yield* texts, [one])
      yield* publish(broker, topic, other)
      assert.deepStrictEqual(yield* texts, [other])
      const { position } = yield* broker.publish(topic, Message.binary(new Uint8Array(1_001)))
      assert.deepStrictEqual(yield* texts, [])
      assert.isFalse((yield* broker.history(topic, { since: { ...position, offset: 2 }, limit: 1 })).isComplete)
      yield* publish(broker, topic, "3")
      assert.deepStrictEqual(yield* texts, ["3"])
    })
  )

  it.live("the process that begins with a topic last decides its bounds", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* node(server.url), yield* node(server.url, { history: { maxPublications: 2 } })]
      const topic = freshTopic()
      for (const text of ["1", "2", "3"]) yield* publish(one, topic, text)
      const before = yield* one.position(topic)
      assert.deepStrictEqual(yield* other.position(topic), before)
      assert.deepStrictEqual((yield* one.history(topic, { limit: 10 })).publications.map(textOf), ["2", "3"])
    })
  )

  it.live(
    "an idempotency key is forgotten after its age, and has the position of the first publication until then",
    () =>
      Effect.gen(function* () {
        const broker = yield* node(server.url, { idempotency: { maxAge: "300 millis" } })
        const topic = freshTopic()
        const send = broker.publish(topic, Message.text("text"), { idempotencyKey: "k\r\n: 🚀" })
        const { isDuplicate, position } = yield* send
        assert.isFalse(isDuplicate)
        assert.deepStrictEqual(yield* send, { position, isDuplicate: true })
        yield* until(Effect.map(send, ({ isDuplicate }) => !isDuplicate))
      })
  )

  it.live("a message that is larger than the server takes is refused, and nothing is published", () =>
    Effect.gen(function* () {
      const broker = yield* node(server.url)
      const topic = freshTopic()
      const start = yield* broker.position(topic)
      const max = 1024 * 1024
      const failure = yield* Effect.flip(broker.publish(topic, Message.binary(new Uint8Array(max + 1))))
      assert.deepStrictEqual([failure.reason, failure.max], ["TooLarge", max])
      assert.deepStrictEqual(yield* broker.position(topic), start)
    })
  )

  it.live("an unused topic is deleted; a subscription uses its topic, also for other processes", () =>
    Effect.gen(function* () {
      const options = { prefix: "short", unusedAge: "200 millis" } as const
      const [broker, other] = [yield* node(server.url, options), yield* node(server.url, options)]
      const [used, unused] = [freshTopic(), freshTopic()]
      const { position, seen } = yield* listen(broker, used)
      const old = (yield* publish(other, unused, "text")).position
      const streams = Effect.map(
        Effect.promise(() => server.streams()),
        (names) => names.filter((name) => name.startsWith("short_")).length
      )
      assert.strictEqual(yield* streams, 2)
      yield* until(Effect.map(streams, (count) => count === 1))
      // Once more as long as it would last.
      yield* other.position(freshTopic())
      yield* until(Effect.map(streams, (count) => count === 1))
      assert.deepStrictEqual(yield* other.position(used), position)
      assert.deepStrictEqual(seen, [])
      assert.notStrictEqual((yield* other.position(unused)).epoch, old.epoch)
    })
  )

  it.live("names of topics, publishers and members may have any characters", () =>
    Effect.gen(function* () {
      const broker = yield* node(server.url)
      const publisher = "hub: ä\r\n="
      const entry = { key: 'a":]\n🚀', session: "\u0000:1:", meta: ":🚀\n" }
      for (const topic of ["{}.*> %7D=20", "🚀".repeat(127), "ä".repeat(255), "$SYS.>"]) {
        const { seen } = yield* listen(broker, topic)
        yield* broker.publish(topic, Message.text("\uFEFFtext"), { publisher })
        yield* broker.publish(topic, Message.text(""), { publisher: "" })
        yield* untilTrue(() => seen.length === 2)
        const { publications } = yield* broker.history(topic, { limit: 2 })
        assert.deepStrictEqual(
          publications.map((publication) => [textOf(publication), publication.publisher]),
          [
            ["\uFEFFtext", publisher],
            ["", ""]
          ]
        )
        const changes: Array<TopicBroker.PresenceChange> = []
        yield* broker.presence.changes(topic, (change) => {
          changes.push(change)
        })
        yield* broker.presence.set(topic, entry, "1 minute")
        assert.deepStrictEqual(yield* broker.presence.list(topic), [entry])
        yield* untilTrue(() => changes.length === 1)
        assert.deepStrictEqual(changes, [{ _tag: "Entered", entry }])
      }
    })
  )

  it.live("a subscription that the server refuses fails at once, and the documented permissions are enough", () =>
    Effect.gen(function* () {
      // As in docs/topics-nats.md.
      const publish = '["topics.>", "$JS.API.STREAM.>", "$JS.API.CONSUMER.CREATE.>", "_INBOX.>"]'
      const subscribe = '["topics.>", "_INBOX.>"]'
      const strict = yield* Effect.promise(() =>
        NatsServer.start(`authorization { users: [
          { user: app, password: secret, permissions: { publish: ${publish}, subscribe: ${subscribe} } }
          { user: mute, password: secret, permissions: { subscribe: { deny: ["topics.out.>", "topics.present.>"] } } }
        ] }`)
      )
      yield* Effect.addFinalizer(() => Effect.promise(() => strict.stop()))
      const as = (user: string, pass: string) =>
        node(strict.url, { client: { servers: strict.url, user, pass }, timeout: "5 seconds" })
      const topic = freshTopic()
      const mute = yield* as("mute", "secret")
      assert.strictEqual((yield* mute.position(topic)).offset, 0)
      for (const refused of [Effect.asVoid(mute.subscribe(topic, () => {})), mute.presence.changes(topic, () => {})]) {
        const { message, reason } = yield* Effect.flip(Effect.scoped(refused))
        assert.deepStrictEqual([reason, message.includes("Permissions Violation")], ["Unavailable", true])
      }
      const stranger = yield* node(strict.url, { client: { servers: strict.url, user: "app", pass: "wrong" } })
      assert.include((yield* Effect.flip(stranger.position(topic))).message, "Authorization Violation")

      const [app, other] = [yield* as("app", "secret"), yield* as("app", "secret")]
      const { seen } = yield* listen(app, topic)
      yield* other.publish(topic, Message.text("text"), { idempotencyKey: "key" })
      yield* untilTrue(() => seen.length === 1)
      assert.strictEqual((yield* app.history(topic, { limit: 1 })).publications.length, 1)
      yield* app.presence.changes(topic, () => {})
      yield* other.presence.set(topic, { key: "ann", session: "1", meta: "" }, "1 minute")
      yield* other.presence.remove(topic, "ann", "1")
      assert.deepStrictEqual(yield* app.presence.list(topic), [])
      yield* app.remove(topic)
      yield* untilTrue(() => seen.length === 2)
    })
  )

  it.live("a server without JetStream makes operations fail", () =>
    Effect.gen(function* () {
      const plain = yield* Effect.promise(() => NatsServer.start(undefined, false))
      yield* Effect.addFinalizer(() => Effect.promise(() => plain.stop()))
      const broker = yield* node(plain.url)
      const { message, reason } = yield* Effect.flip(publish(broker, freshTopic(), "text"))
      assert.deepStrictEqual([reason, message.includes("jetstream is not enabled")], ["Unavailable", true])
    })
  )

  it.live("the options may come from a configuration", () =>
    Effect.gen(function* () {
      const topic = freshTopic()
      const layer = NatsTopicBroker.layerConfig(Config.succeed({ client: { servers: server.url } }))
      const position = Effect.flatMap(TopicBroker.TopicBroker, (broker) => eventually(broker.position(topic)))
      assert.strictEqual((yield* Effect.provide(position, layer)).offset, 0)
    })
  )

  it.live.each([
    [{ history: { maxBytes: 0 } }, "history.maxBytes must be an integer from 1, but is 0"],
    [{ history: { maxAge: "99 millis" } }, "history.maxAge must be finite, and at least 100 ms, but is 99 millis"],
    [
      { history: { maxAge: "1 minute" }, idempotency: { maxAge: "2 minutes" } },
      "idempotency.maxAge must be from 100 to 60000 ms, but is 2 minutes"
    ],
    [{ prefix: "a.b" }, "prefix must have letters, digits, - and _ only, but is a.b"],
    [{ replicas: 6 }, "replicas must be an integer from 1 to 5, but is 6"]
  ] as const)("the options %j are a defect", ([options, text]) =>
    Effect.gen(function* () {
      const invalid = NatsTopicBroker.layerConfig(Config.succeed(options))
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(invalid)))
      assert.isTrue(Exit.isFailure(exit) && String(exit).includes(text), String(exit))
    })
  )
})
