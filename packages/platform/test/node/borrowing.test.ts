/** Borrowed messages over TCP and TLS: what is still being written must not change. */
import type { WebSocket } from "@effect-websocket/platform/WebSocket"
import { WebSocket as Ws } from "ws"
import { Deferred, Effect } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { eventually, mebibyte, noHandlesLeft, serve, stalled, tls } from "./support.js"

afterEach(noHandlesLeft)

const count = 24

describe.each([
  ["TCP", "ws", {}],
  ["TLS", "wss", { tls }]
] as const)("borrowed messages over %s", (_, scheme, options) => {
  it.effect("are echoed whole to a client that stops reading for a while", () =>
    Effect.gen(function* () {
      const server = yield* serve(options)
      const accepted = yield* Deferred.make<WebSocket>()
      yield* Effect.forkScoped(
        server.run((socket) =>
          Effect.andThen(
            Deferred.succeed(accepted, socket),
            socket.run((message) => socket.send(message), { borrowed: true })
          )
        )
      )
      const { port } = server.address as { readonly port: number }
      const client = new Ws(`${scheme}://127.0.0.1:${port}`, { rejectUnauthorized: false })
      yield* Effect.addFinalizer(() => Effect.sync(() => client.terminate()))
      const received: Array<string> = []
      client.on("message", (data: Buffer) => {
        const value = data[0]!
        received.push(data.equals(Buffer.alloc(data.length, value)) ? `${data.length} of ${value}` : "mixed")
      })
      yield* eventually(() => client.readyState === Ws.OPEN)
      client.pause()
      const sizes = [mebibyte, 100_000, 1000]
      const sent = Array.from({ length: count }, (_, i) => Buffer.alloc(sizes[i % sizes.length]!, i))
      for (const data of sent) client.send(data)
      yield* stalled(yield* Deferred.await(accepted))
      client.resume()
      yield* eventually(() => received.length === count)
      assert.deepStrictEqual(
        received,
        sent.map((data, i) => `${data.length} of ${i}`)
      )
    })
  )
})
