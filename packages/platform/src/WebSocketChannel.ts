/**
 * Typed messages. A channel says with two schemas what clients and servers send, and how their values become messages. One
 * value serves both sides, so they cannot disagree.
 *
 * @since 3.0.0
 */
import {
  remoteProtocolError,
  type ConnectionError,
  type PayloadTooLarge,
  type ProtocolError
} from "@effect-websocket/protocol/Errors"
import type { Name as CloseCodeName } from "@effect-websocket/protocol/CloseCode"
import type { Message } from "@effect-websocket/protocol/Message"
import type * as Origin from "@effect-websocket/protocol/Origin"
import type * as Subprotocol from "@effect-websocket/protocol/Subprotocol"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { Codec } from "./internal/Codec.js"
import type { AnySchema, Batch, DecodingServices, EncodingServices, SchemaType } from "./internal/effect.js"
import type * as internalInvalid from "./internal/InvalidMessage.js"
import * as internalReconnecting from "./internal/makeReconnecting.js"
import * as internalTypeId from "./internal/typeId.js"
import { TypedReconnectingImpl, typedUsage } from "./internal/TypedReconnectingImpl.js"
import * as internal from "./internal/TypedWebSocketImpl.js"
import type { OnInvalid as AnyOnInvalid } from "./internal/ValueReader.js"
import type * as ReconnectingWebSocket from "./ReconnectingWebSocket.js"
import * as Serialization from "./Serialization.js"
import * as UpgradeCheck from "./UpgradeCheck.js"
import type * as WebSocket from "./WebSocket.js"
import * as WebSocketClient from "./WebSocketClient.js"
import * as WebSocketServer from "./WebSocketServer.js"

/**
 * The symbol that marks a channel. It is the same in every copy of this package.
 *
 * @since 3.0.0
 * @category symbols
 */
export const TypeId: typeof internalTypeId.webSocketChannel = internalTypeId.webSocketChannel

/**
 * The type of `TypeId`.
 *
 * @since 3.0.0
 * @category symbols
 */
export type TypeId = typeof TypeId

/**
 * The symbol that marks a `TypedWebSocket`. It is the same in every copy of this package.
 *
 * @since 3.0.0
 * @category symbols
 */
export const TypedTypeId: typeof internalTypeId.typedWebSocket = internalTypeId.typedWebSocket

/**
 * The type of `TypedTypeId`.
 *
 * @since 3.0.0
 * @category symbols
 */
export type TypedTypeId = typeof TypedTypeId

/**
 * A message that cannot be decoded (`"inbound"`), or a value that cannot be encoded (`"outbound"`; nothing is sent). Its `_tag` is
 * `"Invalid_message"`.
 *
 * - `reason`: `"kind"` is text in place of binary data or the other way round, `"serialization"` is a message that the serialization
 *   refuses, such as invalid JSON, and `"schema"` is a value that the schema refuses.
 * - `serialization`: the name of the serialization.
 *
 * It has no part of the message, because errors are logged, and messages may be secret.
 *
 * @since 3.0.0
 * @category errors
 */
export type InvalidMessage = internalInvalid.InvalidMessage

/**
 * Whether a value is an `InvalidMessage`.
 *
 * @since 3.0.0
 * @category guards
 */
export const isInvalidMessage = (u: unknown): u is InvalidMessage =>
  typeof u === "object" && u !== null && "_tag" in u && u._tag === "Invalid_message"

/**
 * What happens when a message arrives that cannot be decoded.
 *
 * - `"close"`: the connection fails with `ProtocolError` and closes, with 1003 for text in place of binary data or the other way round,
 *   and with 1007 for anything else (RFC 6455 §7.4.1). Messages before it are delivered.
 * - `"fail"`: the read fails with `InvalidMessage`. The connection stays open, and the next read goes on behind the message.
 * - a function: the message is skipped once the effect that the function returns, if it returns one, is done. It gets the error and
 *   the message.
 *
 * @since 3.0.0
 * @category models
 */
export type OnInvalid = AnyOnInvalid<unknown>

/**
 * The error of reading that a policy adds: `InvalidMessage` with `"fail"`, otherwise none.
 *
 * @since 3.0.0
 * @category models
 */
export type InvalidError<P> = P extends "fail" ? InvalidMessage : never

