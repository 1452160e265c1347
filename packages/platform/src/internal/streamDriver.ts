import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type { MessagePart } from "@effect-websocket/protocol/MessagePart"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { StreamedMessage, StreamingWebSocket } from "../StreamingWebSocket.js"
import { endsNormally } from "./driver.js"
import { MessageSender } from "./messageSender.js"

/** Delivers messages as streams of their parts. */
export class StreamDriver<Request = undefined>
  extends MessageSender<MessagePart, Request>
  implements StreamingWebSocket
{
  // The message that was received last; whoever reads another one is too late.
  private current: object | undefined = undefined

  readonly receive: Effect.Effect<StreamedMessage, ConnectionError> = this.reading((wait) => {
    this.current = undefined
    for (let part = this.takeItem(); part !== undefined; part = this.takeItem()) {
      // What is left of the message before is skipped.
      if (part.first) return Effect.succeed(this.streamedMessage(part))
    }
    const error = this.readError()
    return error === undefined ? wait : Effect.fail(error)
  })

  readonly messages: Stream.Stream<StreamedMessage, ConnectionError> = Stream.repeatEffectOption(
    Effect.mapError(this.receive, (error) => (endsNormally(error) ? Option.none() : Option.some(error)))
  )

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
    const pull = this.reading<Chunk.Chunk<A>, Option.Option<ConnectionError>>((wait) => {
      if (ended) return Effect.fail(Option.none())
      if (this.current !== token) {
        throw new Error("The stream of a message was read after the next message was asked for, which skipped the rest")
      }
      const parts: Array<A> = []
      for (let part = next ?? this.takeItem(); part !== undefined; part = ended ? undefined : this.takeItem()) {
        next = undefined
        ended = part.final
        parts.push(dataOf(part))
      }
      if (parts.length > 0) return Effect.succeed(Chunk.unsafeFromArray(parts))
      const error = this.readError()
      return error === undefined ? wait : Effect.fail(Option.some(error))
    })
    let begun = false
    return Stream.suspend(() => {
      if (begun) throw new Error("The stream of a message was run twice: what it has read once is gone")
      begun = true
      return Stream.repeatEffectChunkOption(pull)
    })
  }
}

// The kind of a message is that of all of its parts.
const textOf = (part: MessagePart): string => part.data as string
const bytesOf = (part: MessagePart): Uint8Array => part.data as Uint8Array
