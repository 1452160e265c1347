/**
 * Cookies that a client keeps from one request to the next.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/**
 * A jar (RFC 6265). `WebSocketClient.connect` uses it where the program that connects has one: it asks for the cookies of each request,
 * those of redirects among them, and hands over what each answer sets, whatever its status.
 *
 * URLs have the scheme `http:` or `https:`, which is how cookies know `ws:` and `wss:`. A jar of your own must respect domain,
 * path and `Secure`, and both of its effects count into `openTimeout`.
 *
 * @since 0.1.0
 * @category tags
 */
export class CookieJar extends Context.Tag("@effect-websocket/platform/CookieJar")<
  CookieJar,
  {
    /** The value of the header `Cookie` for a request; empty for none. */
    readonly cookieHeader: (url: URL) => Effect.Effect<string>
    /** Keeps what the headers `Set-Cookie` of an answer say. What is malformed or not allowed is ignored. */
    readonly setCookies: (url: URL, headers: ReadonlyArray<string>) => Effect.Effect<void>
  }
>() {}

/**
 * An empty jar in memory. It refuses cookies for all hosts of a public suffix such as `co.uk`, and has none for the bare names
 * `test`, `example` and `local`. Cookies expire by the time of the computer.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<Context.Tag.Service<CookieJar>> = Effect.map(
  // Its list of public suffixes is large: only who has a jar loads it.
  Effect.promise(() => import("tough-cookie")),
  (tough) => {
    const jar = new tough.CookieJar()
    // It throws for names that it takes for no host's.
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
 * A jar in memory, which is shared by all who have this layer.
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
