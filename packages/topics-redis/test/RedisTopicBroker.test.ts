import * as TopicBroker from "@effect-websocket/platform/TopicBroker"
import * as RedisTopicBroker from "@effect-websocket/topics-redis/RedisTopicBroker"
import { afterAll, beforeAll, describe, Effect, topicBrokerLaws } from "./platform.js"
import { hasRedis, RedisServer } from "./redis.js"

describe.skipIf(!hasRedis)("over Redis", () => {
  let server: RedisServer
  beforeAll(async () => {
    server = await RedisServer.start()
  })
  afterAll(() => server?.stop())

  topicBrokerLaws(
    "RedisTopicBroker",
    TopicBroker.layer(Effect.suspend(() => RedisTopicBroker.make({ client: { url: server.url } })))
  )
})
