/**
 * The class `WebSocket` of the WHATWG standard, for libraries that take one: its connections are those of a
 * `WebSocketClient`.
 *
 * @see https://websockets.spec.whatwg.org/
 * @since 3.0.0
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { layerEffect, runtime, scopeProvide } from "./internal/effect.js"
import type { StandardPlan } from "./internal/StandardConnection.js"
import { requireArguments, StandardWebSocketImpl, type StandardWebSocket } from "./internal/StandardWebSocketImpl.js"
import {
  toWebSocketConstructor,
  WebSocketConstructorTag,
  type WebSocketConstructor
} from "./internal/webSocketConstructor.js"
import { WebSocketClient, type ConnectOptions } from "./WebSocketClient.js"

/**
 * The events of a standard WebSocket.
 *
 * @since 3.0.0
 * @category models
 */
export type { CloseEvent, ErrorEvent, EventMap, MessageEvent } from "./internal/standardEvents.js"

/**
 * A WebSocket as the WHATWG standard describes it.
 *
 * @since 3.0.0
 * @category models
 */
export type { StandardWebSocket } from "./internal/StandardWebSocketImpl.js"

/**
 * The options of the connections of a class. A message always waits for room on its connection, so there is no
 * `sendStrategy`. The subprotocols are an argument of the constructor.
 *
 * @since 3.0.0
 * @category models
 */
export interface Options extends Omit<
  ConnectOptions,
  "delivery" | "answerPings" | "answerClose" | "rsv" | "opcodes" | "recordFrames" | "sendStrategy" | "protocols"
> {
  /** The URL that the URLs of the constructor are relative to. Default: none, so that a relative URL is a `SyntaxError`. */
  readonly baseUrl?: string | URL | undefined
}

/**
 * The class. Its constructor begins to connect. It throws a `SyntaxError` for:
 *
 * - a URL that is malformed or has a fragment, or whose scheme is none of `ws:`, `wss:`, `http:` and `https:`;
 * - subprotocols that are not tokens, or that are given twice.
 *
 * @since 3.0.0
 * @category models
 */
export interface Constructor {
  new (url: string | URL, protocols?: string | Iterable<string>): StandardWebSocket
  readonly prototype: StandardWebSocket
  readonly CONNECTING: 0
  readonly OPEN: 1
  readonly CLOSING: 2
  readonly CLOSED: 3
}

/**
 * Makes the class. Its connections are those of the `WebSocketClient` in the context, with its options and those given here.
 * They belong to the scope: its end closes them, and their `close` events follow. A connection that is made after the end
 * fails.
 *
 * Differences to a page: no ports are blocked, no `Origin` is sent unless an option says so, and the event `error` has the
 * error. As for any `EventTarget` of Node, an error that a listener throws is an uncaught exception.
 *
 * @example
 * ```ts
 * import { StandardWebSocket } from "@effect-websocket/platform"
 * import { NodeWebSocketClient } from "@effect-websocket/platform/node"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function* () {
 *   const WebSocket = yield* StandardWebSocket.make({ headers: { "X-Client": "1" } })
 *   const socket = new WebSocket("ws://127.0.0.1:8080/chat", ["chat.v1"])
 *   socket.onopen = () => socket.send("hello")
 *   socket.onmessage = (event) => console.log(event.data)
 *   yield* Effect.promise(() => new Promise((resolve) => socket.addEventListener("close", resolve)))
 * }).pipe(Effect.scoped, Effect.provide(NodeWebSocketClient.layer))
 * ```
 *
 * @since 3.0.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Constructor, never, WebSocketClient | Scope.Scope> =>
  Effect.map(makePlan(options), (plan) => {
    class WebSocket extends StandardWebSocketImpl {
      // The default makes `length` 1, as Web IDL says.
      constructor(url: string | URL, protocols: string | Iterable<string> = []) {
        requireArguments("WebSocket", arguments.length)
        super(plan, url, protocols)
      }
    }
    return WebSocket
  })

/**
 * The service with which Effect's own `Socket` makes WebSockets: `Socket.WebSocketConstructor`, of `@effect/platform/Socket` on
 * Effect 3 and of `effect/socket` on Effect 4. With it, `Socket.makeWebSocket` connects with the `WebSocketClient` in the
 * context.
 *
 * @example
 * ```ts effect-4
 * import { StandardWebSocket } from "@effect-websocket/platform"
 * import { NodeWebSocketClient } from "@effect-websocket/platform/node"
 * import { Layer } from "effect"
 * import { Socket } from "effect/socket"
 *
 * const SocketLive = Socket.layerWebSocket("ws://127.0.0.1:8080/rpc").pipe(
 *   Layer.provide(StandardWebSocket.layerWebSocketConstructor()),
 *   Layer.provide(NodeWebSocketClient.layer)
 * )
 * ```
 *
 * @since 3.0.0
 * @category layers
 */
export const layerWebSocketConstructor = (
  options: Options = {}
): Layer.Layer<WebSocketConstructor, never, WebSocketClient> =>
  layerEffect(
    WebSocketConstructorTag,
    Effect.map(makePlan(options), (plan) =>
      toWebSocketConstructor((url, protocols, headers) => new StandardWebSocketImpl(plan, url, protocols, headers))
    )
  )

const makePlan = ({
  baseUrl,
  ...options
}: Options): Effect.Effect<StandardPlan, never, WebSocketClient | Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const client = yield* WebSocketClient
    return {
      baseUrl: baseUrl === undefined ? undefined : `${baseUrl}`,
      runtime: yield* runtime<never>(),
      connect: (url, protocols, headers) =>
        scopeProvide(
          client.connect(url, {
            ...options,
            headers: { ...options.headers, ...headers },
            protocols,
            // A message that a connection drops by itself would count as sent.
            sendStrategy: "suspend"
          }),
          scope
        )
    }
  })
