import * as Effect from "effect/Effect"
import type { pureCodec } from "../../internal/effect.js"
import { decodeAttachment, encodeAttachment } from "./attachment.js"
import { InvalidState } from "./InvalidState.js"

/** Decodes and encodes the state of a connection. */
export type StateCodec<S> = ReturnType<typeof pureCodec<S, unknown>>

/** A state that can be attached. */
export interface EncodedState<S> {
  readonly encoded: unknown
  /** The state as an object that has slept would read it. */
  readonly state: S
}

export const decodeState = <S>({ decode }: StateCodec<S>, encoded: unknown): Effect.Effect<S, InvalidState> =>
  Effect.mapError(decode(encoded), () => invalid("decode"))

/**
 * Encodes a state, and decodes it again: so a state that would be lost while the object sleeps is refused at once, and the state
 * is the same before and after.
 */
export const encodeState = <S>(
  codec: StateCodec<S>,
  state: S,
  protocol: string | undefined
): Effect.Effect<EncodedState<S>, InvalidState> =>
  Effect.flatMap(
    Effect.mapError(codec.encode(state), () => invalid("encode")),
    (encoded) => {
      const bytes = encodeAttachment({ state: encoded, protocol, sentCode: undefined })
      if (bytes instanceof InvalidState) return Effect.fail(bytes)
      const attachment = decodeAttachment(bytes)
      if (attachment instanceof InvalidState) return Effect.fail(attachment)
      return Effect.map(
        Effect.mapError(codec.decode(attachment.state), () => invalid("encode")),
        (state) => ({ encoded: attachment.state, state })
      )
    }
  )

const invalid = (operation: InvalidState["operation"]): InvalidState =>
  new InvalidState({ operation, reason: "schema", size: undefined })
