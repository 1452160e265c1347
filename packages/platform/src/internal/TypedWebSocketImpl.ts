import type * as CloseCode from "@effect-websocket/protocol/CloseCode"
import type { ConnectionError, PayloadTooLarge, ProtocolError } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { SendOptions } from "../Options.js"
import type * as WebSocket from "../WebSocket.js"
import { broadcast as broadcastData } from "./broadcast.js"
import type { Codec } from "./Codec.js"
import type { Batch } from "./effect.js"
import type { Handled, HandledContext, HandledError } from "./handled.js"
import { InvalidMessage } from "./InvalidMessage.js"
import { hasReader } from "./Reader.js"
import { InPlace } from "./sending.js"
import { together } from "./together.js"
import { readerKey, tag, typedWebSocket } from "./typeId.js"
import { ValueReader, type OnInvalid } from "./ValueReader.js"

/** One side of a channel. */
export interface Side<In, Out, RIn, ROut> {
  readonly codec: Codec<In, Out, RIn, ROut>
  readonly onInvalid: OnInvalid<RIn>
}

/** See `WebSocketChannel.TypedWebSocket`. */
export class TypedWebSocketImpl<In, Out, E, RIn, ROut> {
  readonly webSocket: WebSocket.WebSocket
  readonly side: Side<In, Out, RIn, ROut>
  private readonly reader: ValueReader<In, E, RIn>

  constructor(webSocket: WebSocket.WebSocket, side: Side<In, Out, RIn, ROut>) {
    if (!hasReader(webSocket)) throw new TypeError('A channel needs a WebSocket of the delivery "messages"')
    this.webSocket = webSocket
    this.side = side
    this.reader = new ValueReader(webSocket[readerKey], side.codec, side.onInvalid)
  }

  get protocol(): string | undefined {
    return this.webSocket.protocol
  }

  send(value: Out, options?: SendOptions): Effect.Effect<void, ConnectionError | InvalidMessage, ROut> {
    return new SendValue(this, value, options)
  }

  sendAll(
    values: Iterable<Out> & object,
    options?: SendOptions
  ): Effect.Effect<void, ConnectionError | InvalidMessage, ROut> {
    return Effect.suspend(() => {
      const { codec } = this.side
      const all = Array.from(values)
      const groups = codec.joins ? (all.length === 0 ? [] : [all]) : all.map((value) => [value])
      const messages: Array<string | Uint8Array> = []
      for (const group of groups) {
        const data = codec.encode(group)
        if (data instanceof InvalidMessage) return Effect.fail(data)
        if (Effect.isEffect(data)) {
          const rest = Effect.forEach(groups.slice(messages.length + 1), (group) => encoded(codec, group))
          return Effect.flatMap(Effect.zip(data, rest), ([data, others]) =>
            this.webSocket.sendAll([...messages, data, ...others], options)
          )
        }
        messages.push(data)
      }
      return this.webSocket.sendAll(messages, options)
    })
  }

  run<X extends Handled>(
    handler: (value: In) => X
  ): Effect.Effect<void, HandledError<X> | ConnectionError | E, HandledContext<X> | RIn> {
    // As in `MessageWebSocketImpl`.
    return this.reader.run(handler as (value: In) => Effect.Effect<unknown, HandledError<X>, HandledContext<X>> | void)
  }

  get receive(): Effect.Effect<In, ConnectionError | E, RIn> {
    return this.reader.receive
  }

  get receiveOption(): Effect.Effect<Option.Option<In>, ConnectionError | E, RIn> {
    return this.reader.receiveOption
  }

  get receiveAll(): Effect.Effect<Batch<In>, ConnectionError | E, RIn> {
    return this.reader.receiveAll
  }

  get messages(): Stream.Stream<In, ConnectionError | E, RIn> {
    return this.reader.messages
  }

  get isOpen(): Effect.Effect<boolean> {
    return this.webSocket.isOpen
  }

  get closeStatus(): Effect.Effect<WebSocket.CloseStatus> {
    return this.webSocket.closeStatus
  }

  close(): Effect.Effect<void>
  close(code: number | CloseCode.Name, reason?: string): Effect.Effect<void, ProtocolError | PayloadTooLarge>
  close(code?: number | CloseCode.Name, reason?: string): Effect.Effect<void, ProtocolError | PayloadTooLarge> {
    return code === undefined ? this.webSocket.close() : this.webSocket.close(code, reason)
  }

  get abort(): Effect.Effect<void> {
    return this.webSocket.abort
  }
}

tag(TypedWebSocketImpl, typedWebSocket)

/** The connection of a server, which also has its request and the value of its check. */
export class AcceptedWebSocketImpl<In, Out, E, RIn, ROut, Request, Value> extends TypedWebSocketImpl<
  In,
  Out,
  E,
  RIn,
  ROut
> {
  readonly request: Request
  readonly value: Value

  constructor(
    webSocket: WebSocket.WebSocket & { readonly request: Request; readonly value: Value },
    side: Side<In, Out, RIn, ROut>
  ) {
    super(webSocket, side)
    this.request = webSocket.request
    this.value = webSocket.value
  }
}

/** The effect that `send` returns. */
class SendValue<Out, R> extends InPlace<ConnectionError | InvalidMessage, R> {
  private readonly socket: TypedWebSocketImpl<unknown, Out, unknown, unknown, R>
  private readonly value: Out
  private readonly options: SendOptions | undefined

  constructor(
    socket: TypedWebSocketImpl<unknown, Out, unknown, unknown, R>,
    value: Out,
    options: SendOptions | undefined
  ) {
    super()
    this.socket = socket
    this.value = value
    this.options = options
  }

  begin(): Effect.Effect<void, ConnectionError | InvalidMessage, R> | undefined {
    const { webSocket } = this.socket
    const data = this.socket.side.codec.encode([this.value])
    if (data instanceof InvalidMessage) return Effect.fail(data)
    if (Effect.isEffect(data)) return Effect.flatMap(data, (data) => webSocket.send(data, this.options))
    const sending = webSocket.send(data, this.options)
    return sending instanceof InPlace ? sending.begin() : sending
  }
}

/** The message for some values. */
export const encoded = <Out, R>(
  codec: Codec<unknown, Out, unknown, R>,
  values: ReadonlyArray<Out>
): Effect.Effect<string | Uint8Array, InvalidMessage, R> =>
  Effect.suspend(() => {
    const data = codec.encode(values)
    if (data instanceof InvalidMessage) return Effect.fail(data)
    return Effect.isEffect(data) ? data : Effect.succeed(data)
  })

/** See `WebSocketChannel.broadcast`. */
export const broadcast = <Out, R>(
  sockets: Iterable<TypedWebSocketImpl<unknown, Out, unknown, unknown, R>>,
  value: Out,
  options?: SendOptions
): Effect.Effect<void, InvalidMessage, R> =>
  Effect.suspend(() => {
    const members = new Map<Codec<unknown, Out, unknown, R>, Array<WebSocket.WebSocket>>()
    for (const { side, webSocket } of sockets) {
      const group = members.get(side.codec)
      if (group === undefined) members.set(side.codec, [webSocket])
      else group.push(webSocket)
    }
    const messages = Effect.forEach(members, ([codec, group]) =>
      Effect.map(encoded(codec, [value]), (data) => broadcastData(group, data, options))
    )
    return Effect.flatMap(messages, (sends) => {
      const [first = Effect.void, ...others] = sends
      // A group that waits does not delay the others.
      return others.length === 0
        ? first
        : Effect.flatMap(together(sends), (exits) => exits.find(Exit.isFailure) ?? Effect.void)
    })
  })
