import * as TopicBroker from "@effect-websocket/platform/TopicBroker"
import * as RedisTopicBroker from "@effect-websocket/topics-redis/RedisTopicBroker"
import { createClient } from "@redis/client"
import {
  afterAll,
  assert,
  beforeAll,
  describe,
  Effect,
  it,
  listen,
  publish,
  textOf,
  until,
  untilTrue
} from "../platform.js"
import { hasRedis, RedisServer } from "../redis.js"

describe.skipIf(!hasRedis)("over the client of the app", () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start()
  })
  afterAll(() => server?.stop())

  const connections = Effect.promise(
    async () => String(await server.command("CLIENT", "LIST")).match(/name=app/g)?.length
  )
  /** A client of the app, whose options are not all those of the broker. */
  const appClient = Effect.acquireRelease(
    Effect.promise(async () => {
      const client = createClient({ url: server.url, name: "app", pingInterval: 1000, commandOptions: { timeout: 1 } })
      client.on("error", () => {})
      await client.connect()
      return client
    }),
    (client) => Effect.sync(() => client.isOpen && client.destroy())
  )

  it.live("it publishes and reads over the client, and has one connection of its own", () =>
    Effect.gen(function* () {
      const client = yield* appClient
      const broker = yield* RedisTopicBroker.fromClient(client, { history: { maxPublications: 2 } })
      const { position, seen } = yield* listen(broker, "topic")
      assert.strictEqual(yield* connections, 2)
      for (const text of ["a", "b", "ü"]) yield* publish(broker, "topic", text)
      yield* untilTrue(() => seen.length === 3)
      assert.deepStrictEqual(seen, ["a", "b", "ü"])
      const { publications } = yield* broker.history("topic", { limit: 10 })
      assert.deepStrictEqual(publications.map(textOf), ["b", "ü"])
      assert.isFalse((yield* broker.history("topic", { since: position, limit: 10 })).isComplete)
      assert.isTrue(client.isOpen)
    })
  )

  it.live("a subscription goes on after both connections broke", () =>
    Effect.gen(function* () {
      const client = yield* appClient
      const broker = yield* RedisTopicBroker.fromClient(client, { timeout: "2 seconds" })
      const { seen } = yield* listen(broker, "broken")
      yield* Effect.promise(() => server.command("CLIENT", "KILL", "SKIPME", "yes"))
      yield* untilTrue(() => seen.includes("!"))
      yield* publish(broker, "broken", "later")
      yield* untilTrue(() => seen.includes("later"))
    })
  )

  it.live("operations fail if the client is not connected, and once the broker has ended", () =>
    Effect.gen(function* () {
      const client = createClient({ url: server.url })
      const ended = yield* Effect.scoped(
        Effect.gen(function* () {
          const broker = yield* RedisTopicBroker.fromClient(client, { timeout: "20 millis" })
          const error = yield* Effect.flip(publish(broker, "topic", "a"))
          assert.instanceOf(error, TopicBroker.TopicError)
          assert.strictEqual(error.reason, "Unavailable")
          return broker
        })
      )
      assert.strictEqual((yield* Effect.flip(ended.position("topic"))).reason, "Unavailable")
    })
  )

  it.live("if the server has become a replica, operations fail, and the subscriptions begin again", () =>
    Effect.gen(function* () {
      const client = yield* appClient
      const broker = yield* RedisTopicBroker.fromClient(client)
      const { seen } = yield* listen(broker, "replica")
      yield* Effect.promise(() => server.command("REPLICAOF", "127.0.0.1", "1"))
      yield* Effect.flip(publish(broker, "replica", "a"))
      yield* until(Effect.sync(() => seen.includes("!")))
      yield* Effect.promise(() => server.command("REPLICAOF", "NO", "ONE"))
      yield* publish(broker, "replica", "b")
    })
  )
})