/**
 * The services that the function of a policy needs.
 *
 * @since 3.0.0
 * @category models
 */
export type InvalidContext<P> = P extends (...args: infer _Args) => infer X
  ? X extends Effect.Effect<infer _A, infer _E, infer R>
    ? R
    : never
  : never

/**
 * What clients and servers send to each other. Made by `make`.
 *
 * @since 3.0.0
 * @category models
 */
export interface WebSocketChannel<
  FromClient extends AnySchema,
  FromServer extends AnySchema,
  P extends OnInvalid = "close"
> {
  readonly [TypeId]: TypeId
  /** The schema of the values that clients send. */
  readonly fromClient: FromClient
  /** The schema of the values that servers send. */
  readonly fromServer: FromServer
  readonly serialization: Serialization.Serialization
  readonly onInvalid: P
}

/**
 * A channel of any types.
 *
 * @since 3.0.0
 * @category models
 */
export type Any = WebSocketChannel<AnySchema, AnySchema, OnInvalid>

/**
 * A channel for each subprotocol. Made by `protocols`.
 *
 * @since 3.0.0
 * @category models
 */
export interface Protocols<Channels extends Readonly<Record<string, Any>>> {
  readonly channels: Channels
}

/**
 * A channel, or one for each subprotocol.
 *
 * @since 3.0.0
 * @category models
 */
export type AnyChannel = Any | Protocols<Readonly<Record<string, Any>>>

/**
 * An open WebSocket that receives values of the type `In` and sends values of the type `Out`.
 *
 * `E` is `InvalidMessage` if the channel has the policy `"fail"`, otherwise `never`. `RIn` and `ROut` are the services that decoding and
 * encoding need.
 *
 * A message leaves the connection in the step in which its last value is delivered. So an interruption loses no value, not even while
 * a schema waits for something: the next read then decodes the message again.
 *
 * @since 3.0.0
 * @category models
 */
export interface TypedWebSocket<out In, in Out, out E = never, out RIn = never, out ROut = never> {
  readonly [TypedTypeId]: TypedTypeId

  /** The connection itself, for everything that has no type: `ping`, `limits` and so on. Do not read from it. */
  readonly webSocket: WebSocket.WebSocket

  /** The subprotocol that the handshake selected, if any. */
  readonly protocol: string | undefined

  /**
   * Encodes a value and sends it, as `WebSocket.send` does and with its errors. Fails with an outbound `InvalidMessage`, and sends
   * nothing, if the value cannot be encoded.
   */
  readonly send: (
    value: Out,
    options?: WebSocket.SendOptions
  ) => Effect.Effect<void, ConnectionError | InvalidMessage, ROut>

  /**
   * Encodes all values, and then sends them in order. If the serialization joins values, as `Serialization.ndjson` does, they go in
   * one message. Fails with an outbound `InvalidMessage`, and sends nothing, if one cannot be encoded; otherwise as
   * `WebSocket.sendAll`.
   */
  readonly sendAll: (
    values: Iterable<Out> & object,
    options?: WebSocket.SendOptions
  ) => Effect.Effect<void, ConnectionError | InvalidMessage, ROut>

  /**
   * Calls `handler` for each value, in order, as `WebSocket.run` does. It ends and fails as that does, and with `InvalidMessage` if the
   * channel has the policy `"fail"`.
   */
  readonly run: <X extends WebSocket.Handled>(
    handler: (value: In) => X
  ) => Effect.Effect<void, WebSocket.HandledError<X> | ConnectionError | E, WebSocket.HandledContext<X> | RIn>

  /** The next value. Fails once the connection is over, even after a normal close. An interruption loses no value. */
  readonly receive: Effect.Effect<In, ConnectionError | E, RIn>

  /** As `receive`, but succeeds with `None` after a normal end, as defined by `WebSocket.run`. */
  readonly receiveOption: Effect.Effect<Option.Option<In>, ConnectionError | E, RIn>

  /** All values that have arrived and can be decoded at once, at least one. It waits as `receive` does, and loses no value. */
  readonly receiveAll: Effect.Effect<Batch<In>, ConnectionError | E, RIn>

  /** All values. Ends and fails as `run` does. What `WebSocket.messages` says about its early end applies. */
  readonly messages: Stream.Stream<In, ConnectionError | E, RIn>

