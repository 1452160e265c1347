import type { Message } from "@effect-websocket/protocol/Message"
import * as Effect from "effect/Effect"
import { unsupportedData, invalidPayload } from "../engine/connection/closeCodes.js"
import type { Serialization } from "../Serialization.js"
import { catchDefectIf, decodeUnknown, encodeUnknown, errorOf, unknownYet, valueOf, type AnySchema } from "./effect.js"
import { InvalidMessage } from "./InvalidMessage.js"
import { plainShapeOf } from "./plainShapeOf.js"

/** A result that is there, an error, or an effect if something has to be awaited. */
type Result<A, R> = A | InvalidMessage | Effect.Effect<A, InvalidMessage, R>

type Convert<A, R> = (value: unknown) => Effect.Effect<A, unknown, R>

/** What a schema does in one direction. */
interface Conversion<A, R> {
  /** Whether it converts a value to an equal one. It may be `false` if it does. */
  readonly isSame: (value: unknown) => boolean
  readonly convert: Convert<A, R>
}

/** Converts the messages of one side of a channel. */
export class Codec<In, Out, RIn, ROut> {
  private readonly serialization: Serialization
  private readonly decoding: Conversion<In, RIn>
  private readonly encoding: Conversion<unknown, ROut>

  // The caller says what the schemas decode to, because inference cannot follow schemas through a class.
  constructor(inbound: AnySchema, outbound: AnySchema, serialization: Serialization) {
    this.serialization = serialization
    this.decoding = { isSame: sameBy(inbound), convert: decodeUnknown(inbound) as Convert<In, RIn> }
    this.encoding = { isSame: sameBy(outbound), convert: encodeUnknown(outbound) as Convert<unknown, ROut> }
  }

  /** Whether several values can be sent in one message. */
  get joins(): boolean {
    return this.serialization.joins
  }

  /** The values of a message. */
  decode(message: Message): Result<ReadonlyArray<In>, RIn> {
    const { serialization } = this
    let values: ReadonlyArray<unknown>
    try {
      if (serialization.kind === "Text" && message._tag === "Text") values = serialization.decode(message.data)
      else if (serialization.kind === "Binary" && message._tag === "Binary") values = serialization.decode(message.data)
      else return this.invalid("inbound", "kind")
    } catch {
      // The error may have parts of the message.
      return this.invalid("inbound", "serialization")
    }
    return this.convert(values, this.decoding, "inbound")
  }

  /** The message for some values. */
  encode(values: ReadonlyArray<Out>): Result<string | Uint8Array, ROut> {
    const encoded = this.convert(values, this.encoding, "outbound")
    if (encoded instanceof InvalidMessage) return encoded
    if (Array.isArray(encoded)) return this.serialize(encoded)
    return Effect.flatMap(encoded as Effect.Effect<ReadonlyArray<unknown>, InvalidMessage, ROut>, (values) => {
      const data = this.serialize(values)
      return data instanceof InvalidMessage ? Effect.fail(data) : Effect.succeed(data)
    })
  }

  private serialize(values: ReadonlyArray<unknown>): string | Uint8Array | InvalidMessage {
    try {
      return this.serialization.encode(values)
    } catch {
      return this.invalid("outbound", "serialization")
    }
  }

  private convert<A, R>(
    values: ReadonlyArray<unknown>,
    { convert, isSame }: Conversion<A, R>,
    direction: "inbound" | "outbound"
  ): Result<ReadonlyArray<A>, R> {
    const converted: Array<A> = []
    const refuse = () => this.invalid(direction, "schema")
    try {
      if (values.every(isSame)) return values as ReadonlyArray<A>
      for (const value of values) {
        const conversion = convert(value)
        const result = valueOf(conversion)
        if (result !== unknownYet) converted.push(result)
        else if (errorOf(conversion) !== undefined) return refuse()
        else {
          const rest = Effect.forEach(values.slice(converted.length + 1), convert)
          const all = Effect.zipWith(conversion, rest, (next, others) => [...converted, next, ...others])
          return catchDefectIf(Effect.mapError(all, refuse), isStackOverflow, () => Effect.fail(refuse()))
        }
      }
    } catch (defect) {
      // The peer chooses how deep a value is, and a recursive schema follows it.
      if (isStackOverflow(defect)) return refuse()
      throw defect
    }
    return converted
  }

  private invalid(direction: InvalidMessage["direction"], reason: InvalidMessage["reason"]): InvalidMessage {
    return new InvalidMessage({ direction, reason, serialization: this.serialization.name })
  }
}

const sameBy = (schema: AnySchema): ((value: unknown) => boolean) => plainShapeOf(schema.ast)?.matches ?? (() => false)

/** Converts a value. Fails with the result of `refuse` if the schema refuses it, or if it is too deep for a recursive schema. */
export const converting = <A, R, E>(convert: Convert<A, R>, value: unknown, refuse: () => E): Effect.Effect<A, E, R> =>
  catchDefectIf(
    Effect.mapError(
      Effect.suspend(() => convert(value)),
      refuse
    ),
    isStackOverflow,
    () => Effect.fail(refuse())
  )

const isStackOverflow = (defect: unknown): defect is RangeError =>
  defect instanceof RangeError && defect.message.includes("stack")

/** The code with which a connection closes because of a message (RFC 6455 §7.4.1). */
export const closeCodeOf = ({ reason }: InvalidMessage): number =>
  reason === "kind" ? unsupportedData : invalidPayload
