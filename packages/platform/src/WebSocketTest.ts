/**
 * A client and a server that are joined in memory, for an app's own tests: the opening handshake is negotiated and every
 * byte travels, but over no network. An app that is written against `WebSocketClient` and `WebSocketServer` runs unchanged.
 *
 * @since 0.1.0
 */
import { HandshakeRejected, type HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import { ExpectationFailed } from "./internal/expectation.js"
import * as MockTransport from "./MockTransport.js"
import * as WebSocketClient from "./WebSocketClient.js"
import * as WebSocketServer from "./WebSocketServer.js"

/**
 * Something else came than a test expected. It is a defect, as the assertion that it is.
 */
export { ExpectationFailed }

const listening: WebSocketServer.Address = { hostname: "test", port: 80, url: "ws://test" }

/**
 * Both services, with options for the server. Every URL reaches it; `WebSocketServer.address` has one.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWith = (
  options: WebSocketServer.Options
): Layer.Layer<WebSocketClient.WebSocketClient | WebSocketServer.WebSocketServer> =>
  Layer.scopedContext(
    Effect.gen(function* () {
      const runtime = yield* Effect.runtime<never>()
      const { offer, service } = yield* WebSocketServer.make(listening, options)
      const client = WebSocketClient.make((url, headers, done) => {
        const pair = Runtime.runSync(runtime)(MockTransport.make())
        let dropped = false
        const answer = (status: number, answered: HeaderRecord, body: string) => {
          const received = Handshake.lowerCaseNames(answered)
          // As over a network, the client does not learn of it in the step in which the server answers.
          queueMicrotask(() => {
            if (dropped) return
            if (status === 101) {
              done({ _tag: "Upgraded", headers: received, transport: pair.client })
              return
            }
            const bytes = new TextEncoder().encode(body)
            done({
              _tag: "Failed",
              error: new HandshakeRejected({ status, headers: received, body: bytes, bodyTruncated: false })
            })
          })
        }
        queueMicrotask(() => {
          if (dropped) return
          offer({
            request: {
              method: "GET",
              url: url.pathname + url.search,
              httpVersion: "1.1",
              headers: Handshake.lowerCaseNames({ ...headers, Host: url.host })
            },
            remoteAddress: pair.client.remoteAddress,
            isGone: () => dropped,
            upgrade: (answered) => {
              answer(101, answered, "")
              return pair.server
            },
            reject: answer
          })
        })
        return () => {
          dropped = true
          pair.client.abort()
        }
      })
      return Context.make(WebSocketClient.WebSocketClient, client).pipe(
        Context.add(WebSocketServer.WebSocketServer, service)
      )
    })
  )

/**
 * Both services.
 *
 * @example
 * ```ts
 * import { WebSocketClient, WebSocketServer, WebSocketTest } from "@effect-websocket/platform"
 * import { Effect } from "effect"
 *
 * const test = Effect.gen(function* () {
 *   const { url } = yield* WebSocketServer.address
 *   yield* Effect.forkScoped(WebSocketServer.run((socket) => socket.run((message) => socket.send(message))))
 *   const socket = yield* WebSocketClient.connect(url)
 *   yield* socket.send("hello")
 *   return yield* socket.receive
 * }).pipe(Effect.scoped, Effect.provide(WebSocketTest.layer))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<WebSocketClient.WebSocketClient | WebSocketServer.WebSocketServer> = layerWith({})
