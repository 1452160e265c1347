/**
 * An app of Effect's HTTP server whose routes upgrade, in memory, for the tests of the app. The routes, their middleware and the
 * opening handshake are the real ones. The expectations of `WebSocketTest`, and its `network`, work on the connections.
 *
 * @since 0.1.0
 */
import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Exchanges, type OfferedAttempt } from "./engine/testing/Exchange.js"
import {
  ContextService,
  interruptUnsafe,
  layerEffectContext,
  runSyncWith,
  runtime as inheritedRuntime
} from "./internal/effect.js"
import {
  HttpServerRequest,
  requestFromWeb,
  responseToWeb,
  toHandled,
  type HttpServerResponse
} from "./internal/httpServer.js"
import * as MockTransport from "./MockTransport.js"
import * as WebSocketClient from "./WebSocketClient.js"
import type { MakeOptions, UpgradeAttempt } from "./WebSocketServer.js"
import * as WebSocketUpgrade from "./WebSocketUpgrade.js"

/**
 * The members of the service. The function `serve` of this module documents its member.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly serve: <E, R>(
    app: Effect.Effect<HttpServerResponse, E, R>
  ) => Effect.Effect<void, never, Scope.Scope | Exclude<Exclude<R, Scope.Scope>, HttpServerRequest>>
}

/**
 * The tag of the service that the layer provides for tests, besides the services of the app.
 *
 * @since 0.1.0
 * @category tags
 */
export class WebSocketUpgradeTest extends ContextService<WebSocketUpgradeTest, Service>()(
  "@effect-websocket/platform/WebSocketUpgradeTest"
) {}

/**
 * Serves an app until the scope ends. Each request to upgrade of the client goes to it, whatever the host of its URL. A response
 * that does not upgrade is a `HandshakeRejected` of the client, whose `bodyTruncated` says that the stream of its body has failed.
 * If the client leaves, its request is interrupted. If no app is served, the client gets 503.
 *
 * On Effect 3 the app is an `HttpApp`, such as an `HttpRouter`. On Effect 4 it is what `HttpRouter.toHttpEffect` makes.
 *
 * @since 0.1.0
 * @category accessors
 */
export const serve = <E, R>(
  app: Effect.Effect<HttpServerResponse, E, R>
): Effect.Effect<
  void,
  never,
  WebSocketUpgradeTest | Scope.Scope | Exclude<Exclude<R, Scope.Scope>, HttpServerRequest>
> => Effect.flatMap(WebSocketUpgradeTest, (service) => service.serve(app))

