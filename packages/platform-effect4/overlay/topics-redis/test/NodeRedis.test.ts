/** Effect 4 has a service for the clients of Redis. */
import * as RedisTopicBroker from "@effect-websocket/topics-redis/RedisTopicBroker"
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import { afterAll, beforeAll, describe, Effect, Layer, topicBrokerLaws } from "./platform.js"
import { hasRedis, RedisServer } from "./redis.js"

describe.skipIf(!hasRedis)("over NodeRedis", () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start()
  })
  afterAll(() => server?.stop())

  topicBrokerLaws(
    "RedisTopicBroker over NodeRedis",
    Layer.unwrap(
      Effect.sync(() =>
        Layer.orDie(
          Layer.provide(
            RedisTopicBroker.layerClient(Effect.map(NodeRedis.NodeRedis, ({ client }) => client)),
            NodeRedis.layer({ url: server.url })
          )
        )
      )
    )
  )
})
