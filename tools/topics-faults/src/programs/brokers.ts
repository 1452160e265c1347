/** The brokers as a node uses them. All of them notice soon when something is wrong. */
import { MemoryTopicBroker, type TopicBroker } from "@effect-websocket/platform"
import { NatsTopicBroker } from "@effect-websocket/topics-nats"
import { RedisTopicBroker } from "@effect-websocket/topics-redis"
import type { Layer } from "effect"
import type { Settings } from "./protocol.js"

// Nothing of a run may leave the history, so that each gap has another reason.
const history = { maxPublications: 1_000_000, maxBytes: 2 ** 26, maxAge: "1 day" } as const
const idempotency = { maxKeys: 1_000_000, maxAge: "1 day" } as const

export const layers: Readonly<Record<Settings["broker"], (port: number) => Layer.Layer<TopicBroker.TopicBroker>>> = {
  memory: () => MemoryTopicBroker.layer({ history, idempotency }),
  redis: (port) =>
    RedisTopicBroker.layer({
      client: { url: `redis://127.0.0.1:${port}` },
      history,
      idempotency,
      // A subscription notices a flushed server after a third of this. A topic that no node can reach for so long is forgotten,
      // which the model takes for a loss. It is longer than the faults of a run.
      unusedAge: "15 seconds",
      timeout: "500 millis",
      heartbeat: "200 millis"
    }),
  nats: (port) =>
    NatsTopicBroker.layer({
      client: { servers: `127.0.0.1:${port}` },
      history,
      idempotency: { maxAge: idempotency.maxAge },
      timeout: "500 millis",
      heartbeat: "200 millis"
    })
}
