/** What happens when the server, a connection or a process fails. docs/topics-nats.md has a table of it. */
import type { PresenceChange, TopicError } from "@effect-websocket/platform/TopicBroker"
import * as NatsTopicBroker from "@effect-websocket/topics-nats/NatsTopicBroker"
import * as Message from "@effect-websocket/protocol/Message"
import { readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { eventually, listen, node, publish, textOf, until, untilTrue } from "./brokers.js"
import { hasNats, NatsServer, Proxy } from "./nats.js"
import { Effect, Exit, Fiber, Logger, Scope, afterAll, assert, beforeAll, describe, it } from "./platform.js"

const numbers = (from: number, to: number): ReadonlyArray<string> =>
  Array.from({ length: to - from + 1 }, (_, index) => String(from + index))

let made = 0
const freshTopic = (): string => `faults/${++made}`

const ann = { key: "ann", session: "1", meta: "{}" }

describe.skipIf(!hasNats)("faults of NATS", () => {
  let server: NatsServer
  beforeAll(async () => {
    server = await NatsServer.start()
  })
  afterAll(() => server?.stop())

  const proxyTo = (target: NatsServer) =>
    Effect.acquireRelease(
      Effect.promise(() => Proxy.start(target.port)),
      (proxy) => Effect.sync(() => proxy.stop())
    )
  const anotherServer = Effect.acquireRelease(
    Effect.promise(() => NatsServer.start()),
    (another) => Effect.promise(() => another.stop())
  )

  it.live("a subscriber whose connection is cut while others publish is told, and the history has the rest", () =>
    Effect.gen(function* () {
      const proxy = yield* proxyTo(server)
      const [publisher, subscriber] = [yield* node(server.url), yield* node(proxy.url)]
      const topic = freshTopic()
      const { position, seen } = yield* listen(subscriber, topic)
      const publishing = yield* Effect.forkChild(
        Effect.forEach(numbers(1, 200), (text) =>
          Effect.andThen(publish(publisher, topic, text), Effect.sleep("1 millis"))
        )
      )
      yield* untilTrue(() => seen.length > 20)
      proxy.cut()
      yield* untilTrue(() => seen.includes("!"))
      const interruption = seen.indexOf("!")
      const behind = { ...position, offset: interruption }
      // What was published before the sign is in the history, and the rest arrives behind the sign.
      const page = yield* subscriber.history(topic, { since: behind, limit: 1000 })
      yield* Fiber.join(publishing)
      yield* untilTrue(() => seen.at(-1) === "200")
      assert.deepStrictEqual(seen.slice(0, interruption), numbers(1, interruption))
      assert.isTrue(page.isComplete)
      const recovered = page.publications.map(textOf)
      assert.deepStrictEqual(
        [...new Set([...recovered, ...seen.slice(interruption + 1)])],
        numbers(interruption + 1, 200)
      )
    })
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

  it.live("a server that was started again without its data has new epochs, and every subscription is told", () =>
    Effect.gen(function* () {
      const broker = yield* node(server.url)
      const topic = freshTopic()
      const { position, seen, epochs } = yield* listen(broker, topic)
      yield* publish(broker, topic, "before")
      yield* broker.presence.set(topic, ann, "1 minute")
      yield* untilTrue(() => seen.length === 1)
      yield* Effect.promise(() => server.restart(() => server.wipe()))
      yield* untilTrue(() => seen.includes("!"))
      const after = yield* eventually(publish(broker, topic, "after"))
      yield* untilTrue(() => seen.includes("after"))
      assert.strictEqual(epochs.size, 2)
      assert.notStrictEqual(after.position.epoch, position.epoch)
      assert.isFalse((yield* broker.history(topic, { since: position, limit: 10 })).isComplete)
      assert.deepStrictEqual(yield* broker.presence.list(topic), [])
      yield* broker.presence.set(topic, ann, "1 minute")
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

  it.live("a server that does not reply makes operations fail in time, and a subscriber loses nothing", () =>
    Effect.gen(function* () {
      const broker = yield* node(server.url)
      const topic = freshTopic()
      const { seen } = yield* listen(broker, topic)
      const { position } = yield* publish(broker, topic, "one")
      yield* untilTrue(() => seen.includes("one"))
      server.signal("SIGSTOP")
      // It may still reply to what comes before the signal does.
      const late = yield* Effect.flip(Effect.forever(publish(broker, topic, "late")))
      assert.include(late.message, "did not answer within 1000 ms")
      const failing = Effect.all(
        [
          Effect.flip(publish(broker, topic, "maybe")),
          Effect.flip(broker.position(topic)),
          Effect.flip(broker.presence.list(topic))
        ],
        { concurrency: "unbounded" }
      )
      const failures = yield* failing
      // By the end of this, a heartbeat of the subscriber has failed, too.
      yield* failing
      server.signal("SIGCONT")
      assert.deepStrictEqual(
        failures.map(({ reason }) => reason),
        ["Unavailable", "Unavailable", "Unavailable"]
      )
      yield* eventually(publish(broker, topic, "two"))
      yield* untilTrue(() => seen.includes("!"))
      const page = yield* eventually(broker.history(topic, { since: position, limit: 10 }))
      assert.isTrue(page.isComplete)
      assert.strictEqual(page.publications.map(textOf).at(-1), "two")
    }).pipe(Effect.ensuring(Effect.sync(() => server.signal("SIGCONT"))))
  )

  it.live("two processes share topics, removals included", () =>
    Effect.gen(function* () {
      const [one, other] = [yield* node(server.url), yield* node(server.url)]
      const topic = freshTopic()
      const [ours, theirs] = [yield* listen(one, topic), yield* listen(other, topic)]
      for (const text of numbers(1, 20)) yield* publish(Number(text) % 2 === 0 ? one : other, topic, text)
      yield* untilTrue(() => ours.seen.length >= 20 && theirs.seen.length >= 20)
      // Each publication once, also to the process that has published it.
      assert.deepStrictEqual([ours.seen, theirs.seen], [numbers(1, 20), numbers(1, 20)])
      yield* one.remove(topic)
      yield* untilTrue(() => ours.seen.includes("!") && theirs.seen.includes("!"))
      assert.notStrictEqual((yield* other.position(topic)).epoch, ours.position.epoch)
      yield* one.remove(freshTopic())
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

  it.live("the sessions of a process that crashed leave when they expire, once", () =>
    Effect.gen(function* () {
      const watchers = [yield* node(server.url), yield* node(server.url)]
      const topic = freshTopic()
      const left: Array<string> = []
      const watch = (watcher: (typeof watchers)[number]) =>
        watcher.presence.changes(topic, (change) => {
          if (change._tag === "Left") left.push(change.entry.key)
        })
      const scope = yield* Scope.make()
      const crashing = yield* Scope.provide(node(server.url), scope)
      yield* watch(watchers[0]!)
      yield* crashing.presence.set(topic, { ...ann, key: "bob" }, "1 minute")
      yield* crashing.presence.set(topic, ann, "300 millis")
      // This one finds both of them.
      yield* watch(watchers[1]!)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* watchers[1]!.presence.list(topic)).length, 2)
      // Nobody asks: the watchers notice by themselves.
      yield* untilTrue(() => left.length >= 2)
      const rest = yield* watchers[1]!.presence.list(topic)
      assert.deepStrictEqual(
        rest.map(({ key }) => key),
        ["bob"]
      )
      yield* watchers[0]!.presence.remove(topic, "bob", "1")
      yield* untilTrue(() => left.length >= 4)
      assert.deepStrictEqual(left, ["ann", "ann", "bob", "bob"])
    })
  )

  it.live("whoever listens to presence over a connection that is cut is told, and then knows who expires", () =>
    Effect.gen(function* () {
      const proxy = yield* proxyTo(server)
      const [other, watcher] = [yield* node(server.url), yield* node(proxy.url)]
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

  it.live("a server that is not there makes operations fail in time", () =>
    Effect.gen(function* () {
      const broker = yield* node("nats://127.0.0.1:1", { timeout: "100 millis" })
      const failure = yield* Effect.flip(publish(broker, "topic", "text"))
      assert.deepStrictEqual([failure.reason, failure.message.includes("connection refused")], ["Unavailable", true])
      const subscribing: TopicError = yield* Effect.flip(Effect.scoped(broker.subscribe("topic", () => {})))
      assert.strictEqual(subscribing.reason, "Unavailable")
    })
  )

  it.live("a connection that is lost is logged once, and again when there is another one", () =>
    Effect.gen(function* () {
      const proxy = yield* proxyTo(server)
      const entries: Array<string> = []
      const logger = Logger.make<unknown, void>((entry) => {
        entries.push(`${Logger.levelOf(entry)} ${String(entry.message)}`)
      })
      const broker = yield* Effect.provide(
        NatsTopicBroker.make({ client: { servers: proxy.url } }),
        Logger.layer([logger])
      )
      yield* eventually(broker.position("topic"))
      proxy.cut()
      yield* untilTrue(() => entries.length > 1)
      assert.match(entries[0] ?? "", /^WARN There is no connection to NATS, so operations fail: \S/)
      assert.deepStrictEqual(entries.slice(1), ["INFO There is a connection to NATS again"])
    })
  )

  it.live("the connection of a broker ends with its scope, also while it begins, and a subscription with its own", () =>
    Effect.gen(function* () {
      const another = yield* anotherServer
      const proxy = yield* proxyTo(another)
      const scope = yield* Scope.make()
      const broker = yield* Scope.provide(node(proxy.url), scope)
      for (let round = 0; round < 20; round++) {
        const fiber = yield* Effect.forkChild(Effect.scoped(broker.subscribe(freshTopic(), () => {})))
        for (let turn = 0; turn < round; turn++) yield* Effect.yieldNow
        yield* Fiber.interrupt(fiber)
      }
      yield* broker.position(freshTopic())
      assert.strictEqual(proxy.connectionCount, 1)
      yield* Scope.close(scope, Exit.void)
      yield* Effect.scoped(node(proxy.url))
      yield* until(Effect.sync(() => proxy.connectionCount === 0))
      assert.include((yield* Effect.flip(broker.position("topic"))).message, "has ended")
    })
  )
})
