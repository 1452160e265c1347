import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import * as MemoryTopicBroker from "@effect-websocket/platform/MemoryTopicBroker"
import * as TopicBroker from "@effect-websocket/platform/TopicBroker"
import * as Topics from "@effect-websocket/platform/Topics"
import type { WebSocket } from "@effect-websocket/platform/WebSocket"
import type { Effect, Layer, Scope } from "effect"
import { expect, test } from "tstyche"

interface Users {
  readonly users: unique symbol
}

interface Redis {
  readonly redis: unique symbol
}

declare const socket: WebSocket
declare const isMember: (access: Topics.Access) => Effect.Effect<boolean, TopicBroker.TopicError, Users>
declare const acquire: Effect.Effect<TopicBroker.Service, "no link", Redis | Scope.Scope>

test("the layer of a broker has its own scope, and needs what its effect needs", () => {
  expect(TopicBroker.layer(acquire)).type.toBe<Layer.Layer<TopicBroker.TopicBroker, "no link", Redis>>()
  expect(MemoryTopicBroker.layer()).type.toBe<Layer.Layer<TopicBroker.TopicBroker>>()
})

test("topics need a broker, or none in memory", () => {
  expect(Topics.layerBroker()).type.toBe<Layer.Layer<Topics.Topics, never, TopicBroker.TopicBroker>>()
  expect(Topics.layer()).type.toBe<Layer.Layer<Topics.Topics>>()
})

test("the topics of a connection need what their rules need", () => {
  const rules = [Topics.rule("rooms/*", { subscribe: isMember })]
  expect(Topics.forConnection(socket, { rules })).type.toBe<
    Effect.Effect<Topics.ConnectionTopics<Users>, never, Topics.Topics>
  >()
  expect<ReturnType<Topics.ConnectionTopics<Users>["attach"]>>().type.toBe<
    Effect.Effect<Topics.Started, TopicBroker.TopicError | ConnectionError, Users | Scope.Scope>
  >()
  expect(Topics.forConnection(socket, { rules: [Topics.rule("a", { publish: true })] })).type.toBe<
    Effect.Effect<Topics.ConnectionTopics<never>, never, Topics.Topics>
  >()
})
