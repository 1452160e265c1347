import { Effect, Schema, SchemaGetter, SchemaIssue } from "effect"

export * from "effect/Schema"

/** The tag of the errors of decoding. */
export const errorTag = "SchemaError"

/** A schema that decodes and encodes with effects. A failure is a value that the schema refuses. */
export const transformEffect = <A, B, R>(
  from: Schema.Codec<A>,
  to: Schema.Codec<B>,
  {
    decode,
    encode
  }: {
    readonly decode: (value: A) => Effect.Effect<B, unknown, R>
    readonly encode: (value: B) => Effect.Effect<A, unknown, R>
  }
): Schema.Codec<B, A, R, R> =>
  from.pipe(
    Schema.decodeTo(to, {
      decode: SchemaGetter.transformEffect((value: A) =>
        Effect.mapError(decode(value), () => new SchemaIssue.InvalidValue())
      ),
      encode: SchemaGetter.transformEffect((value: B) =>
        Effect.mapError(encode(value), () => new SchemaIssue.InvalidValue())
      )
    })
  )

/** The values of a schema that a predicate accepts. */
export const filtered = <A>(schema: Schema.Codec<A>, predicate: (value: A) => boolean): Schema.Codec<A> =>
  schema.pipe(Schema.check(Schema.makeFilter(predicate)))

/** Objects with any keys. */
export const recordOf = <A>(value: Schema.Codec<A>): Schema.Codec<{ readonly [key: string]: A }> =>
  Schema.Record(Schema.String, value)

/** Lists that contain lists. */
export interface Nested extends ReadonlyArray<Nested> {}

export const Nested: Schema.Codec<Nested> = Schema.Array(Schema.suspend((): Schema.Codec<Nested> => Nested))

/** Values of either schema. */
export const unionOf = <A, B>(first: Schema.Codec<A>, second: Schema.Codec<B>): Schema.Codec<A | B> =>
  Schema.Union([first, second])

/** Values of exactly one of the schemas. */
export const exactlyOneOf = <A, B>(first: Schema.Codec<A>, second: Schema.Codec<B>): Schema.Codec<A | B> =>
  Schema.Union([first, second], { mode: "oneOf" })

/** A list of two values, and then any number of the third schema. */
export const pairOf = <A, B, C>(
  first: Schema.Codec<A>,
  second: Schema.Codec<B>,
  rest: Schema.Codec<C>
): Schema.Codec<readonly [A, B, ...Array<C>]> => Schema.TupleWithRest(Schema.Tuple([first, second]), [rest])
