import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import * as Predicate from "effect/Predicate"
import type * as Stream from "effect/Stream"
import { kindOf } from "../engine/connection/sendable.js"
import { asStream } from "./effect.js"

/** A message as a stream of its parts: see `WebSocket.StreamedMessage`. */
export type StreamedMessage<E = ConnectionError, R = never> =
  | { readonly _tag: "Text"; readonly data: Stream.Stream<string, E, R> }
  | { readonly _tag: "Binary"; readonly data: Stream.Stream<Uint8Array, E, R> }

/** The data of `sendStream`: see `WebSocket.StreamData`. */
export type StreamData<E, R> = Stream.Stream<string, E, R> | Stream.Stream<Uint8Array, E, R> | StreamedMessage<E, R>

/** The parts of a message that is sent as a stream, and its kind if `data` states it. */
export const toStream = <E, R>(
  data: StreamData<E, R>
): {
  readonly tag: StreamedMessage["_tag"] | undefined
  readonly parts: Stream.Stream<string | Uint8Array, E, R>
} => {
  const message = isStreamedMessage(data) ? data : undefined
  const given: unknown = message === undefined ? data : message.data
  const parts = asStream<string | Uint8Array, E, R>(given)
  if (parts === undefined) {
    throw new TypeError(`What is sent as a stream must be a Stream or a StreamedMessage, but is ${kindOf(given)}`)
  }
  return { tag: message?._tag, parts }
}

/** Checks the value of `_tag`, because every effect is a stream too, and some effects have a `_tag` of their own. */
const isStreamedMessage = <E, R>(data: StreamData<E, R>): data is StreamedMessage<E, R> =>
  Predicate.hasProperty(data, "_tag") && (data._tag === "Text" || data._tag === "Binary")