  /** Whether messages can be sent now. */
  readonly isOpen: Effect.Effect<boolean>

  /** Waits until the connection is over, and succeeds with how it ended. */
  readonly closeStatus: Effect.Effect<WebSocket.CloseStatus>

  /** Performs the closing handshake as `WebSocket.close` does, and fails as it does. */
  close(): Effect.Effect<void>
  close(code: number | CloseCodeName, reason?: string): Effect.Effect<void, ProtocolError | PayloadTooLarge>

  /** Drops the connection without a handshake. Idempotent. */
  readonly abort: Effect.Effect<void>
}

/**
 * The typed WebSocket of a client. With `Protocols` it is a union, which `protocol` tells apart.
 *
 * @since 3.0.0
 * @category models
 */
export type ClientSocket<C> =
  C extends WebSocketChannel<infer FromClient, infer FromServer, infer P>
    ? SideOf<FromServer, FromClient, P>
    : C extends Protocols<infer Channels>
      ? { readonly [K in keyof Channels]: ClientSocket<Channels[K]> & { readonly protocol: K } }[keyof Channels]
      : never

/**
 * The typed WebSocket of a server. With `Protocols` it is a union, which `protocol` tells apart. `Value` is the type of the value that
 * its check accepted with.
 *
 * @since 3.0.0
 * @category models
 */
export type ServerSocket<C, Value = undefined> =
  C extends WebSocketChannel<infer FromClient, infer FromServer, infer P>
    ? SideOf<FromClient, FromServer, P> & WebSocketServer.Accepted<Value>
    : C extends Protocols<infer Channels>
      ? { readonly [K in keyof Channels]: ServerSocket<Channels[K], Value> & { readonly protocol: K } }[keyof Channels]
      : never

type SideOf<In extends AnySchema, Out extends AnySchema, P> = TypedWebSocket<
  SchemaType<In>,
  SchemaType<Out>,
  InvalidError<P>,
  DecodingServices<In> | InvalidContext<P>,
  EncodingServices<Out>
>

/**
 * The error of a client whose server selected none of the subprotocols. A single channel does not have it.
 *
 * @since 3.0.0
 * @category errors
 */
export type ProtocolMismatch<C> = C extends Protocols<infer _Channels> ? ProtocolError : never

/**
 * The options of a channel.
 *
 * @since 3.0.0
 * @category models
 */
export interface Options<FromClient extends AnySchema, FromServer extends AnySchema, P extends OnInvalid> {
  /** The schema of the values that clients send. */
  readonly fromClient: FromClient
  /** The schema of the values that servers send. */
  readonly fromServer: FromServer
  /** How values become messages. Default: `Serialization.json`. */
  readonly serialization?: Serialization.Serialization | undefined
  /** What happens when a message arrives that cannot be decoded. Default: `"close"`. */
  readonly onInvalid?: P | undefined
}

/**
 * Makes a channel.
 *
 * @example
 * ```ts
 * import { WebSocketChannel } from "@effect-websocket/platform"
 * import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
 * import { Console, Effect, Layer, Schema } from "effect"
 *
 * const Chat = WebSocketChannel.make({
 *   fromClient: Schema.Struct({ say: Schema.String }),
 *   fromServer: Schema.Struct({ from: Schema.String, said: Schema.String })
 * })
 *
 * const Server = WebSocketChannel.layerHandler(Chat, (socket) =>
 *   socket.run(({ say }) => socket.send({ from: "you", said: say }))
 * ).pipe(Layer.provide(NodeWebSocketServer.layer({ port: 8080 })))
 *
 * const client = Effect.gen(function* () {
 *   const socket = yield* WebSocketChannel.connect(Chat, "ws://127.0.0.1:8080")
 *   yield* socket.send({ say: "hello" })
 *   const { said } = yield* socket.receive
 *   yield* Console.log(said)
 * }).pipe(Effect.scoped, Effect.provide(NodeWebSocketClient.layer))
 * ```
 *
 * @since 3.0.0
 * @category constructors
 */
