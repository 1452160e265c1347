import * as TopicBroker from "@effect-websocket/platform/TopicBroker"
import * as NatsTopicBroker from "@effect-websocket/topics-nats/NatsTopicBroker"
import { afterAll, beforeAll, describe, Effect, topicBrokerLaws } from "./platform.js"
import { hasNats, NatsServer } from "./nats.js"

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
})
