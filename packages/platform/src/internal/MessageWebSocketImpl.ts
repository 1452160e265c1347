import { PayloadTooLarge, type ConnectionError } from "@effect-websocket/protocol/Errors"
import { size, type Message } from "@effect-websocket/protocol/Message"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import { messageTooBig } from "../engine/connection/closeCodes.js"
import { exceeds, type Data } from "../engine/connection/sendable.js"
import type { ReceiveOptions, RunOptions } from "../Options.js"
import type { Handled, HandledContext, HandledError } from "./handled.js"
import { duplex, type Batch, type BatchChannel } from "./effect.js"
import { Reading } from "./Reading.js"
import { SendingWebSocket } from "./SendingWebSocket.js"
import { bytes } from "../engine/checks.js"
import type { Reader } from "./Reader.js"
import { readerKey, tag, webSocket } from "./typeId.js"

/** Delivers whole messages. */
export class MessageWebSocketImpl<Request = undefined> extends SendingWebSocket<Message, Request> {
  declare readonly [webSocket]: typeof webSocket

  /** A `TypedWebSocket` reads with it, and a `StandardWebSocket` closes with its link. */
  get [readerKey](): Reader<Message> {
    return this
  }

  get receive(): Effect.Effect<Message, ConnectionError> {
    return this.receiveItem
  }

  get receiveOption(): Effect.Effect<Option.Option<Message>, ConnectionError> {
    return this.readingOption(() => this.takeItem())
  }

  receiveWith(options: ReceiveOptions): Effect.Effect<Message, ConnectionError> {
    return Effect.suspend(() => {
      const max = bytes("maxMessageBytes", options.maxMessageBytes)
      const taken = Effect.sync(() => this.takeItem())
      const reading: LimitedReading = new LimitedReading(this, taken, undefined, () => {
        reading.refused = this.refuseNext(max)
        return this.isReadable
      })
      return reading
    })
  }

  /** Fails the connection if the next message has more than `max` bytes. */
  private refuseNext(max: number): PayloadTooLarge | undefined {
    const message = this.link.inbox.first
    if (message === undefined || !exceeds(message, max)) return undefined
    const error = new PayloadTooLarge({ limit: "message", max, size: size(message), direction: "inbound" })
    this.link.failReading(messageTooBig, error)
    return error
  }

  get receiveAll(): Effect.Effect<Batch<Message>, ConnectionError> {
    return this.receiveItems
  }

  get messages(): Stream.Stream<Message, ConnectionError> {
    return this.items
  }

  run<X extends Handled>(
    handler: (message: Message) => X,
    options?: RunOptions
  ): Effect.Effect<void, HandledError<X> | ConnectionError, HandledContext<X>> {
    // The conditional types above determine the types of the returned effect; inference cannot resolve them.
    return this.runItems(
      handler as (message: Message) => Effect.Effect<unknown, HandledError<X>, HandledContext<X>> | void,
      options?.borrowed === true ? (message) => this.link.connection.giveBack(message) : undefined
    )
  }

  channel<IE = never>(): BatchChannel<Data, Message, IE, ConnectionError | IE> {
    return duplex(
      this.messages,
      (data: Data) => this.send(data),
      // Messages that the peer still sends before its Close are emitted. A message that this side refused to send has
      // not ended the connection.
      () => this.link.startClosing(1000)
    )
  }
}

class LimitedReading extends Reading<Message, Message> {
  refused: PayloadTooLarge | undefined = undefined

  // If no message was refused, the connection has ended with its own error.
  protected override failure(error: ConnectionError): ConnectionError {
    return this.refused ?? error
  }
}

tag(MessageWebSocketImpl, webSocket)
