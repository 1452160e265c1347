/** What happens when the server, a connection or a process fails. docs/topics-nats.md has a table of it. */
import type { PresenceChange } from "@effect-websocket/platform/TopicBroker"
import * as NatsTopicBroker from "@effect-websocket/topics-nats/NatsTopicBroker"
import * as Message from "@effect-websocket/protocol/Message"
import { readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { node } from "./brokers.js"
import { hasNats, NatsServer } from "./nats.js"
import {
  Effect,
  afterAll,
  assert,
  beforeAll,
  brokerFaults,
  describe,
  eventually,
  freshTopic,
  it,
  listen,
  proxyTo,
  publish,
  recordLog,
  textOf,
  untilTrue
} from "./platform.js"

const ann = { key: "ann", session: "1", meta: "{}" }

describe.skipIf(!hasNats)("faults of NATS", () => {
  let server: NatsServer
  beforeAll(async () => {
    server = await NatsServer.start()
  })
  afterAll(() => server?.stop())

  const overPort = (port: number) => `nats://127.0.0.1:${port}`

  brokerFaults({
    server: () => server,
    node: (port, options) => node(overPort(port), options),
    connections: 1,
    refused: "connection refused"
  })

  const anotherServer = Effect.acquireRelease(
    Effect.promise(() => NatsServer.start()),
    (another) => Effect.promise(() => another.stop())
  )

  it.live("a server that was killed and started again has lost nothing, and every subscription is told", () =>
    Effect.gen(function* () {
      const broker = yield* node(server.url)
      const topic = freshTopic()
      const { seen, epochs } = yield* listen(broker, topic)
      const publishOnce = broker.publish(topic, Message.text("before"), { idempotencyKey: "key" })
      const before = yield* publishOnce
      yield* broker.presence.set(topic, ann, "1 minute")
      yield* untilTrue(() => seen.length === 1)
      yield* Effect.promise(() => server.restart())
      yield* untilTrue(() => seen.includes("!"))
      assert.deepStrictEqual(yield* eventually(publishOnce), { ...before, isDuplicate: true })
      const after = yield* publish(broker, topic, "after")
      yield* untilTrue(() => seen.includes("after"))
      assert.deepStrictEqual(after.position, { ...before.position, offset: 2 })
      assert.strictEqual(epochs.size, 1)
      const page = yield* broker.history(topic, { since: { ...before.position, offset: 0 }, limit: 10 })
      assert.deepStrictEqual([page.isComplete, page.publications.map(textOf)], [true, ["before", "after"]])
      assert.deepStrictEqual(yield* broker.presence.list(topic), [ann])
    })
  )

  it.live("a server that has lost acknowledged publications begins another epoch once a process notices", () =>
    Effect.gen(function* () {
      const another = yield* anotherServer
      const broker = yield* node(another.url)
      const topic = freshTopic()
      const { seen } = yield* listen(broker, topic)
      yield* publish(broker, topic, "1")
      const { position } = yield* publish(broker, topic, "2")
      yield* untilTrue(() => seen.length === 2)
      yield* Effect.promise(() =>
        another.restart(() => {
          const streams = join(another.store, "jetstream", "$G", "streams")
          for (const stream of readdirSync(streams)) rmSync(join(streams, stream, "msgs"), { recursive: true })
        })
      )
      yield* untilTrue(() => seen.includes("!"))
      const page = yield* eventually(broker.history(topic, { since: { ...position, offset: 0 }, limit: 10 }))
      assert.deepStrictEqual([page.isComplete, page.newest.offset], [false, 0])
      assert.notStrictEqual(page.newest.epoch, position.epoch)
    })
  )

  it.live("a stream that was deleted is a gap, also for a publisher that does not know", () =>
    Effect.gen(function* () {
      const broker = yield* node(server.url)
      const topic = freshTopic()
      const { seen } = yield* listen(broker, topic)
      const before = yield* publish(broker, topic, "one")
      yield* untilTrue(() => seen.length === 1)
      const manager = yield* Effect.promise(() => server.manager())
      for (const stream of yield* Effect.promise(() => server.streams())) {
        yield* Effect.promise(() => manager.streams.delete(stream))
      }
      const after = yield* publish(broker, topic, "two")
      assert.strictEqual(after.position.offset, 1)
      assert.notStrictEqual(after.position.epoch, before.position.epoch)
      yield* untilTrue(() => seen.includes("two"))
      const page = yield* broker.history(topic, { since: before.position, limit: 10 })
      assert.isFalse(page.isComplete)
    })
  )

  it.live("two processes that begin with a topic at the same time make it once", () =>
    Effect.gen(function* () {
      const brokers = [yield* node(server.url), yield* node(server.url), yield* node(server.url)]
      for (let round = 0; round < 5; round++) {
        const topic = freshTopic()
        const positions = yield* Effect.forEach(brokers, (broker) => broker.position(topic), {
          concurrency: "unbounded"
        })
        assert.strictEqual(new Set(positions.map(({ epoch }) => epoch)).size, 1)
      }
    })
  )

  it.live("a connection that is lost is logged once, and again when there is another one", () =>
    Effect.gen(function* () {
      const proxy = yield* proxyTo(server.port)
      const { entries, layer } = recordLog()
      const broker = yield* Effect.provide(NatsTopicBroker.make({ client: { servers: overPort(proxy.port) } }), layer)
      yield* eventually(broker.position("topic"))
      proxy.cut()
      yield* untilTrue(() => entries.length > 1)
      assert.match(entries[0] ?? "", /^WARN There is no connection to NATS, so operations fail: \S/)
      assert.deepStrictEqual(entries.slice(1), ["INFO There is a connection to NATS again"])
    })
  )

  it.live("whoever listens to presence over a connection that is cut is told, and then knows who expires", () =>
    Effect.gen(function* () {
      const proxy = yield* proxyTo(server.port)
      const [other, watcher] = [yield* node(server.url), yield* node(overPort(proxy.port))]
      const topic = freshTopic()
      const seen: Array<string> = []
      yield* watcher.presence.changes(topic, (change: PresenceChange) => {
        seen.push(change._tag === "Interrupted" ? "!" : `${change._tag} ${change.entry.key}`)
      })
      yield* other.presence.set(topic, ann, "1 minute")
      yield* untilTrue(() => seen.length === 1)
      proxy.cut()
      yield* other.presence.set(topic, { ...ann, key: "bob" }, "300 millis")
      yield* other.presence.remove(topic, "ann", "1")
      yield* untilTrue(() => seen.includes("!"))
      yield* untilTrue(() => seen.includes("Left bob"))
      assert.deepStrictEqual(yield* watcher.presence.list(topic), [])
    })
  )
})