export const make: {
  <FromClient extends AnySchema, FromServer extends AnySchema, X extends Effect.Effect<unknown, never, unknown> | void>(
    options: Omit<Options<FromClient, FromServer, never>, "onInvalid"> & {
      readonly onInvalid: (error: InvalidMessage, message: Message) => X
    }
  ): WebSocketChannel<FromClient, FromServer, (error: InvalidMessage, message: Message) => X>
  <FromClient extends AnySchema, FromServer extends AnySchema>(
    options: Options<FromClient, FromServer, "close">
  ): WebSocketChannel<FromClient, FromServer>
  <FromClient extends AnySchema, FromServer extends AnySchema, const P extends OnInvalid>(
    options: Options<FromClient, FromServer, P>
  ): WebSocketChannel<FromClient, FromServer, P>
} = <FromClient extends AnySchema, FromServer extends AnySchema, P extends OnInvalid>({
  fromClient,
  fromServer,
  onInvalid,
  serialization = Serialization.json
}: Options<FromClient, FromServer, P>): WebSocketChannel<FromClient, FromServer, P> => ({
  [TypeId]: TypeId,
  fromClient,
  fromServer,
  serialization,
  // Without the option, `P` is "close".
  onInvalid: onInvalid ?? ("close" as P)
})

/**
 * A channel for each subprotocol, in the server's order of preference. Clients offer all of them. A server rejects a request that offers
 * none of them with 400. `protocol` tells the types of a connection apart.
 *
 * @example
 * ```ts
 * import { WebSocketChannel } from "@effect-websocket/platform"
 * import { Effect, Schema } from "effect"
 *
 * const Chat = WebSocketChannel.protocols({
 *   "chat.v2": WebSocketChannel.make({ fromClient: Schema.Struct({ say: Schema.String }), fromServer: Schema.String }),
 *   "chat.v1": WebSocketChannel.make({ fromClient: Schema.String, fromServer: Schema.String })
 * })
 *
 * const hello = Effect.gen(function* () {
 *   const socket = yield* WebSocketChannel.connect(Chat, "ws://127.0.0.1:8080")
 *   if (socket.protocol === "chat.v2") yield* socket.send({ say: "hello" })
 *   else yield* socket.send("hello")
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 3.0.0
 * @category constructors
 */
export const protocols = <const Channels extends Readonly<Record<string, Any>>>(
  channels: Channels
): Protocols<Channels> => ({ channels })

/**
 * Whether a value is a channel.
 *
 * @since 3.0.0
 * @category guards
 */
export const isWebSocketChannel = (u: unknown): u is Any => internalTypeId.isTagged(u, TypeId)

/**
 * Connects as `WebSocketClient.connect` does, and with its errors. With `protocols`, it offers their names, and fails with `ProtocolError`
 * if the server selects none.
 *
 * @since 3.0.0
 * @category accessors
 */
export const connect = <C extends AnyChannel>(
  channel: C,
  url: string | URL,
  options?: ConnectOptions<C>
): Effect.Effect<
  ClientSocket<C>,
  WebSocketClient.ConnectError | ProtocolMismatch<C>,
  WebSocketClient.WebSocketClient | Scope.Scope
> =>
  Effect.flatMap(WebSocketClient.connect(url, { ...options, ...offered(channel) }), (socket) =>
    Effect.tapError(client(channel, socket), () => Effect.ignore(socket.close(1002)))
  )

/**
 * The options of `connect`: those of the client, except the delivery. With `protocols`, the subprotocols are those of the channels.
 *
 * @since 3.0.0
 * @category models
 */
export type ConnectOptions<C> = Omit<
  WebSocketClient.ConnectOptions,
  | "delivery"
  | "answerPings"
  | "answerClose"
  | "rsv"
  | "opcodes"
  | "recordFrames"
  | (C extends Protocols<infer _Channels> ? "protocols" : never)
>

/**
 * Types a connection of a client that is open already. With `protocols`, fails with `ProtocolError` if its subprotocol is none of
 * them. Then nothing is sent, and the connection stays open.
 *
 * @example
 * ```ts
 * import { WebSocketChannel, WebSocketClient } from "@effect-websocket/platform"
 * import { Effect, Schema } from "effect"
 *
 * const Feed = WebSocketChannel.make({ fromClient: Schema.Never, fromServer: Schema.Struct({ price: Schema.Number }) })
 *
 * const price = Effect.gen(function* () {
 *   const socket = yield* WebSocketClient.connect("wss://example.com/feed")
 *   const feed = yield* WebSocketChannel.client(Feed, socket)
 *   return (yield* feed.receive).price
 * }).pipe(Effect.scoped)
 * ```
 *
 * @since 3.0.0
 * @category constructors
 */
