/**
 * Cookies that a client keeps from one request to the next.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ContextService } from "./internal/effect.js"

/**
 * What a jar does. A jar of your own must respect domain, path and `Secure`. The time that its effects take counts into
 * `openTimeout`, and an interruption of `connect` interrupts them.
 *
 * URLs have the scheme `http:` or `https:` in place of `ws:` or `wss:`, because cookies know only these two.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  /** The value of the header `Cookie` for a request; empty for none. */
  readonly cookieHeader: (url: URL) => Effect.Effect<string>
  /** Keeps the cookies of an answer's `Set-Cookie` headers. Ignores those that are malformed or not allowed. */
  readonly setCookies: (url: URL, headers: ReadonlyArray<string>) => Effect.Effect<void>
}

/**
 * A jar (RFC 6265). `WebSocketClient.connect` uses the jar in the context of the fiber that connects, if there is one. It asks the
 * jar for the cookies of each request, those of redirects included. It gives the jar the cookies of each answer, whatever
 * its status.
 *
 * @since 0.1.0
 * @category tags
 */
export class CookieJar extends ContextService<CookieJar, Service>()("@effect-websocket/platform/CookieJar") {}

/**
 * An empty jar in memory. It refuses cookies for all hosts of a public suffix such as `co.uk`, and has none for the bare names
 * `test`, `example` and `local`. Cookies expire by the time of the computer.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Service> = Effect.map(
  // Its list of public suffixes is large: only apps with a jar load it.
  Effect.promise(() => import("tough-cookie")),
  (tough) => {
    const jar = new tough.CookieJar()
    // `tough-cookie` throws for hosts that it does not accept.
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
 * A jar in memory. All that use this layer share the jar.
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
