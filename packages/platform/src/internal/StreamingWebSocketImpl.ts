import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type { MessagePart } from "@effect-websocket/protocol/MessagePart"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { streamOfReads } from "./effect.js"
import { Reading } from "./Reading.js"
import { SendingWebSocket } from "./SendingWebSocket.js"
import type { StreamedMessage } from "./streamData.js"
import { streamingWebSocket, tag } from "./typeId.js"

/** Delivers messages as streams of their parts. */
export class StreamingWebSocketImpl<Request = undefined> extends SendingWebSocket<MessagePart, Request> {
  declare readonly [streamingWebSocket]: typeof streamingWebSocket
  // The message that was received last. Reading from an earlier message is a defect.
  private current: object | undefined = undefined

  readonly receive: Effect.Effect<StreamedMessage, ConnectionError> = new Reading(
    this,
    Effect.sync(() => this.takeMessage()),
    undefined,
    () => this.beginsMessage()
  )

  get receiveOption(): Effect.Effect<Option.Option<StreamedMessage>, ConnectionError> {
    return this.readingOption(
      () => this.takeMessage(),
      () => this.beginsMessage()
    )
  }

  readonly messages: Stream.Stream<StreamedMessage, ConnectionError> = this.streaming(
    () => [this.takeMessage()],
    () => this.beginsMessage()
  )

  /** Skips the rest of the previous message. Returns whether the next message has begun to arrive. */
  private beginsMessage(): boolean {
    this.current = undefined
    const { inbox } = this.link
    for (let part = inbox.first; part !== undefined && !part.first; part = inbox.first) this.takeItem()
    return this.isReadable
  }

  private takeMessage(): StreamedMessage {
    return this.streamedMessage(this.takeItem())
  }

  private streamedMessage(first: MessagePart): StreamedMessage {
    return first._tag === "TextPart"
      ? { _tag: "Text", data: this.partsFrom(first, textOf) }
      : { _tag: "Binary", data: this.partsFrom(first, bytesOf) }
  }

  private partsFrom<A>(first: MessagePart, dataOf: (part: MessagePart) => A): Stream.Stream<A, ConnectionError> {
    const token = {}
    this.current = token
    let next: MessagePart | undefined = first
    let ended = false
    const takeParts = (): ReadonlyArray<A> => {
      const parts: Array<A> = []
      while (!ended && (next !== undefined || this.isReadable)) {
        const part = next ?? this.takeItem()
        next = undefined
        ended = part.final
        parts.push(dataOf(part))
      }
      this.link.inbox.taking = false
      return parts
    }
    const isReady = (): boolean => {
      if (this.current === token) return next !== undefined || this.isReadable
      throw new Error("The stream of a message was read after the next message was asked for, which skipped the rest")
    }
    const parts = streamOfReads<A, ConnectionError>((taken, end) => {
      const next = new Reading(this, taken, undefined, isReady)
      return Effect.suspend(() => (ended ? end : next))
    }, takeParts)
    let begun = false
    return Stream.suspend(() => {
      if (begun) throw new Error("The stream of a message was run twice: what it has read once is gone")
      begun = true
      return parts
    })
  }
}

tag(StreamingWebSocketImpl, streamingWebSocket)

// All parts of a message have the kind of the message.
const textOf = (part: MessagePart): string => part.data as string
const bytesOf = (part: MessagePart): Uint8Array => part.data as Uint8Array