/**
 * The three services of `layer`, with options for the service that upgrades.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWith = (
  options: MakeOptions
): Layer.Layer<WebSocketClient.WebSocketClient | WebSocketUpgrade.WebSocketUpgrade | WebSocketUpgradeTest> =>
  layerEffectContext(
    Effect.gen(function* () {
      const runtime = yield* inheritedRuntime<never>()
      // By the request of `fetch`, which stays the same if middleware changes the request of the route.
      const attempts = new WeakMap<object, UpgradeAttempt>()
      const upgrade = yield* WebSocketUpgrade.make(({ source }) => attempts.get(Object(source)), options)
      let offer = nobodyServes
      const exchanges = new Exchanges((attempt) => offer(attempt))
      const client = WebSocketClient.make(
        (url, headers, done) => exchanges.dial(runSyncWith(runtime)(MockTransport.make()), url, headers, done),
        { zlib: options.zlib, baseUrl: "ws://test" }
      )
      const serve: Service["serve"] = <E, R>(app: Effect.Effect<HttpServerResponse, E, R>) =>
        Effect.gen(function* () {
          const fibers = yield* FiberSet.make<void>()
          const fork = yield* FiberSet.runtime(fibers)<Exclude<Exclude<R, Scope.Scope>, HttpServerRequest>>()
          const serving = (attempt: OfferedAttempt): void => {
            const web = webRequest(attempt.request)
            let leave = (): void => {}
            let fiber: ReturnType<typeof fork> | undefined
            attempts.set(web, {
              ...attempt,
              onGone: (listener) => {
                leave = listener
              }
            })
            attempt.onGone?.(() => {
              leave()
              if (fiber !== undefined) interruptUnsafe(fiber)
            })
            const handled = toHandled(app, (_, response) => answer(attempt, response))
            fiber = fork(Effect.provideService(handled, HttpServerRequest, requestFromWeb(web)))
            // Effect 4 runs the app in the step that starts it, in which the client may leave.
            if (attempt.isGone()) interruptUnsafe(fiber)
          }
          yield* Effect.acquireRelease(
            Effect.sync(() => {
              offer = serving
            }),
            () =>
              Effect.sync(() => {
                if (offer === serving) offer = nobodyServes
              })
          )
        })
      return Context.make(WebSocketClient.WebSocketClient, client).pipe(
        Context.add(WebSocketUpgrade.WebSocketUpgrade, upgrade),
        Context.add(WebSocketUpgradeTest, { serve })
      )
    })
  )

/**
 * Three services: the client and `WebSocketUpgrade` for the app, and `WebSocketUpgradeTest` for the test. A relative URL works, too.
 *
 * @example
 * ```ts effect-4
 * import { WebSocketClient, WebSocketTest, WebSocketUpgrade, WebSocketUpgradeTest } from "@effect-websocket/platform"
 * import { Effect } from "effect"
 * import { HttpRouter } from "effect/http"
 *
 * const Echo = HttpRouter.add(
 *   "GET",
 *   "/echo",
 *   WebSocketUpgrade.upgrade((socket) => socket.run((message) => socket.send(message)))
 * )
 *
 * const test = Effect.gen(function* () {
 *   yield* WebSocketUpgradeTest.serve(yield* HttpRouter.toHttpEffect(Echo))
 *   const socket = yield* WebSocketClient.connect("/echo")
 *   yield* socket.send("hello")
 *   yield* WebSocketTest.expectMessage(socket, "hello")
 * }).pipe(Effect.scoped, Effect.provide(WebSocketUpgradeTest.layer))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<
  WebSocketClient.WebSocketClient | WebSocketUpgrade.WebSocketUpgrade | WebSocketUpgradeTest
> = layerWith({})

const nobodyServes = (attempt: UpgradeAttempt): void => attempt.reject(503, {}, "Nobody serves\n")

const webRequest = ({ headers, method, url }: UpgradeAttempt["request"]): Request =>
  // Not relative to a URL: a path may begin with two slashes.
  new Request(`http://test${url}`, { method, headers: [...pairsOf(Handshake.lowerCaseNames(headers))] })

function* pairsOf(headers: HeaderRecord): Iterable<[string, string]> {
  for (const [name, value] of Object.entries(headers)) {
    for (const each of typeof value === "string" ? [value] : (value ?? [])) yield [name, each]
  }
}

/** Answers with the response, unless it has upgraded the request. */
const answer = (attempt: OfferedAttempt, response: HttpServerResponse): Effect.Effect<void> => {
  if (response.status === 101) return Effect.void
  return Effect.promise(async (signal) => {
    const web = responseToWeb(response)
    const { "set-cookie": _, ...headers } = Object.fromEntries(web.headers)
    const cookies = web.headers.getSetCookie()
    const { body, isTruncated } = await bodyOf(web, signal)
    attempt.reject(
      web.status,
      cookies.length === 0 ? headers : { ...headers, "set-cookie": cookies },
      body,
      isTruncated
    )
  })
}

/** The body of a response, as far as its stream goes. */
const bodyOf = async ({ body }: Response, signal: AbortSignal) => {
  const decoder = new TextDecoder()
  let text = ""
  if (body === null) return { body: text, isTruncated: false }
  const reader = body.getReader()
  signal.addEventListener("abort", () => void reader.cancel().catch(() => {}))
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      text += decoder.decode(next.value, { stream: true })
    }
    return { body: text + decoder.decode(), isTruncated: false }
  } catch {
    return { body: text, isTruncated: true }
  }
}
