/**
 * JSON-RPC 2.0 over a WebSocket, in both directions: either side calls the other.
 *
 * A text message has one request, one response, or a batch of them, as https://www.jsonrpc.org/specification says.
 *
 * @since 3.0.0
 */
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { count } from "./engine/checks.js"
import type { AnySchema, DecodingServices, EncodingServices, SchemaType } from "./internal/effect.js"
import { decodeUnknown, encodeUnknown } from "./internal/effect.js"
import { converting } from "./internal/Codec.js"
import { InvalidMessage } from "./internal/InvalidMessage.js"
import { internalError, invalidParams, JsonRpcSession, type Failure, type Invoked } from "./internal/JsonRpcSession.js"
import * as PendingCalls from "./PendingCalls.js"
import type * as WebSocket from "./WebSocket.js"

/**
 * The codes of errors that the specification defines (§5.1), and -32800, with which language servers answer a cancelled request.
 *
 * @since 3.0.0
 * @category errors
 */
export const ErrorCode = {
  ParseError: -32700,
  InvalidRequest: -32600,
  MethodNotFound: -32601,
  InvalidParams: -32602,
  InternalError: -32603,
  ServerError: -32000,
  RequestCancelled: -32800
} as const

/**
 * The error of a response. A handler fails with it, and the call on the other side then fails with it, too.
 *
 * - `code`: an integer; `ErrorCode` has the ones that are defined.
 * - `message`: one short sentence.
 * - `data`: a JSON value, if there is more to say.
 *
 * @since 3.0.0
 * @category errors
 */
export class ResponseError extends Data.TaggedError("Json_rpc_error")<{
  readonly code: number
  readonly message: string
  readonly data?: unknown
}> {}

/**
 * A method with a response. Made by `request`.
 *
 * @since 3.0.0
 * @category models
 */
export interface Request<Params extends AnySchema, Result extends AnySchema> {
  readonly _tag: "Request"
  readonly method: string
  readonly params: Params
  readonly result: Result
}

/**
 * A method without a response. Made by `notification`.
 *
 * @since 3.0.0
 * @category models
 */
export interface Notification<Params extends AnySchema> {
  readonly _tag: "Notification"
  readonly method: string
  readonly params: Params
}

/**
 * Describes a method. The schema of the parameters must encode to an array, to an object, or to `undefined`, which leaves them out.
 *
 * @example
 * ```ts
 * import { JsonRpc } from "@effect-websocket/platform"
 * import { Schema } from "effect"
 *
 * const Add = JsonRpc.request("add", { params: Schema.Array(Schema.Number), result: Schema.Number })
 * ```
 *
 * @since 3.0.0
 * @category constructors
 */
export const request = <Params extends AnySchema, Result extends AnySchema>(
  method: string,
  schemas: { readonly params: Params; readonly result: Result }
): Request<Params, Result> => ({ _tag: "Request", method, ...schemas })

/**
 * Describes a method without a response. The schema of the parameters is as in `request`.
 *
 * @since 3.0.0
 * @category constructors
 */
export const notification = <Params extends AnySchema>(
  method: string,
  schemas: { readonly params: Params }
): Notification<Params> => ({ _tag: "Notification", method, ...schemas })

/**
 * A method with its handler. Made by `handler`.
 *
 * @since 3.0.0
 * @category models
 */
export interface Handler<out R> {
  readonly method: string
  /** Decodes the parameters, and encodes the result. */
  readonly handle: (params: unknown, peer: Peer) => Effect.Effect<unknown, Failure, R>
}

/**
 * Adds a handler to a method. The handler gets the parameters, and the peer, which it may call. The handler of a request succeeds with its result or fails with `ResponseError`. Parameters that the
 * schema refuses are answered with -32602. A defect is answered with -32603 and logged.
 *
 * @since 3.0.0
 * @category constructors
 */
export const handler: {
  <Params extends AnySchema, Result extends AnySchema, R>(
    method: Request<Params, Result>,
    handle: (params: SchemaType<Params>, peer: Peer) => Effect.Effect<SchemaType<Result>, ResponseError, R>
  ): Handler<R | DecodingServices<Params> | EncodingServices<Result>>
  <Params extends AnySchema, R>(
    method: Notification<Params>,
    handle: (params: SchemaType<Params>, peer: Peer) => Effect.Effect<unknown, never, R>
  ): Handler<R | DecodingServices<Params>>
} = <Params extends AnySchema, Result extends AnySchema, R>(
  method: Request<Params, Result> | Notification<Params>,
  handle: (params: SchemaType<Params>, peer: Peer) => Effect.Effect<SchemaType<Result>, ResponseError, R>
): Handler<R | DecodingServices<Params> | EncodingServices<Result>> => {
  const decode = decodeUnknown(method.params)
  const encode = method._tag === "Request" ? encodeUnknown(method.result) : undefined
  return {
    method: method.method,
    handle: (params, peer) =>
      converting(decode, params, () => invalidParams).pipe(
        Effect.flatMap((params) => handle(params, peer)),
        Effect.flatMap((result) =>
          encode === undefined ? Effect.void : converting(encode, result, () => internalError)
        )
      )
  }
}

