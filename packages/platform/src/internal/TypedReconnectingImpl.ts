import type * as CloseCode from "@effect-websocket/protocol/CloseCode"
import type { PayloadTooLarge, ProtocolError } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import type { Outcome } from "../engine/client/Outbox.js"
import { closeCodeOf, type Codec } from "./Codec.js"
import { catch_, type Subscribable } from "./effect.js"
import { InvalidMessage } from "./InvalidMessage.js"
import type { Reconnecting, Usage } from "./reconnecting.js"
import type { Failure, SendOptions, State } from "./reconnectingState.js"
import { encoded, TypedWebSocketImpl, type Side } from "./TypedWebSocketImpl.js"

/** Each connection is typed, and one object reads it first in `onConnect` and then here, because a message may have several values. */
export const typedUsage = <In, Out, E, RIn, ROut>(
  side: Side<In, Out, RIn, ROut>
): Usage<TypedWebSocketImpl<In, Out, E, RIn, ROut>, In, E, RIn> => ({
  adopt: (socket) => new TypedWebSocketImpl(socket, side),
  read: (socket, deliver) =>
    catch_(socket.run(deliver), (error) => {
      if (!(error instanceof InvalidMessage)) return Effect.void
      // Only the type of the channel says that it fails.
      const failure = Effect.fail(error) as Effect.Effect<never, InvalidMessage & E>
      return Effect.andThen(Effect.ignore(socket.close(closeCodeOf(error))), failure)
    })
})

/** A logical connection of values that encodes nothing. */
type Untyped<In, E> = Omit<Reconnecting<never, In, E, never>, "start">

/** See `WebSocketChannel.TypedReconnectingWebSocket`. */
export class TypedReconnectingImpl<In, Out, E, ROut> {
  private readonly untyped: Untyped<In, E>
  private readonly codec: Codec<In, Out, unknown, ROut>

  constructor(untyped: Untyped<In, E>, codec: Codec<In, Out, unknown, ROut>) {
    this.untyped = untyped
    this.codec = codec
  }

  send(value: Out, options?: SendOptions): Effect.Effect<Outcome, PayloadTooLarge | InvalidMessage, ROut> {
    return Effect.flatMap(encoded(this.codec, [value]), (data) => this.untyped.send(data, options))
  }

  offer(
    value: Out,
    options?: SendOptions
  ): Effect.Effect<Effect.Effect<Outcome, PayloadTooLarge>, InvalidMessage, ROut> {
    return Effect.flatMap(encoded(this.codec, [value]), (data) => this.untyped.offer(data, options))
  }

  get receive(): Effect.Effect<In, Failure<E>> {
    return this.untyped.receive
  }

  get receiveOption(): Effect.Effect<Option.Option<In>, Failure<E>> {
    return this.untyped.receiveOption
  }

  get messages(): Stream.Stream<In, Failure<E>> {
    return this.untyped.messages
  }

  get state(): Subscribable<State<E>> {
    return this.untyped.state
  }

  get awaitOpen(): Effect.Effect<void, Failure<E>> {
    return this.untyped.awaitOpen
  }

  get waitingMessages(): Effect.Effect<number> {
    return this.untyped.waitingMessages
  }

  get reconnect(): Effect.Effect<void> {
    return this.untyped.reconnect
  }

  close(code?: number | CloseCode.Name, reason?: string): Effect.Effect<void, ProtocolError | PayloadTooLarge> {
    return this.untyped.close(code, reason)
  }
}
