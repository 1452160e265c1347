/**
 * `WebSocketUpgrade` beside `NodeHttpServer` of `@effect/platform-node`. That package is loaded when the service is made, so an
 * app without it can import this module, too.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Http from "node:http"
import type { Socket } from "node:net"
import { layerEffect, runForkWith, runtime as inheritedRuntime, scopeProvide } from "../internal/effect.js"
import { closesBeforeRelease, type HttpServer, type HttpServerRequest } from "../internal/httpServer.js"
import type * as WebSocketServer from "../WebSocketServer.js"
import * as WebSocketUpgrade from "../WebSocketUpgrade.js"
import { Attachment, memberOf, type Member } from "./internal/attachment.js"
import type { ServerOptions } from "./NodeOptions.js"
import { zlib } from "./NodeZlib.js"

/**
 * The service for the server that `NodeHttpServer.layer` was given. It sees requests to upgrade before others do, so that no
 * byte is lost, no reset ends the process, and the end of a client interrupts its request. A request that is not answered
 * within `handshakeTimeout` gets 503, and so does one that finds no listener any more. The scope stops it; see
 * `WebSocketUpgrade.make`. With Effect 4 the HTTP server waits for its sockets before that, so the service already stops when
 * the HTTP server begins to close.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  server: Http.Server,
  options: ServerOptions = {}
): Effect.Effect<WebSocketUpgrade.Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const attachment = Attachment.of(server)
    let member: Member | undefined
    // Finalizers run from last to first: it still answers while the connections are closed.
    yield* Effect.addFinalizer(() => Effect.sync(() => member && attachment.remove(member)))
    const attemptOf = (request: HttpServerRequest): WebSocketServer.UpgradeAttempt | undefined => {
      const incoming: unknown = toIncomingMessage(request)
      // With Effect 4 a request may be one of HTTP/2, which is never an attempt.
      const attempt = incoming instanceof Http.IncomingMessage ? attachment.attemptOf(incoming) : undefined
      return (
        attempt && {
          ...attempt,
          upgrade: (headers) => {
            const response: unknown = toServerResponse(request)
            if (response instanceof Http.ServerResponse) letGo(response, attempt.socket)
            return attempt.upgrade(headers, options.unsafeReadBuffer)
          }
        }
      )
    }
    // A scope of its own, so that the HTTP server can end it first.
    const scope = yield* Scope.make()
    const stopped = yield* Effect.cached(Scope.close(scope, Exit.void))
    yield* Effect.addFinalizer(() => stopped)
    const service = yield* scopeProvide(
      WebSocketUpgrade.make(attemptOf, { ...options, zlib: options.zlib ?? zlib }),
      scope
    )
    const runtime = yield* inheritedRuntime<never>()
    const placed = memberOf(options)
    member = {
      ...placed,
      servesHttp: true,
      onServerClose: closesBeforeRelease ? () => void runForkWith(runtime)(stopped) : undefined,
      claims: () => false,
      offer: (attempt) => attempt.reject(503, { "Retry-After": placed.retryAfter }, "Nobody serves")
    }
    attachment.add(member)
    // Behind the step above, because requests may arrive already. Nothing takes one before the service is there.
    const { toIncomingMessage, toServerResponse } = yield* platformNode
    return service
  })

/**
 * The service. See `make`. It needs the HTTP server only so that it is released first: an HTTP server that is released waits
 * for all of its sockets.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  server: Http.Server,
  options?: ServerOptions
): Layer.Layer<WebSocketUpgrade.WebSocketUpgrade, never, HttpServer> =>
  layerEffect(WebSocketUpgrade.WebSocketUpgrade, make(server, options))

// The handler lets bundlers, too, do without the package.
const platformNode = Effect.promise(() =>
  import("@effect/platform-node/NodeHttpServerRequest").catch((cause: unknown) => {
    throw new Error("NodeWebSocketUpgrade needs the package @effect/platform-node", { cause })
  })
)

/** The HTTP layer holds a response that would write into the socket. Without the socket, it ends and writes nothing. */
const letGo = (response: Http.ServerResponse, socket: Socket): void => {
  response.detachSocket(socket)
  response.removeAllListeners("finish")
  response.end()
}