/**
 * The services of handlers.
 *
 * @since 3.0.0
 * @category models
 */
export type HandlersContext<Handlers extends ReadonlyArray<Handler<unknown>>> = HandlerContext<Handlers[number]>

type HandlerContext<H> = H extends Handler<infer R> ? R : never

/**
 * A method with parameters, for `batch`. Made by `invoke`.
 *
 * @since 3.0.0
 * @category models
 */
export interface Invocation<out A, out R> {
  readonly _tag: "Request" | "Notification"
  readonly method: string
  readonly params: Effect.Effect<unknown, InvalidMessage, R>
  readonly result: (value: unknown) => Effect.Effect<A, InvalidMessage, R>
}

/**
 * A method with its parameters.
 *
 * @since 3.0.0
 * @category constructors
 */
export const invoke: {
  <Params extends AnySchema, Result extends AnySchema>(
    method: Request<Params, Result>,
    params: SchemaType<Params>
  ): Invocation<SchemaType<Result>, EncodingServices<Params> | DecodingServices<Result>>
  <Params extends AnySchema>(
    method: Notification<Params>,
    params: SchemaType<Params>
  ): Invocation<void, EncodingServices<Params>>
} = <Params extends AnySchema, Result extends AnySchema>(
  method: Request<Params, Result> | Notification<Params>,
  params: SchemaType<Params>
) => invocation(method, params)

const invocation = <Params extends AnySchema, Result extends AnySchema>(
  method: Request<Params, Result> | Notification<Params>,
  params: SchemaType<Params>
) => ({
  _tag: method._tag,
  method: method.method,
  params: Effect.filterOrFail(
    converting(encodeUnknown(method.params), params, () => refused("outbound")),
    isParams,
    () => refused("outbound")
  ),
  // The overloads of `invoke` tell the two results apart.
  result: (value: unknown): Effect.Effect<never, InvalidMessage, DecodingServices<Result>> =>
    (method._tag === "Notification"
      ? Effect.succeed(undefined)
      : converting(decodeUnknown(method.result), value, () => refused("inbound"))) as Effect.Effect<
      never,
      InvalidMessage,
      DecodingServices<Result>
    >
})

/**
 * The errors of a call:
 *
 * - `ResponseError`: the peer answered with an error;
 * - `InvalidMessage`: the schema refuses the parameters (`"outbound"`, nothing is sent) or the result (`"inbound"`);
 * - `PendingCalls.CallError`: the connection ended, too many calls wait, or `timeout` passed.
 *
 * @since 3.0.0
 * @category errors
 */
export type CallError = ResponseError | InvalidMessage | PendingCalls.CallError

/**
 * The options of `make`.
 *
 * @since 3.0.0
 * @category models
 */
export interface Options<Handlers extends ReadonlyArray<Handler<unknown>>> extends PendingCalls.Options {
  /** The methods that the peer can call. Default: none. If two have the same name, the last one counts. */
  readonly handlers?: Handlers | undefined
  /**
   * How many requests and notifications of the peer run at once. Default: 64. One more request is answered with -32000. One more
   * notification is dropped. So are they if more responses than this wait, because the peer does not read.
   */
  readonly maxRunning?: number | undefined
  /** How many requests, notifications and responses the peer may put into a batch. Default: 100. A larger one is answered with -32600. */
  readonly maxBatch?: number | undefined
  /**
   * The notification that cancels a request; its parameters are `{ "id": … }`. Language servers use `"$/cancelRequest"`. Default: none.
   * It is sent when a call is interrupted or its timeout passes. When it arrives, the handler is interrupted, and the request is
   * answered with -32800.
   */
  readonly cancelMethod?: string | undefined
}

/**
 * The peer of a JSON-RPC connection, as this side calls it.
 *
 * @since 3.0.0
 * @category models
 */
export interface Peer {
  /** Calls a method of the peer, and waits for its response. An interruption forgets the call; see `cancelMethod`. */
  readonly call: <Params extends AnySchema, Result extends AnySchema>(
    method: Request<Params, Result>,
    params: SchemaType<Params>
  ) => Effect.Effect<SchemaType<Result>, CallError, EncodingServices<Params> | DecodingServices<Result>>

  /** Sends a notification. Fails as `WebSocket.send` does, and with `InvalidMessage` if the schema refuses the parameters. */
  readonly notify: <Params extends AnySchema>(
    method: Notification<Params>,
    params: SchemaType<Params>
  ) => Effect.Effect<void, ConnectionError | InvalidMessage, EncodingServices<Params>>