export const client = <C extends AnyChannel>(
  channel: C,
  socket: WebSocket.WebSocket
): Effect.Effect<ClientSocket<C>, ProtocolMismatch<C>> =>
  Effect.map(
    selected(channel, socket),
    (one) => new internal.TypedWebSocketImpl(socket, sidesOf(one).client) as object as ClientSocket<C>
  )

/**
 * Types a connection of a server, such as one of `WebSocketServer.accept`. With `protocols`, fails with `ProtocolError` if its subprotocol
 * is none of them. Then nothing is sent, and the connection stays open.
 *
 * @since 3.0.0
 * @category constructors
 */
export const server = <C extends AnyChannel, Value>(
  channel: C,
  socket: WebSocketServer.ServerWebSocket<"messages", Value>
): Effect.Effect<ServerSocket<C, Value>, ProtocolMismatch<C>> =>
  Effect.map(
    selected(channel, socket),
    (one) => new internal.AcceptedWebSocketImpl(socket, sidesOf(one).server) as object as ServerSocket<C, Value>
  )

/**
 * A logical connection that reconnects, with typed messages. It has what a `ReconnectingWebSocket` has, and its outcomes. `ROut` are
 * the services that encoding needs.
 *
 * @since 3.0.0
 * @category models
 */
export interface TypedReconnectingWebSocket<out In, in Out, out E = never, out ROut = never> extends Omit<
  ReconnectingWebSocket.ReconnectingWebSocket<E>,
  "messages" | "receive" | "receiveOption" | "send" | "offer"
> {
  /** The values of all connections, in order. Ends and fails as `ReconnectingWebSocket.messages` does. */
  readonly messages: Stream.Stream<In, ReconnectingWebSocket.Failure<E>>

  /** The next value, of any connection. Fails as `ReconnectingWebSocket.receive` does. Interrupting it loses no value. */
  readonly receive: Effect.Effect<In, ReconnectingWebSocket.Failure<E>>

  /** As `receive`, but `None` if `messages` would end. */
  readonly receiveOption: Effect.Effect<Option.Option<In>, ReconnectingWebSocket.Failure<E>>

  /**
   * Encodes a value and sends it, as `ReconnectingWebSocket.send` does and with its outcome. Fails with an outbound `InvalidMessage`,
   * and sends nothing, if the value cannot be encoded.
   */
  send(
    value: Out,
    options?: ReconnectingWebSocket.SendOptions
  ): Effect.Effect<ReconnectingWebSocket.Outcome, PayloadTooLarge | InvalidMessage, ROut>

  /**
   * Encodes a value and puts it into the outbox, as `ReconnectingWebSocket.offer` does. Fails with an outbound `InvalidMessage` if the
   * value cannot be encoded.
   */
  offer(
    value: Out,
    options?: ReconnectingWebSocket.SendOptions
  ): Effect.Effect<Effect.Effect<ReconnectingWebSocket.Outcome, PayloadTooLarge>, InvalidMessage, ROut>
}

/**
 * The reconnecting client of a channel. `E` is the error of the effects of its options.
 *
 * @since 3.0.0
 * @category models
 */
export type ReconnectingClient<C extends Any, E = never> =
  C extends WebSocketChannel<infer FromClient, infer FromServer, infer P>
    ? TypedReconnectingWebSocket<
        SchemaType<FromServer>,
        SchemaType<FromClient>,
        E | InvalidError<P>,
        EncodingServices<FromClient>
      >
    : never

/**
 * The options of `reconnecting`: those of `ReconnectingWebSocket.make`. `onConnect` gets the connection with its types, and `classify`
 * also decides on the `InvalidMessage` of the policy `"fail"`.
 *
 * @since 3.0.0
 * @category models
 */
export type ReconnectingOptions<C extends Any, E = never, R = never> = internalReconnecting.ReconnectingOptions<
  ClientSocket<C>,
  E | InvalidError<C["onInvalid"]>,
  R
>

