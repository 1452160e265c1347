/** What happens when the server, a connection or a process fails. docs/topics-redis.md has a table of it. */
import * as RedisTopicBroker from "@effect-websocket/topics-redis/RedisTopicBroker"
import { node } from "./brokers.js"
import {
  Effect,
  Fiber,
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
  until,
  untilTrue
} from "./platform.js"
import { hasRedis, RedisServer, RefusingServer } from "./redis.js"

const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

describe.skipIf(!hasRedis)("faults of Redis", () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start()
  })
  afterAll(() => server?.stop())
  const command = (...args: ReadonlyArray<string>) => Effect.promise(() => server.command(...args))

  brokerFaults({
    server: () => server,
    node: (port, options) => node(`redis://127.0.0.1:${port}`, options),
    connections: 2,
    refused: "ECONNREFUSED"
  })

  it.live("a server that was started again with its data has the history, and new epochs all the same", () =>
    Effect.gen(function* () {
      const lasting = yield* Effect.acquireRelease(
        Effect.promise(() => RedisServer.start("--appendonly", "yes", "--appendfsync", "always")),
        (lasting) => Effect.promise(() => lasting.stop())
      )
      const broker = yield* node(lasting.url)
      const topic = freshTopic()
      const { seen } = yield* listen(broker, topic)
      const { position } = yield* publish(broker, topic, "before")
      yield* Effect.promise(() => lasting.restart())
      yield* untilTrue(() => seen.includes("!"))
      const page = yield* eventually(broker.history(topic, { limit: 10 }))
      assert.deepStrictEqual(page.publications.map(textOf), ["before"])
      assert.notStrictEqual(page.newest.epoch, position.epoch)
      assert.isFalse((yield* broker.history(topic, { since: position, limit: 10 })).isComplete)
    })
  )

  it.live("a server whose memory is full refuses publications and sessions, and loses nothing", () =>
    Effect.gen(function* () {
      const broker = yield* node(server.url)
      const topic = freshTopic()
      const ann = { key: "ann", session: "1", meta: "{}" }
      const { seen } = yield* listen(broker, topic)
      const { position } = yield* publish(broker, topic, "one")
      yield* command("CONFIG", "SET", "maxmemory", "1")
      const refused = [
        yield* Effect.flip(publish(broker, topic, "refused")),
        yield* Effect.flip(broker.presence.set(topic, ann, "1 minute"))
      ]
      for (const { message, reason } of refused) {
        assert.deepStrictEqual([reason, message.includes("OOM")], ["Unavailable", true])
      }
      assert.deepStrictEqual((yield* broker.history(topic, { limit: 10 })).newest, position)
      yield* command("CONFIG", "SET", "maxmemory", "0")
      const { position: next } = yield* publish(broker, topic, "two")
      assert.deepStrictEqual(next, { ...position, offset: position.offset + 1 })
      yield* untilTrue(() => seen.length === 2)
      assert.deepStrictEqual(seen, ["one", "two"])
    }).pipe(Effect.ensuring(command("CONFIG", "SET", "maxmemory", "0")))
  )

  it.live("a server of a cluster that does not have the slot of a topic refuses it", () =>
    Effect.gen(function* () {
      const member = yield* Effect.acquireRelease(
        Effect.promise(() => RedisServer.start("--cluster-enabled", "yes")),
        (member) => Effect.promise(() => member.stop())
      )
      const broker = yield* node(member.url)
      const { message, reason } = yield* Effect.flip(publish(broker, freshTopic(), "refused"))
      assert.deepStrictEqual([reason, message.includes("CLUSTERDOWN")], ["Unavailable", true])
    })
  )

  it.live.each(["NOAUTH Authentication required.", "LOADING Redis is loading the dataset in memory"])(
    "a server that refuses every command with %s is logged at the start",
    (refusal) =>
      Effect.gen(function* () {
        const refusing = yield* Effect.promise(() => RefusingServer.start(refusal))
        yield* Effect.addFinalizer(() => Effect.sync(() => refusing.stop()))
        const { entries, layer } = recordLog()
        const broker = yield* Effect.provide(
          RedisTopicBroker.make({ client: { url: refusing.url }, timeout: "500 millis" }),
          layer
        )
        yield* untilTrue(() => entries.length > 0)
        const failure = yield* Effect.flip(broker.position("topic"))
        assert.deepStrictEqual(entries, [`WARN There is no connection to Redis, so operations fail: ${refusal}`])
        assert.strictEqual(failure.message, `The broker failed for the topic "topic": ${refusal}`)
      })
  )

  it.live("a server that cannot be reached is logged once, and again when it can be", () =>
    Effect.gen(function* () {
      const proxy = yield* proxyTo(1)
      const { entries, layer } = recordLog()
      const url = `redis://127.0.0.1:${proxy.port}`
      const broker = yield* Effect.provide(RedisTopicBroker.make({ client: { url } }), layer)
      yield* untilTrue(() => entries.length > 0)
      assert.match(entries[0] ?? "", /^WARN There is no connection to Redis, so operations fail: \S/)
      proxy.switchTo(server.port)
      yield* eventually(broker.position("topic"))
      yield* untilTrue(() => entries.length > 1)
      assert.deepStrictEqual(entries.slice(1), ["INFO There is a connection to Redis again"])
    })
  )

  it.live("a subscription that begins while an earlier one ends, at any moment, gets everything", () =>
    Effect.gen(function* () {
      const broker = yield* node(server.url)
      const turns = (count: number) => Effect.forEach(Array.from({ length: count }), () => turn, { discard: true })
      for (let before = 0; before < 12; before++) {
        for (let between = 0; between < 12; between++) {
          const topic = `ending/${before}/${between}`
          const ended = yield* Effect.scoped(
            Effect.as(Effect.andThen(Effect.forkScoped(broker.subscribe(topic, () => {})), turns(before)), true)
          )
          assert.isTrue(ended)
          yield* turns(between)
          let got = 0
          yield* Effect.scoped(
            Effect.gen(function* () {
              yield* broker.subscribe(topic, () => void got++)
              yield* publish(broker, topic, "1")
              yield* until(Effect.sync(() => got === 1))
            })
          )
        }
      }
    })
  )

  it.live("scripts that the server has forgotten are sent again", () =>
    Effect.gen(function* () {
      const broker = yield* node(server.url)
      const topic = freshTopic()
      yield* publish(broker, topic, "one")
      yield* command("SCRIPT", "FLUSH")
      assert.strictEqual((yield* publish(broker, topic, "two")).position.offset, 2)
      yield* command("SCRIPT", "FLUSH")
      assert.strictEqual((yield* broker.history(topic, { limit: 2 })).publications.length, 2)
    })
  )

  it.live("a flushed server is a gap, also for those who only listen", () =>
    Effect.gen(function* () {
      const broker = yield* node(server.url, { unusedAge: "300 millis" })
      const topic = freshTopic()
      const { seen } = yield* listen(broker, topic)
      const before = yield* publish(broker, topic, "one")
      yield* untilTrue(() => seen.length === 1)
      yield* command("FLUSHALL")
      yield* untilTrue(() => seen.includes("!"))
      const page = yield* broker.history(topic, { since: before.position, limit: 10 })
      assert.isFalse(page.isComplete)
      assert.strictEqual(page.newest.offset, 0)
    })
  )

  it.live("those who listen to presence notice a flushed server when the next session would have expired", () =>
    Effect.gen(function* () {
      const broker = yield* node(server.url)
      const topic = freshTopic()
      const ann = { key: "ann", session: "1", meta: "{}" }
      yield* broker.presence.set(topic, ann, "300 millis")
      const seen: Array<string> = []
      yield* broker.presence.changes(topic, ({ _tag }) => void seen.push(_tag))
      yield* command("FLUSHALL")
      yield* untilTrue(() => seen.includes("Interrupted"))
      assert.deepStrictEqual(yield* broker.presence.list(topic), [])
    })
  )

  it.live.each(["metas", "expiries"])("presence without its evicted %s begins again", (key) =>
    Effect.gen(function* () {
      const broker = yield* node(server.url)
      const topic = freshTopic()
      const ann = { key: "ann", session: "1", meta: "{}" }
      yield* broker.presence.set(topic, ann, "1 minute")
      yield* command("DEL", `topics:{${topic}}:${key}`)
      assert.deepStrictEqual(yield* broker.presence.list(topic), [])
      yield* broker.presence.set(topic, { ...ann, key: "bob" }, "1 minute")
      assert.deepStrictEqual(yield* broker.presence.list(topic), [{ ...ann, key: "bob" }])
    })
  )

  it.live(
    "a session whose `set` is interrupted does not come back after `remove`, if the server lacks the script",
    () =>
      Effect.gen(function* () {
        const broker = yield* node(server.url)
        const topic = freshTopic()
        const ann = { key: "ann", session: "1", meta: "{}" }
        yield* command("SCRIPT", "FLUSH")
        yield* broker.presence.remove(topic, ann.key, ann.session)
        const setting = yield* Effect.forkChild(broker.presence.set(topic, ann, "1 minute"))
        yield* Effect.yieldNow
        yield* Fiber.interrupt(setting)
        yield* broker.presence.remove(topic, ann.key, ann.session)
        yield* broker.presence.remove(topic, ann.key, ann.session)
        assert.deepStrictEqual(yield* broker.presence.list(topic), [])
      })
  )

  it.live.each(["state", "log", "sizes"])("history without its evicted %s is never complete", (key) =>
    Effect.gen(function* () {
      const broker = yield* node(server.url)
      const topic = freshTopic()
      const start = yield* broker.position(topic)
      yield* publish(broker, topic, "one")
      yield* command("DEL", `topics:{${topic}}:${key}`)
      const page = yield* broker.history(topic, { since: start, limit: 10 })
      assert.deepStrictEqual([page.isComplete, page.publications], [false, []])
      const { position } = yield* publish(broker, topic, "two")
      const later = yield* broker.history(topic, { since: page.newest, limit: 10 })
      assert.deepStrictEqual([later.isComplete, later.newest], [true, position])
      assert.deepStrictEqual(later.publications.map(textOf), ["two"])
    })
  )

  it.live.each(["state", "log", "sizes"])("all keys of a topic expire after a publish without its evicted %s", (key) =>
    Effect.gen(function* () {
      const broker = yield* node(server.url)
      const topic = freshTopic()
      yield* publish(broker, topic, "one")
      const { position } = yield* publish(broker, topic, "two")
      yield* command("DEL", `topics:{${topic}}:${key}`)
      yield* publish(broker, topic, "three")
      for (const each of ["state", "log", "sizes"]) {
        assert.isAbove(Number(yield* command("PTTL", `topics:{${topic}}:${each}`)), 0)
      }
      assert.deepStrictEqual((yield* broker.history(topic, { limit: 10 })).publications.map(textOf), ["three"])
      const behind = { ...position, offset: position.offset - 1 }
      assert.isFalse((yield* broker.history(topic, { since: behind, limit: 10 })).isComplete)
    })
  )

  it.live("a replica that lacks the newest publications begins another epoch when it takes over", () =>
    Effect.gen(function* () {
      const replica = yield* Effect.promise(() => RedisServer.start())
      yield* Effect.addFinalizer(() => Effect.promise(() => replica.stop()))
      const proxy = yield* proxyTo(server.port)
      yield* Effect.promise(() => replica.command("REPLICAOF", "127.0.0.1", String(server.port)))
      const broker = yield* node(`redis://127.0.0.1:${proxy.port}`)
      const topic = freshTopic()
      yield* publish(broker, topic, "1")
      const key = `topics:{${topic}}:log`
      yield* until(
        Effect.map(
          Effect.promise(() => replica.command("XLEN", key)),
          (length) => length === 1
        )
      )
      // From now on it lags.
      yield* Effect.promise(() => replica.command("REPLICAOF", "NO", "ONE"))
      const { seen } = yield* listen(broker, topic)
      yield* publish(broker, topic, "2")
      const lost = yield* publish(broker, topic, "3")
      yield* untilTrue(() => seen.length === 2)
      proxy.switchTo(replica.port)
      yield* eventually(publish(broker, topic, "2 again"))
      yield* publish(broker, topic, "3 again")
      const newest = yield* publish(broker, topic, "4")
      yield* untilTrue(() => seen.includes("!"))
      assert.notStrictEqual(newest.position.epoch, lost.position.epoch)
      assert.isAbove(newest.position.offset, lost.position.offset)
      const page = yield* broker.history(topic, { since: lost.position, limit: 10 })
      assert.isFalse(page.isComplete)
      // The history itself is still there.
      const all = yield* broker.history(topic, { limit: 10 })
      assert.deepStrictEqual(all.publications.map(textOf), ["1", "2 again", "3 again", "4"])
    })
  )

  it.live("a server that becomes a replica is left, and looked for again", () =>
    Effect.gen(function* () {
      const broker = yield* node(server.url)
      const topic = freshTopic()
      const { seen } = yield* listen(broker, topic)
      yield* command("REPLICAOF", "127.0.0.1", "1")
      const failure = yield* Effect.flip(publish(broker, topic, "refused"))
      assert.deepStrictEqual([failure.reason, failure.message.includes("READONLY")], ["Unavailable", true])
      yield* command("REPLICAOF", "NO", "ONE")
      yield* eventually(publish(broker, topic, "two"))
      yield* untilTrue(() => seen.includes("!"))
    })
  )
})
