/**
 * The answer of an app to a request to upgrade: it accepts, with a value for the handler, or rejects.
 *
 * @since 0.1.0
 */
import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import type { UpgradeRequest } from "@effect-websocket/protocol/Handshake"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type { ConnectionOptions } from "./Options.js"

/**
 * Marks every `Reject`, so that `isReject` recognises it whichever copy of this package made it.
 *
 * @since 0.1.0
 * @category type ids
 */
export const TypeId: unique symbol = Symbol.for("@effect-websocket/platform/UpgradeCheck")

/**
 * The type of `TypeId`.
 *
 * @since 0.1.0
 * @category type ids
 */
export type TypeId = typeof TypeId

/**
 * A request to upgrade that follows the handshake and comes from an allowed origin. Its method is GET, or `CONNECT` over HTTP/2.
 *
 * - `key`: the `Sec-WebSocket-Key`. HTTP/2 has none.
 * - `path`: the path of `url` as the client sent it; percent-encoding is not decoded.
 * - `query`: the parameters of `url`.
 * - `cookies`: values by name. If a name comes twice, the first value counts.
 * - `remoteAddress`: the address of the transport, if it has one.
 * - `clientAddress`: the same, unless a trusted proxy reports another address; see `proxies` in the options of the
 *   server.
 *
 * @since 0.1.0
 * @category models
 */
export interface Request extends Omit<UpgradeRequest, "key"> {
  readonly key: string | undefined
  readonly path: string
  readonly query: Readonly<Record<string, string | ReadonlyArray<string>>>
  readonly cookies: Readonly<Record<string, string>>
  readonly remoteAddress: string | undefined
  readonly clientAddress: string | undefined
}

/**
 * What an acceptance may have besides its value.
 *
 * @since 0.1.0
 * @category models
 */
export interface AcceptOptions {
  /**
   * The subprotocol, one of those that the client offers. If the client offers none, none is selected. Default: the
   * result of `protocols` of the server. If the client offers only others, the server answers 500 and logs the reason.
   * So a check for several kinds of clients reads `request.protocols` first.
   */
  readonly protocol?: string | undefined
  /** Headers of the 101. They are sent with those of the handshake, which they cannot replace. Default: none. */
  readonly headers?: HeaderRecord | undefined
  /** Options of this connection, which take precedence over those of the server. Default: none. */
  readonly options?: ConnectionOptions | undefined
}

/**
 * The connection is accepted. Its handler has `value` as `socket.value`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Accept<out A> extends AcceptOptions {
  readonly _tag: "Accept"
  readonly value: A
}

/**
 * The connection is rejected, with an HTTP response.
 *
 * - `status`: 300 to 599.
 * - `headers`: besides `Connection`, `Content-Length` and `Content-Type`, of which only the last can be replaced.
 * - `body`: a text.
 *
 * @since 0.1.0
 * @category models
 */
export class Reject extends Data.TaggedError("Reject")<{
  readonly status: number
  readonly headers: HeaderRecord
  readonly body: string
}> {
  /**
   * @since 0.1.0
   */
  get [TypeId](): TypeId {
    return TypeId
  }
}

/**
 * Whether a value is a `Reject`, also one of another copy of this package.
 *
 * @example
 * ```ts
 * import { UpgradeCheck } from "@effect-websocket/platform"
 *
 * console.log(UpgradeCheck.isReject(UpgradeCheck.reject(403))) // true
 * ```
 *
 * @since 0.1.0
 * @category guards
 */
export const isReject = (u: unknown): u is Reject => Predicate.hasProperty(u, TypeId)

/**
 * Whether a value is an `Accept`: anything with its tag, because it is a plain object.
 *
 * @example
 * ```ts
 * import { UpgradeCheck } from "@effect-websocket/platform"
 *
 * console.log(UpgradeCheck.isAccept(UpgradeCheck.accept())) // true
 * ```
 *
 * @since 0.1.0
 * @category guards
 */
export const isAccept = (u: unknown): u is Accept<unknown> => Predicate.isTagged(u, "Accept")

/**
 * An effectful check. It may reject as its result or as its failure; after any other failure the server answers 500
 * and logs the cause. It is interrupted when the client goes away or `handshakeTimeout` has passed.
 *
 * A predicate is a check with two answers:
 *
 * @example
 * ```ts
 * import { UpgradeCheck } from "@effect-websocket/platform"
 * import { Effect } from "effect"
 *
 * const isLocal = (request: UpgradeCheck.Request) => request.clientAddress === "127.0.0.1"
 *
 * const check: UpgradeCheck.Check<undefined> = (request) =>
 *   Effect.succeed(isLocal(request) ? UpgradeCheck.accept() : UpgradeCheck.reject(403))
 * ```
 *
 * @since 0.1.0
 * @category models
 */
export type Check<A, E = never, R = never> = (request: Request) => Effect.Effect<Accept<A> | Reject, E | Reject, R>

/**
 * Accepts, with a value for the handler.
 *
 * @since 0.1.0
 * @category constructors
 */
export const accept = <A = undefined>(
  ...[value, options]: undefined extends A ? [value?: A, options?: AcceptOptions] : [value: A, options?: AcceptOptions]
): Accept<A> => ({ ...options, _tag: "Accept", value: value as A })

/**
 * Rejects, with a status and the text of the body.
 *
 * @example
 * ```ts
 * import { UpgradeCheck } from "@effect-websocket/platform"
 * import { Effect } from "effect"
 *
 * const check: UpgradeCheck.Check<{ readonly name: string }> = (request) => {
 *   const name = request.cookies["name"]
 *   return name === undefined
 *     ? Effect.fail(UpgradeCheck.reject(401, { body: "Who are you?", headers: { "WWW-Authenticate": "Cookie" } }))
 *     : Effect.succeed(UpgradeCheck.accept({ name }))
 * }
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const reject = (
  status: number,
  options: { readonly headers?: HeaderRecord | undefined; readonly body?: string | undefined } = {}
): Reject => new Reject({ status, headers: options.headers ?? {}, body: options.body ?? "" })