/**
 * The services that decoding the messages of a server needs, and those of the policy for invalid ones.
 *
 * @since 3.0.0
 * @category models
 */
export type ReconnectingServices<C extends Any> = DecodingServices<C["fromServer"]> | InvalidContext<C["onInvalid"]>

/**
 * Connects and reconnects as `ReconnectingWebSocket.make` does, and types each connection. `onConnect` gets the typed connection.
 * Messages are decoded as they arrive, and wait as values for a reader.
 *
 * By default an invalid message closes its connection, and its `ProtocolError` is final. With the policy `"fail"`, it closes its
 * connection, too, and `classify` decides on the `InvalidMessage`; by default it is final. Use a function to skip invalid messages.
 *
 * @example
 * ```ts
 * import { WebSocketChannel } from "@effect-websocket/platform"
 * import { NodeWebSocketClient } from "@effect-websocket/platform/node"
 * import { Console, Effect, Schema, Stream } from "effect"
 *
 * const Prices = WebSocketChannel.make({
 *   fromClient: Schema.Struct({ subscribe: Schema.String }),
 *   fromServer: Schema.Struct({ price: Schema.Number })
 * })
 *
 * const program = Effect.gen(function* () {
 *   const socket = yield* WebSocketChannel.reconnecting(Prices, "wss://example.com/prices", {
 *     onConnect: (connection) => connection.send({ subscribe: "ACME" })
 *   })
 *   yield* socket.send({ subscribe: "EMCA" }, { validFor: "10 seconds" })
 *   yield* Stream.runForEach(socket.messages, ({ price }) => Console.log(price))
 * }).pipe(Effect.scoped, Effect.provide(NodeWebSocketClient.layer))
 * ```
 *
 * @since 3.0.0
 * @category constructors
 */
export const reconnecting = <C extends Any, E = never, R = never>(
  channel: C,
  url: string | URL | Effect.Effect<string | URL, E, R>,
  options: ReconnectingOptions<C, E, R> = {}
): Effect.Effect<
  ReconnectingClient<C, E>,
  never,
  WebSocketClient.WebSocketClient | Scope.Scope | R | ReconnectingServices<C>
> => {
  const side = sidesOf(channel).client as internal.Side<unknown, unknown, ReconnectingServices<C>, unknown>
  type Failing = E | InvalidError<C["onInvalid"]>
  type Options = internalReconnecting.ReconnectingOptions<AnyTyped<Failing, C>, Failing, R | ReconnectingServices<C>>
  return Effect.map(
    internalReconnecting.makeReconnecting(
      url,
      // The types of the connection follow from the channel.
      options as object as Options,
      typedUsage<unknown, unknown, Failing, ReconnectingServices<C>, unknown>(side)
    ),
    (untyped) => new TypedReconnectingImpl(untyped, side.codec) as object as ReconnectingClient<C, E>
  )
}

type AnyTyped<E, C extends Any> = internal.TypedWebSocketImpl<unknown, unknown, E, ReconnectingServices<C>, unknown>

/**
 * The options of `layerHandler`: those of `WebSocketServer.layerHandler` except the delivery. With `protocols`, the subprotocols are those
 * of the channels.
 *
 * @since 3.0.0
 * @category models
 */
export interface HandlerOptions<C, Value, E, R, CheckError, CheckServices> {
  /** As in `WebSocketServer.RunOptions`. */
  readonly concurrency?: number | "unbounded" | undefined
  /** As in `WebSocketServer.RunOptions`. It gets the connection without its types. */
  readonly onError?:
    | ((
        cause: Cause.Cause<E>,
        socket: WebSocketServer.ServerWebSocket<"messages", Value>
      ) => Effect.Effect<unknown, never, R>)
    | undefined
  /** As in `WebSocketServer.RouteOptions`. */
  readonly check?: UpgradeCheck.Check<Value, CheckError, CheckServices> | undefined
  /** As in `WebSocketServer.RouteOptions`. */
  readonly origin?: Origin.Policy | undefined
  /** As in `WebSocketServer.RouteOptions`. Left out if the channel has subprotocols. */
  readonly protocols?:
    (C extends Protocols<infer _Channels> ? undefined : ReadonlyArray<string> | Subprotocol.Selector) | undefined
}