  /**
   * Sends several requests and notifications in one message, and waits for all responses. Succeeds with what became of each, in the order
   * of the batch; a notification has succeeded. An empty batch sends nothing. A peer refuses a batch above its own limit with an error
   * that has no id (§6), so its calls wait until `timeout` passes or the connection ends. With `make`, the limit is `maxBatch`.
   */
  readonly batch: <const Invocations extends ReadonlyArray<Invocation<unknown, unknown>>>(
    invocations: Invocations
  ) => Effect.Effect<
    { readonly [I in keyof Invocations]: Exit.Exit<InvocationResult<Invocations[I]>, CallError> },
    InvalidMessage | PendingCalls.CallError,
    InvocationContext<Invocations[number]>
  >
}

/**
 * One side of a JSON-RPC connection.
 *
 * @since 3.0.0
 * @category models
 */
export interface JsonRpc<out R> extends Peer {
  /**
   * Reads the connection: passes responses on to the calls, and runs the handlers, each in a fiber of its own that ends with the scope
   * of `make`. They begin in the order of the messages. Without it no call gets a response. Ends and fails as `WebSocket.run` does.
   */
  readonly run: Effect.Effect<void, ConnectionError, R>
}

/**
 * The result of an invocation.
 *
 * @since 3.0.0
 * @category models
 */
export type InvocationResult<I> = I extends Invocation<infer A, infer _R> ? A : never

/**
 * The services of an invocation.
 *
 * @since 3.0.0
 * @category models
 */
export type InvocationContext<I> = I extends Invocation<infer _A, infer R> ? R : never

/**
 * Speaks JSON-RPC over a connection. Nothing else may read from it. The end of the scope interrupts the handlers.
 *
 * @example
 * ```ts
 * import { JsonRpc, WebSocketServer } from "@effect-websocket/platform"
 * import { Effect, Schema } from "effect"
 *
 * const Add = JsonRpc.request("add", { params: Schema.Array(Schema.Number), result: Schema.Number })
 * const Log = JsonRpc.notification("log", { params: Schema.Struct({ text: Schema.String }) })
 *
 * const handlers = [
 *   JsonRpc.handler(Add, (numbers, peer) =>
 *     Effect.as(
 *       Effect.ignore(peer.notify(Log, { text: "adding" })),
 *       numbers.reduce((a, b) => a + b, 0)
 *     )
 *   )
 * ]
 *
 * const server = WebSocketServer.layerHandler((socket) =>
 *   Effect.flatMap(JsonRpc.make(socket, { handlers }), (rpc) => rpc.run)
 * )
 * ```
 *
 * @since 3.0.0
 * @category constructors
 */
export const make = <const Handlers extends ReadonlyArray<Handler<unknown>> = []>(
  socket: WebSocket.WebSocket,
  { cancelMethod, handlers, maxBatch = 100, maxRunning = 64, ...callOptions }: Options<Handlers> = {}
): Effect.Effect<JsonRpc<HandlersContext<Handlers>>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const calls = yield* PendingCalls.make<unknown, ResponseError>(socket, callOptions)
    const scope = yield* Effect.scope
    type R = HandlersContext<Handlers>
    // The services of all handlers are those of each.
    const own = (handlers ?? []) as ReadonlyArray<Handler<R>>
    const session: JsonRpcSession<R, ResponseError> = yield* Effect.sync(
      () =>
        new JsonRpcSession(socket, calls, scope, {
          methods: new Map(
            own.map(({ handle, method }) => [method, (params: unknown) => handle(params, peer)] as const)
          ),
          maxBatch: count("maxBatch", maxBatch),
          maxRunning: count("maxRunning", maxRunning),
          cancelMethod,
          toError: (failure) => new ResponseError(failure)
        })
    )
    const peer: Peer = {
      call: (method, params) => {
        const { params: encoded, result } = invoke(method, params)
        return Effect.flatMap(encoded, (encoded) => Effect.flatMap(session.call(method.method, encoded), result))
      },
      notify: (method, params) =>
        Effect.flatMap(invoke(method, params).params, (encoded) => session.notify(method.method, encoded)),
      batch: (invocations) => batch(session, invocations)
    }
    return { ...peer, run: session.run }
  })

const batch = <const Invocations extends ReadonlyArray<Invocation<unknown, unknown>>>(
  session: JsonRpcSession<unknown, ResponseError>,
  invocations: Invocations
): Effect.Effect<
  { readonly [I in keyof Invocations]: Exit.Exit<InvocationResult<Invocations[I]>, CallError> },
  InvalidMessage | PendingCalls.CallError,
  InvocationContext<Invocations[number]>
> =>
  // Inference cannot follow the tuple.
  Effect.gen(function* () {
    const invoked: Array<Invoked> = []
    for (const { _tag, method, params } of invocations) {
      invoked.push({ isRequest: _tag === "Request", method, params: yield* params })
    }
    const replies = yield* session.batch(invoked)
    return yield* Effect.forEach(invocations, ({ result }, index) =>
      Effect.exit(Effect.flatMap(replies[index]!, result))
    )
  }) as ReturnType<typeof batch<Invocations>>

const refused = (direction: "inbound" | "outbound"): InvalidMessage =>
  new InvalidMessage({ direction, reason: "schema", serialization: "JSON" })

const isParams = (params: unknown): boolean => params === undefined || (typeof params === "object" && params !== null)
