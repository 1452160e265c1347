import { WorkersWebSocketClient } from "@effect-websocket/platform/workers"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import { Config, ConfigProvider, Effect } from "../effect/index.js"
import { assert, describe, it, vi } from "../effect/vitest.js"
import { restoreGlobals } from "../native/stubWebSocket.js"

restoreGlobals()

/** Puts a `fetch` that refuses in place of the global one. Returns the requests. */
const stubFetch = () => {
  const requests: Array<ReadonlyArray<unknown>> = []
  vi.stubGlobal("fetch", (...args: ReadonlyArray<unknown>) => {
    requests.push(args)
    return Promise.resolve(Object.assign(new Response("no", { status: 403 }), { webSocket: null }))
  })
  return requests
}

const refused = Effect.flip(WebSocketClient.connect("ws://test/path", { headers: { a: "1" } }))

describe("WorkersWebSocketClient", () => {
  it.effect("fails with the status of a refusal", () =>
    Effect.gen(function* () {
      const requests = stubFetch()
      assert.deepInclude({ ...(yield* refused) }, { _tag: "Handshake_rejected", status: 403 })
      assert.deepInclude(Object(requests[0]?.[1]), { headers: { a: "1", Upgrade: "websocket" } })
    }).pipe(Effect.scoped, Effect.provide(WorkersWebSocketClient.layer))
  )

  it.effect("refuses the options of sending, because a Worker does not count unsent bytes", () =>
    Effect.gen(function* () {
      const requests = stubFetch()
      const error = yield* Effect.flip(WebSocketClient.connect("ws://test", { sendHighWaterMark: 1 }))
      assert.deepInclude({ ...error }, { _tag: "Protocol_error", origin: "local" })
      assert.deepStrictEqual(requests, [])
    }).pipe(Effect.scoped, Effect.provide(WorkersWebSocketClient.layerWith({ userAgent: "agent" })))
  )

  it.effect("reads its options from a config, or takes them without a service", () =>
    Effect.gen(function* () {
      const requests = stubFetch()
      const client = WorkersWebSocketClient.layerConfig({ userAgent: Config.String("AGENT") })
      yield* Effect.provide(refused, client)
      yield* Effect.flip(WorkersWebSocketClient.connect("other", { baseUrl: "wss://test/path", userAgent: "agent" }))
      assert.deepStrictEqual(
        requests.map(([url]) => url),
        ["http://test/path", "https://test/other"]
      )
      for (const [, init] of requests) assert.propertyVal(Object(init).headers, "User-Agent", "agent")
    }).pipe(Effect.scoped, Effect.withConfigProvider(ConfigProvider.fromEnvRecord({ AGENT: "agent" })))
  )
})