/**
 * A layer that runs a handler for each connection, as `WebSocketServer.layerHandler` does.
 *
 * @since 3.0.0
 * @category layers
 */
export const layerHandler = <
  C extends AnyChannel,
  A,
  E,
  R,
  R2 = never,
  Value = undefined,
  CheckError = never,
  CheckServices = never
>(
  channel: C,
  handler: (socket: ServerSocket<C, Value>) => Effect.Effect<A, E, R>,
  options: HandlerOptions<C, Value, E | ProtocolMismatch<C>, R2, CheckError, CheckServices> = {}
): Layer.Layer<
  never,
  never,
  WebSocketServer.WebSocketServer | Exclude<CheckServices, Scope.Scope> | Exclude<R | R2, Scope.Scope>
> =>
  WebSocketServer.layerHandler(typed<C, Value, A, E, R>(channel, handler), {
    ...options,
    ...negotiated(channel, options)
  })

/**
 * A layer with a route of the server and a handler for each of its connections, as `WebSocketServer.layerRoute` makes one.
 *
 * @example
 * ```ts
 * import { WebSocketChannel } from "@effect-websocket/platform"
 * import { Schema } from "effect"
 *
 * const Count = WebSocketChannel.make({ fromClient: Schema.Number, fromServer: Schema.Number })
 *
 * const Doubler = WebSocketChannel.layerRoute(Count, {
 *   path: "/double",
 *   handler: (socket) => socket.run((count) => socket.send(count * 2))
 * })
 * ```
 *
 * @since 3.0.0
 * @category layers
 */
export const layerRoute = <
  C extends AnyChannel,
  A,
  E,
  R,
  Value = undefined,
  CheckError = never,
  CheckServices = never,
  R2 = never
>(
  channel: C,
  options: HandlerOptions<C, Value, E | ProtocolMismatch<C>, R2, CheckError, CheckServices> &
    Pick<WebSocketServer.RouteOptions, "path"> & {
      readonly handler: (socket: ServerSocket<C, Value>) => Effect.Effect<A, E, R>
    }
): Layer.Layer<
  never,
  never,
  WebSocketServer.WebSocketServer | Exclude<CheckServices, Scope.Scope> | Exclude<R | R2, Scope.Scope>
> =>
  WebSocketServer.layerRoute({
    ...options,
    ...negotiated(channel, options),
    handler: typed<C, Value, A, E, R>(channel, options.handler)
  })

/**
 * Sends one value to many connections, as `WebSocket.broadcast` does. The value is encoded once for each channel. Fails with
 * `InvalidMessage`, and sends nothing, if it cannot be encoded.
 *
 * @example
 * ```ts
 * import { WebSocketChannel } from "@effect-websocket/platform"
 * import { Effect, Schema } from "effect"
 *
 * const Chat = WebSocketChannel.make({ fromClient: Schema.String, fromServer: Schema.Struct({ said: Schema.String }) })
 *
 * const members = new Set<WebSocketChannel.ServerSocket<typeof Chat>>()
 *
 * const chat = WebSocketChannel.layerHandler(Chat, (socket) =>
 *   Effect.acquireUseRelease(
 *     Effect.sync(() => members.add(socket)),
 *     () => socket.run((said) => WebSocketChannel.broadcast(members, { said })),
 *     () => Effect.sync(() => members.delete(socket))
 *   )
 * )
 * ```
 *
 * @since 3.0.0
 * @category sending
 */
export const broadcast = <Out, ROut = never>(
  sockets: Iterable<TypedWebSocket<unknown, Out, unknown, unknown, ROut>>,
  value: Out,
  options?: WebSocket.SendOptions
): Effect.Effect<void, InvalidMessage, ROut> =>
  // Every `TypedWebSocket` is made by this module.
  internal.broadcast(sockets as Iterable<object> as Iterable<Impl<Out, ROut>>, value, options)

