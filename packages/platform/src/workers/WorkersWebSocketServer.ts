/**
 * `WebSocketServer` within a `fetch` handler of Cloudflare Workers.
 *
 * In a Worker, a WebSocket belongs to the request that made it, and so do timers. Another request cannot use them. So there is no server
 * that outlives a request: `toFetchHandler` makes one for each request to upgrade. It lasts as long as its connection, and takes no
 * other one. Connections that know each other belong into a Durable Object; see `DurableObjectWebSockets`.
 *
 * The connections, their errors and their closing are those of every server. The platform does the framing. What it cannot do fails with
 * a local `ProtocolError` before anything is sent: `ping`, `pong` and `sendStream`. The deliveries `"streams"` and `"frames"` are
 * defects.
 *
 * @since 3.0.0
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { awaitCallback, catchCause, runForkIsolated } from "../internal/effect.js"
import { resolvePolicy } from "../internal/serverPolicy.js"
import { asksForUpgrade, type FetchRequest as NativeRequest } from "../native/nativeAttempt.js"
import * as NativeServer from "../native/NativeServer.js"
import type * as NativeServerOptions from "../native/NativeServerOptions.js"
import * as WebSocketServer from "../WebSocketServer.js"
import * as upgrading from "./internal/upgrading.js"
import { WorkersEnd } from "./internal/WorkersEnd.js"

/**
 * The options of the server of each request. `send` never waits: it does not look at how many bytes wait to be sent. Limits
 * over several connections do not exist, because each connection has a server of its own.
 *
 * @since 3.0.0
 * @category models
 */
export interface Options
  extends
    Omit<NativeServerOptions.ServerOptions, "admission" | "drain" | "proxies" | "retryAfter">,
    NativeServerOptions.UnreadOptions {}

/**
 * A request, as far as it is used here. The `Request` of every platform matches it.
 *
 * @since 3.0.0
 * @category platform
 */
export interface FetchRequest extends NativeRequest {}

/**
 * The `Response` of the types that the app has.
 *
 * @since 3.0.0
 * @category platform
 */
export type FetchResponse = upgrading.FetchResponse

/**
 * The third argument of `fetch` of a Worker, as far as it is used here.
 *
 * @since 3.0.0
 * @category platform
 */
export interface ExecutionContext {
  waitUntil(promise: Promise<unknown>): void
}

/**
 * Answers requests to upgrade: `fetch` of a Worker, or a part of it.
 *
 * @since 3.0.0
 * @category models
 */
export type FetchHandler<Env> = (request: FetchRequest, env: Env, context: ExecutionContext) => Promise<FetchResponse>

const abilities: NativeServer.Abilities = { options: new Set(), pauses: false, limitsMessages: false }

/**
 * Makes a `fetch` handler from an app for `WebSocketServer`: the layers of `WebSocketServer.layerHandler`, `layerRoute` and others. The
 * handler builds the app for each request to upgrade, with a server of its own, and releases it after the connection. `env` is the
 * one of the Worker.
 *
 * - A request that does not ask for an upgrade gets 426. If the app cannot be built, the answer is 500 and the failure is logged.
 * - The connection keeps its request alive. After it, handlers that are still running have the 30 seconds that `waitUntil` gives.
 * - A handler must use nothing that another request has made. Within one app this is so by itself.
 *
 * Options that make no sense throw a `RangeError` at once.
 *
 * @example
 * ```ts
 * import { WebSocketServer } from "@effect-websocket/platform"
 * import { WorkersWebSocketServer } from "@effect-websocket/platform/workers"
 *
 * const Echo = WebSocketServer.layerHandler((socket) => socket.run((message) => socket.send(message)))
 *
 * export default { fetch: WorkersWebSocketServer.toFetchHandler(() => Echo) }
 * ```
 *
 * @since 3.0.0
 * @category constructors
 */
export const toFetchHandler = <Env = unknown>(
  app: (env: Env) => Layer.Layer<never, unknown, WebSocketServer.WebSocketServer>,
  options: Options = {}
): FetchHandler<Env> => {
  const { maxUnreadBytes: receiveHighWaterMark, ...others } = options
  resolvePolicy({ ...others, receiveHighWaterMark })
  return (request, env, context) => {
    if (!asksForUpgrade(request)) return Promise.resolve(upgrading.upgradeRequired())
    return new Promise((resolve) => {
      const served = Effect.suspend(() => serve(app(env), options, upgrading.withHandshake(request), resolve))
      const fiber = runForkIsolated(catchCause(Effect.scoped(served), failed))
      const ended = new Promise<void>((end) => fiber.addObserver(() => end()))
      // If the request was answered before, this does nothing.
      void ended.then(() => resolve(upgrading.refused(500, {}, "The server could not answer the request")))
      context.waitUntil(ended)
    })
  }
}

const failed = (cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Effect.logError("The app of a WebSocket failed", cause)

/** Serves one request, and its connection if it gets one. */
const serve = (
  app: Layer.Layer<never, unknown, WebSocketServer.WebSocketServer>,
  options: Options,
  request: FetchRequest,
  respond: (response: FetchResponse) => void
): Effect.Effect<void, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const made = yield* NativeServer.make(() => addressOf(request.url), abilities, options)
    const server = Layer.succeed(WebSocketServer.WebSocketServer, made.service)
    yield* Layer.buildWithScope(Layer.provide(app, server), yield* Effect.scope)
    const end = yield* answer(made, request, respond)
    if (end === undefined) return
    yield* Effect.promise(() => end.over)
    // The handler may still have something to do.
    yield* made.service.drain()
  })

/** Answers the request. Returns its connection, if it gets one. */
const answer = (
  made: NativeServer.Made,
  request: FetchRequest,
  respond: (response: FetchResponse) => void
): Effect.Effect<WorkersEnd | undefined> =>
  awaitCallback((resume) => {
    let end: WorkersEnd | undefined
    const host = {
      upgrade: ({ headers, protocol }: { readonly headers: Headers; readonly protocol: string | undefined }) => {
        const { client, server } = upgrading.makeSocketPair()
        end = new WorkersEnd(server)
        return { socket: end, answer: upgrading.accepted(client, protocol, headers) }
      },
      respond: upgrading.refused
    }
    made.answer<FetchResponse>(request, undefined, host, (response) => {
      respond(response)
      resume(Effect.succeed(end))
    })
  })

type Headers = Parameters<typeof upgrading.accepted>[2]

/** Where the request came to. */
const addressOf = (url: string): WebSocketServer.Address => {
  const { hostname, port, protocol } = new URL(url)
  const secure = protocol === "https:"
  const at = port === "" ? "" : `:${port}`
  return {
    hostname,
    port: Number(port || (secure ? 443 : 80)),
    url: `${secure ? "wss" : "ws"}://${hostname}${at}`,
    socketPath: undefined
  }
}
