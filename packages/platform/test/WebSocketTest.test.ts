import { WebSocketClient, WebSocketServer, WebSocketTest } from "@effect-websocket/platform"
import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"

describe("the layer", () => {
  layer(WebSocketTest.layer)((it) => {
    it.scoped("joins a client and a server, whatever the URL", () =>
      Effect.gen(function* () {
        yield* Effect.forkScoped(WebSocketServer.run((socket) => socket.run((message) => socket.send(message))))
        for (const url of [(yield* WebSocketServer.address).url, "wss://example.com/chat?room=1"]) {
          const socket = yield* WebSocketClient.connect(url)
          yield* socket.send("hello")
          assert.strictEqual((yield* socket.receive).data, "hello")
        }
      })
    )

    it.scoped("negotiates: the server sees what the client sends, and agrees on nothing that it does not speak", () =>
      Effect.gen(function* () {
        const connecting = yield* Effect.fork(
          WebSocketClient.connect("ws://test/path", { protocols: ["a"], headers: { "X-Name": "value" } })
        )
        const { request } = yield* WebSocketServer.accept
        assert.deepStrictEqual(
          [request.url, request.host, request.protocols, request.headers["x-name"]],
          ["/path", "test", ["a"], ["value"]]
        )
        assert.isUndefined((yield* connecting).protocol)
      })
    )
  })
})
