import * as TopicBroker from "@effect-websocket/platform/TopicBroker"
import * as Message from "@effect-websocket/protocol/Message"
import * as RedisTopicBroker from "@effect-websocket/topics-redis/RedisTopicBroker"
import { readFileSync } from "node:fs"
import { node } from "./brokers.js"
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
import { hasRedis, RedisServer } from "./redis.js"

describe.skipIf(!hasRedis)("over Redis", () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start()
  })
  afterAll(() => server?.stop())
  const command = (...args: ReadonlyArray<string>) => Effect.promise(() => server.command(...args))

  topicBrokerLaws(
    "RedisTopicBroker",
    TopicBroker.layer(Effect.suspend(() => RedisTopicBroker.make({ client: { url: server.url } })))
  )

  it.live("the history is bounded by the bytes of its messages", () =>
    Effect.gen(function* () {
      const broker = yield* node(server.url, { history: { maxBytes: 10 } })
      const topic = freshTopic()
      const texts = Effect.map(broker.history(topic, { limit: 10 }), ({ publications }) => publications.map(textOf))
      for (const text of ["12345", "6789", "0"]) yield* publish(broker, topic, text)
      assert.deepStrictEqual(yield* texts, ["12345", "6789", "0"])
      yield* publish(broker, topic, "a")
      assert.deepStrictEqual(yield* texts, ["6789", "0", "a"])
      const { position } = yield* broker.publish(topic, Message.binary(new Uint8Array(11)))
      assert.deepStrictEqual(yield* texts, [])
      assert.isFalse((yield* broker.history(topic, { since: { ...position, offset: 0 }, limit: 1 })).isComplete)
      yield* publish(broker, topic, "b")
      assert.deepStrictEqual(yield* texts, ["b"])
    })
  )

  it.live("the server keeps no more than a sixteenth beyond the bounds of the history, and nobody is given it", () =>
    Effect.gen(function* () {
      const broker = yield* node(server.url, { history: { maxPublications: 32 } })
      const topic = freshTopic()
      const lengths = Effect.all([command("XLEN", `topics:{${topic}}:log`), command("LLEN", `topics:{${topic}}:sizes`)])
      const start = yield* broker.position(topic)
      for (let count = 1; count <= 34; count++) yield* publish(broker, topic, String(count))
      assert.deepStrictEqual(yield* lengths, [34, 34])
      assert.isFalse((yield* broker.history(topic, { since: { ...start, offset: 1 }, limit: 40 })).isComplete)
      assert.deepStrictEqual(yield* lengths, [32, 32])
      for (let count = 35; count <= 37; count++) yield* publish(broker, topic, String(count))
      assert.deepStrictEqual(yield* lengths, [32, 32])
      const { isComplete, publications } = yield* broker.history(topic, { since: { ...start, offset: 5 }, limit: 40 })
      assert.deepStrictEqual([isComplete, publications.map(textOf).at(0), publications.length], [true, "6", 32])
    })
  )

  it.live("a process that keeps no history ends that of the others", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* node(server.url), yield* node(server.url, { history: { maxPublications: 0 } })]
      const topic = freshTopic()
      const { position } = yield* publish(one, topic, "1")
      yield* publish(other, topic, "2")
      yield* publish(one, topic, "3")
      assert.isFalse((yield* one.history(topic, { since: position, limit: 10 })).isComplete)
      assert.deepStrictEqual((yield* one.history(topic, { limit: 10 })).publications.map(textOf), ["3"])
    })
  )

  it.live("there is no history if it may have no publications", () =>
    Effect.gen(function* () {
      const broker = yield* node(server.url, { history: { maxPublications: 0 } })
      const topic = freshTopic()
      const { position, seen } = yield* listen(broker, topic)
      yield* publish(broker, topic, "1")
      yield* untilTrue(() => seen.length === 1)
      assert.isFalse((yield* broker.history(topic, { since: position, limit: 1 })).isComplete)
      assert.isTrue((yield* broker.history(topic, { since: { ...position, offset: 1 }, limit: 1 })).isComplete)
    })
  )

  it.live("the oldest idempotency key is forgotten beyond its bounds", () =>
    Effect.gen(function* () {
      const broker = yield* node(server.url, { idempotency: { maxKeys: 2, maxAge: "100 millis" } })
      const topic = freshTopic()
      const send = (idempotencyKey: string) => broker.publish(topic, Message.text(idempotencyKey), { idempotencyKey })
      for (const key of ["a", "b", "c"]) assert.isFalse((yield* send(key)).isDuplicate)
      assert.deepStrictEqual(
        [yield* send("c"), (yield* send("a")).isDuplicate],
        [{ position: (yield* broker.history(topic, { limit: 2 })).publications[0]!.position, isDuplicate: true }, false]
      )
      yield* until(Effect.map(send("c"), ({ isDuplicate }) => !isDuplicate))
      // What was remembered of it before does not make the server forget it now.
      for (const key of ["d", "c"]) yield* send(key)
      assert.deepStrictEqual([(yield* send("c")).isDuplicate, (yield* send("d")).isDuplicate], [true, true])
    })
  )

  it.live.each(["ids", "idOrder"])("idempotency keys without their evicted %s begin again, and expire", (name) =>
    Effect.gen(function* () {
      const broker = yield* node(server.url)
      const topic = freshTopic()
      const send = (idempotencyKey: string) => broker.publish(topic, Message.text(idempotencyKey), { idempotencyKey })
      yield* send("a")
      yield* command("DEL", `topics:{${topic}}:${name}`)
      yield* send("b")
      assert.isTrue((yield* send("b")).isDuplicate)
      for (const each of ["ids", "idOrder"]) {
        assert.isAbove(Number(yield* command("PTTL", `topics:{${topic}}:${each}`)), 0)
      }
    })
  )

  it.live("an unused topic is forgotten with all its keys; a subscription uses its topic", () =>
    Effect.gen(function* () {
      const broker = yield* node(server.url, {
        prefix: "short:",
        unusedAge: "1500 millis",
        history: { maxAge: "1 second" },
        idempotency: { maxAge: "1 second" }
      })
      const [used, unused] = [freshTopic(), freshTopic()]
      const { position, seen } = yield* listen(broker, used)
      yield* broker.publish(unused, Message.text("text"), { idempotencyKey: "key" })
      const keys = Effect.map(command("KEYS", "short:*"), (reply) => String(reply).split(",").sort())
      assert.strictEqual((yield* keys).length, 6)
      yield* until(Effect.map(keys, (left) => left.join() === `short:{${used}}:state`))
      // Once more as long as it would last.
      yield* broker.position(freshTopic())
      yield* until(Effect.map(keys, (left) => left.join() === `short:{${used}}:state`))
      assert.deepStrictEqual(yield* broker.position(used), position)
      assert.deepStrictEqual(seen, [])
    })
  )

  it.live("names of topics and members may have any characters", () =>
    Effect.gen(function* () {
      const broker = yield* node(server.url)
      const topic = `{}%7D}🚀 ${freshTopic()}`
      const { seen } = yield* listen(broker, topic)
      yield* publish(broker, topic, "text")
      yield* untilTrue(() => seen.length === 1)
      const entry = { key: 'a":]\n🚀', session: "\u0000:1:", meta: ":🚀\n" }
      const changes: Array<TopicBroker.PresenceChange> = []
      yield* broker.presence.changes(topic, (change) => {
        changes.push(change)
      })
      yield* broker.presence.set(topic, entry, "1 minute")
      assert.deepStrictEqual(yield* broker.presence.list(topic), [entry])
      yield* untilTrue(() => changes.length === 1)
      assert.deepStrictEqual(changes, [{ _tag: "Entered", entry }])
    })
  )

  it.live("topics go over TLS to a server whose certificate is trusted, and to no other one", () =>
    Effect.gen(function* () {
      const tlsServer = yield* Effect.promise(() => RedisServer.startTls())
      if (tlsServer === undefined) {
        console.log("There is no openssl, or a Redis without TLS, on this machine: the test over TLS is skipped")
        return
      }
      yield* Effect.addFinalizer(() => Effect.promise(() => tlsServer.stop()))
      const url = `rediss://127.0.0.1:${tlsServer.tlsPort}`
      const ca = readFileSync(tlsServer.certificate)
      const broker = yield* node(url, { client: { url, socket: { tls: true, ca } } })
      const topic = freshTopic()
      const { position, seen } = yield* listen(broker, topic)
      yield* publish(broker, topic, "text")
      yield* untilTrue(() => seen.length === 1)
      const page = yield* broker.history(topic, { since: position, limit: 10 })
      assert.deepStrictEqual([seen, page.publications.map(textOf)], [["text"], ["text"]])
      const stranger = yield* node(url, { timeout: "200 millis" })
      // A busy machine may take longer than that to refuse the certificate.
      const refused = Effect.map(Effect.flip(stranger.position(topic)), ({ message }) => message)
      yield* until(Effect.map(refused, (message) => message.includes("self-signed certificate")))
    })
  )

  it.live("a subscription that the server refuses fails at once", () =>
    Effect.gen(function* () {
      yield* command("ACL", "SETUSER", "mute", "on", ">secret", "~*", "resetchannels", "+@all")
      const { port } = new URL(server.url)
      const broker = yield* node(`redis://mute:secret@127.0.0.1:${port}`, { timeout: "5 seconds" })
      const topic = freshTopic()
      assert.strictEqual((yield* broker.position(topic)).offset, 0)
      const subscribe = Effect.flip(Effect.scoped(broker.subscribe(topic, () => {})))
      const { message, reason } = yield* subscribe
      assert.deepStrictEqual([reason, message.includes("NOPERM")], ["Unavailable", true])
    })
  )

  it.live("the options may come from a configuration", () =>
    Effect.gen(function* () {
      const topic = freshTopic()
      const layer = RedisTopicBroker.layerConfig(Config.succeed({ client: { url: server.url } }))
      const position = Effect.flatMap(TopicBroker.TopicBroker, (broker) => eventually(broker.position(topic)))
      assert.strictEqual((yield* Effect.provide(position, layer)).offset, 0)
      const invalid = RedisTopicBroker.layerConfig(Config.succeed({ history: { maxBytes: -1 } }))
      const exit = yield* Effect.exit(Effect.scoped(Layer.build(invalid)))
      assert.isTrue(Exit.isFailure(exit) && String(exit).includes("history.maxBytes must be an integer from 0"))
    })
  )
})
