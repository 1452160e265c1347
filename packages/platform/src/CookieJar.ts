/**
 * Cookies that a client keeps between requests.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ContextService } from "./internal/effect.js"

/**
 * The methods of a jar. Your own jar must respect domain, path and `Secure`. The time that its effects take counts
 * toward `openTimeout`. An interruption of `connect` interrupts them.
 *
 * The URLs that it is given have the scheme `http:` or `https:` in place of `ws:` or `wss:`, because cookies know only
 * these two.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** The value of the header `Cookie` for a request. It is empty if there is no cookie. */
  readonly cookieHeader: (url: URL) => Effect.Effect<string>
  /** Stores the cookies of a response's `Set-Cookie` headers. Ignores those that are malformed or not allowed. */
  readonly setCookies: (url: URL, headers: ReadonlyArray<string>) => Effect.Effect<void>
}

/**
 * The service of a cookie jar (RFC 6265). `WebSocketClient.connect` uses the jar in the context of the fiber that
 * connects, if there is one. It asks the jar for the cookies of each request, including redirects. It gives the jar the
 * cookies of each response, whatever its status.
 *
 * @since 0.1.0
 * @category tags
 */
export class CookieJar extends ContextService<CookieJar, Service>()("@effect-websocket/platform/CookieJar") {}

/**
 * Makes an empty jar in memory. It refuses cookies for all hosts of a public suffix such as `co.uk`. It stores no
 * cookies for the bare names `test`, `example` and `local`. Cookies expire by the computer's clock.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Service> = Effect.map(
  // The list of public suffixes is large, so only applications with a jar load it.
  Effect.promise(() => import("tough-cookie")),
  (tough) => {
    const jar = new tough.CookieJar()
    // `tough-cookie` throws for hosts that it rejects.
    return {
      cookieHeader: (url) =>
        Effect.orElseSucceed(
          Effect.try(() => jar.getCookieStringSync(url.href)),
          () => ""
        ),
      setCookies: (url, headers) =>
        Effect.forEach(
          headers,
          (header) => Effect.ignore(Effect.try(() => jar.setCookieSync(header, url.href, { ignoreError: true }))),
          { discard: true }
        )
    }
  }
)

/**
 * A jar in memory. All users of this layer share one jar.
 *
 * @example
 * ```ts
 * import { CookieJar, WebSocketClient } from "@effect-websocket/platform"
 * import { NodeWebSocketClient } from "@effect-websocket/platform/node"
 * import { Effect, Layer } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   // The second request has the cookies that the answer to the first one set.
 *   yield* Effect.scoped(WebSocketClient.connect("wss://example.com/login"))
 *   yield* WebSocketClient.connect("wss://example.com/chat")
 * }).pipe(Effect.scoped, Effect.provide(Layer.merge(NodeWebSocketClient.layer, CookieJar.layer)))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<CookieJar> = Layer.effect(CookieJar, make)
