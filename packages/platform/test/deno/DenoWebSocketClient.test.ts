import { DenoWebSocketClient } from "@effect-websocket/platform/deno"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import { Config, ConfigProvider, Effect, type Layer } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { restoreGlobals, stubWebSocket } from "../native/stubWebSocket.js"

restoreGlobals()

/** Begins a connection, and drops it. */
const opened = <E>(options: WebSocketClient.ConnectOptions, layer: Layer.Layer<WebSocketClient.WebSocketClient, E>) =>
  Effect.gen(function* () {
    const made = stubWebSocket()
    const socket = yield* WebSocketClient.connect("ws://test/path", options)
    yield* socket.abort
    return made
  }).pipe(Effect.scoped, Effect.provide(layer))

describe("DenoWebSocketClient", () => {
  it.effect("passes subprotocols and headers to the constructor", () =>
    Effect.gen(function* () {
      const client = DenoWebSocketClient.layerWith({ headers: { b: "2" } })
      const [made] = yield* opened({ protocols: ["chat"], headers: { a: "1" } }, client)
      assert.deepStrictEqual(made?.args, ["ws://test/path", { protocols: ["chat"], headers: { b: "2", a: "1" } }])
    })
  )

  it.effect("connects without a service, relative to a base", () =>
    Effect.gen(function* () {
      const made = stubWebSocket()
      const socket = yield* DenoWebSocketClient.connect("other", { baseUrl: "wss://test/path", userAgent: "agent" })
      yield* socket.abort
      assert.deepStrictEqual(made[0]?.args, ["wss://test/other", { protocols: [], headers: { "User-Agent": "agent" } }])
    }).pipe(Effect.scoped)
  )

  it.effect("reads its options from a config", () =>
    Effect.gen(function* () {
      const layer = DenoWebSocketClient.layerConfig({ userAgent: Config.String("AGENT") })
      const [made] = yield* opened({}, layer)
      assert.deepInclude(Object(made?.args[1]), { headers: { "User-Agent": "agent" } })
    }).pipe(Effect.withConfigProvider(ConfigProvider.fromEnvRecord({ AGENT: "agent" })))
  )
})
