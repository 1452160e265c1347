import {
  Presence,
  type TopicBroker,
  Topics,
  TopicsClient,
  TopicsServer,
  type UpgradeCheck,
  WebSocketServer,
  type WebSocketClient
} from "@effect-websocket/platform"
import type { Stream } from "effect"
import { expect, test } from "tstyche"
import { Context, type Effect, type Layer, type Scope } from "../test/effect/index.js"

class Users extends Context.Service<Users, ReadonlySet<string>>()("Users") {}

declare const isMember: (access: Topics.Access) => Effect.Effect<boolean, never, Users>
declare const namesOf: (keys: ReadonlyArray<string>) => Effect.Effect<ReadonlyMap<string, number>, "failed", Users>
declare const client: TopicsClient.TopicsClient
declare const check: UpgradeCheck.Check<{ readonly user: string }>

const plain = Topics.rule("rooms/*", { subscribe: true })
const withUsers = Topics.rule("rooms/*", { publish: isMember, presence: true })

test("a handler has the services of its rules", () => {
  expect(WebSocketServer.layerHandler(TopicsServer.handler({ rules: [plain] }))).type.toBe<
    Layer.Layer<never, never, WebSocketServer.WebSocketServer | Topics.Topics | Presence.Presence>
  >()
  expect(WebSocketServer.layerHandler(TopicsServer.handler({ rules: [withUsers] }))).type.toBe<
    Layer.Layer<never, never, WebSocketServer.WebSocketServer | Topics.Topics | Presence.Presence | Users>
  >()
})

test("the options may depend on the value of the check", () => {
  expect(
    WebSocketServer.layerHandler(
      TopicsServer.handler((socket: WebSocketServer.ServerWebSocket<"messages", { readonly user: string }>) => ({
        rules: [plain],
        owner: socket.value.user
      })),
      { check }
    )
  ).type.toBe<Layer.Layer<never, never, WebSocketServer.WebSocketServer | Topics.Topics | Presence.Presence>>()
})

test("a client has one kind of error", () => {
  expect(TopicsClient.make("ws://test")).type.toBe<
    Effect.Effect<TopicsClient.TopicsClient, never, WebSocketClient.WebSocketClient | Scope.Scope>
  >()
  expect(client.subscribe("a")).type.toBe<Stream.Stream<Topics.TopicEvent, TopicBroker.TopicError>>()
  expect(client.publish("a", "text")).type.toBe<Effect.Effect<TopicBroker.Position, TopicBroker.TopicError>>()
})

test("profiles have the type, the error and the services of the app", () => {
  expect(client.presence("a").pipe(Presence.withProfiles(namesOf))).type.toBe<
    Stream.Stream<Presence.PresenceEvent<Presence.Profiled<number>>, TopicBroker.TopicError | "failed", Users>
  >()
})