/**
 * Encodes a value as the servers of a channel send it, once for everybody who gets it: for a topic, or another way of the app to
 * fan out. Fails with an outbound `InvalidMessage` if it cannot be encoded.
 *
 * @example
 * ```ts
 * import { Topics, WebSocketChannel } from "@effect-websocket/platform"
 * import { Effect, Schema } from "effect"
 *
 * const Chat = WebSocketChannel.make({ fromClient: Schema.String, fromServer: Schema.Struct({ said: Schema.String }) })
 *
 * const chat = WebSocketChannel.layerHandler(Chat, (socket) =>
 *   Effect.gen(function* () {
 *     const topics = yield* Topics.Topics
 *     yield* topics.attach(socket.webSocket, "chat")
 *     yield* socket.run((said) =>
 *       Effect.flatMap(WebSocketChannel.encode(Chat, { said }), (data) => topics.publish("chat", data))
 *     )
 *   }).pipe(Effect.scoped)
 * )
 * ```
 *
 * @since 3.0.0
 * @category sending
 */
export const encode = <C extends Any>(
  channel: C,
  value: SchemaType<C["fromServer"]>
): Effect.Effect<string | Uint8Array, InvalidMessage, EncodingServices<C["fromServer"]>> =>
  // The services are those of the schema that the codec was made of.
  internal.encoded(sidesOf(channel).server.codec, [value]) as Effect.Effect<
    string | Uint8Array,
    InvalidMessage,
    EncodingServices<C["fromServer"]>
  >

type Impl<Out, ROut> = internal.TypedWebSocketImpl<unknown, Out, unknown, unknown, ROut>

type AnySide = internal.Side<unknown, unknown, unknown, unknown>

interface Sides {
  readonly client: AnySide
  readonly server: AnySide
}

// Made once for each channel, so that a broadcast recognises connections that share an encoding.
const sides = new WeakMap<Any, Sides>()

const sidesOf = (channel: Any): Sides => {
  let both = sides.get(channel)
  if (both === undefined) {
    const { fromClient, fromServer, onInvalid, serialization } = channel
    both = {
      client: { codec: new Codec(fromServer, fromClient, serialization), onInvalid },
      server: { codec: new Codec(fromClient, fromServer, serialization), onInvalid }
    }
    sides.set(channel, both)
  }
  return both
}

const isSingle = (channel: AnyChannel): channel is Any => TypeId in channel

/** The channel of a connection. */
const selected = <C extends AnyChannel>(
  channel: C,
  { protocol }: WebSocket.WebSocket
): Effect.Effect<Any, ProtocolMismatch<C>> =>
  Effect.suspend(() => {
    if (isSingle(channel)) return Effect.succeed(channel)
    const { channels } = channel
    const one = protocol !== undefined && Object.hasOwn(channels, protocol) ? channels[protocol] : undefined
    if (one !== undefined) return Effect.succeed(one)
    const names = Object.keys(channels).join(", ")
    const mismatch: ProtocolError = remoteProtocolError(`The subprotocol is none of ${names}`, "RFC 6455 §1.9")
    return Effect.fail(mismatch as ProtocolMismatch<C>)
  })

const offered = (channel: AnyChannel): { readonly protocols?: ReadonlyArray<string> } =>
  isSingle(channel) ? {} : { protocols: Object.keys(channel.channels) }

const typed =
  <C extends AnyChannel, Value, A, E, R>(
    channel: C,
    handler: (socket: ServerSocket<C, Value>) => Effect.Effect<A, E, R>
  ) =>
  (socket: WebSocketServer.ServerWebSocket<"messages", Value>): Effect.Effect<A, E | ProtocolMismatch<C>, R> =>
    Effect.flatMap(server(channel, socket), handler)

/** The subprotocols of a route, and a check that rejects a request for another one. */
const negotiated = <Value, E, R>(
  channel: AnyChannel,
  options: Pick<WebSocketServer.RouteOptions<Value, E, R>, "check" | "protocols">
): Pick<WebSocketServer.RouteOptions<Value, E, R>, "check" | "protocols"> => {
  if (isSingle(channel)) return {}
  const names = Object.keys(channel.channels)
  const rejected = UpgradeCheck.reject(400, { body: `The subprotocol must be one of ${names.join(", ")}` })
  const accepted: UpgradeCheck.Accept<Value> = UpgradeCheck.accept(undefined as Value)
  return {
    protocols: names,
    check: (request) => {
      if (!request.protocols.some((name) => names.includes(name))) return Effect.succeed(rejected)
      // Without a check there is no value.
      return options.check === undefined ? Effect.succeed(accepted) : options.check(request)
    }
  }
}
