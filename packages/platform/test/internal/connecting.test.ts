import * as CookieJar from "@effect-websocket/platform/CookieJar"
import * as MockTransport from "@effect-websocket/platform/MockTransport"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import { Effect, Exit, Scope } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { interruptedAt } from "../scheduling.js"
import { finalizersIn, settled } from "../support.js"

/** A dial with one redirect, and a record of the requests and transports that are open. */
const recorded = () => {
  const open = new Set<object>()
  const dial: WebSocketClient.Dial = (url, headers, done) => {
    const request = {}
    open.add(request)
    queueMicrotask(() => {
      if (!open.delete(request)) return
      if (url.pathname === "/") {
        const body = {}
        open.add(body)
        const drop = () => void open.delete(body)
        const location = { location: "/chat", "set-cookie": "a=1" }
        return done({ _tag: "Rejected", status: 302, headers: location, body: { read: () => {}, drop } })
      }
      const { client } = Effect.runSync(MockTransport.make())
      open.add(client)
      const abort = client.abort.bind(client)
      client.abort = () => {
        open.delete(client)
        abort()
      }
      done({
        _tag: "Upgraded",
        headers: {
          upgrade: "websocket",
          connection: "upgrade",
          "sec-websocket-accept": Handshake.acceptValue(String(headers["Sec-WebSocket-Key"])),
          "set-cookie": "b=2"
        },
        transport: client
      })
    })
    return () => open.delete(request)
  }
  return { client: WebSocketClient.make(dial, { maxRedirects: 1, closeTimeout: "1 millis" }), open }
}

describe("connect, interrupted before any operation", () => {
  for (const [name, jar] of [
    ["a jar in memory", { cookieHeader: () => Effect.succeed("c=3"), setCookies: () => Effect.void }],
    ["a jar that yields", { cookieHeader: () => Effect.as(Effect.yieldNow, "c=3"), setCookies: () => Effect.yieldNow }]
  ] as const) {
    it.live(`leaves nothing open, with ${name}`, () =>
      Effect.gen(function* () {
        let k = 1
        for (let isInterrupted = true; isInterrupted; k++) {
          const { client, open } = recorded()
          const scope = yield* Scope.make()
          const connecting = client
            .connect("ws://test/")
            .pipe(Effect.provideService(CookieJar.CookieJar, jar), Scope.provide(scope))
          const trial = yield* interruptedAt(k, connecting)
          isInterrupted = trial.isInterrupted
          yield* Scope.close(scope, Exit.void)
          yield* settled
          assert.strictEqual(open.size, 0, `interrupted before operation ${k}`)
          assert.strictEqual(finalizersIn(scope), 0)
        }
        assert.isAbove(k, 10)
      })
    )
  }
})
