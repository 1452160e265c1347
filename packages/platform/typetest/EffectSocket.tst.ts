import * as EffectSocket from "@effect-websocket/platform/EffectSocket"
import { WebSocketRpcClient } from "@effect-websocket/platform/rpc"
import type { WebSocketClient } from "@effect-websocket/platform/WebSocketClient"
import type { Effect, Layer, Scope } from "effect"
import { expect, test } from "tstyche"

declare const url: Effect.Effect<string, "no token", Token | Scope.Scope>

interface Token {
  readonly token: unique symbol
}

type Services<T> = T extends Layer.Layer<infer _A, infer _E, infer R> ? R : never

test("a socket needs the client and what the effect of its URL needs, and brings its own scope", () => {
  expect<Services<ReturnType<typeof layer>>>().type.toBe<WebSocketClient | Token>()
  expect(EffectSocket.layer("ws://a")).type.toBeAssignableTo<Layer.Layer<EffectSocketOf, never, WebSocketClient>>()
})

test("the options of a socket have no strategy for what is sent", () => {
  expect<EffectSocket.Options>().type.not.toHaveProperty("sendStrategy")
  expect<EffectSocket.Options>().type.not.toHaveProperty("delivery")
})

const layer = () => EffectSocket.layer(url)
type EffectSocketOf = ReturnType<typeof EffectSocket.fromWebSocket>

test("the protocol of a client needs a serialisation besides", () => {
  type Needs = Services<ReturnType<typeof protocol>>
  expect<Exclude<Needs, WebSocketClient | Token>>().type.not.toBe<never>()
  expect<WebSocketClient | Token>().type.toBeAssignableTo<Needs>()
})

const protocol = () => WebSocketRpcClient.layerProtocol(url)
