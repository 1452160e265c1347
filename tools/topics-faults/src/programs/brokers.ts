/** The brokers as a node uses them. All of them notice soon when something is wrong. */
import { MemoryTopicBroker, type TopicBroker } from "@effect-websocket/platform"
import { RedisTopicBroker } from "@effect-websocket/topics-redis"
import type { Layer } from "effect"
import type { Settings } from "./protocol.js"

// Nothing of a run may leave the history, so that each gap has another reason.
const history = { maxPublications: 1_000_000, maxBytes: 2 ** 30, maxAge: "1 day" } as const
const idempotency = { maxKeys: 1_000_000, maxAge: "1 day" } as const

export const layers: Readonly<Record<Settings["broker"], (port: number) => Layer.Layer<TopicBroker.TopicBroker>>> = {
  memory: () => MemoryTopicBroker.layer({ history, idempotency }),
  redis: (port) =>
    RedisTopicBroker.layer({
      client: { url: `redis://127.0.0.1:${port}` },
      history,
      idempotency,
      // A subscription notices a flushed server after a third of this.
      unusedAge: "15 seconds",
      timeout: "500 millis",
      heartbeat: "200 millis"
    })
}
