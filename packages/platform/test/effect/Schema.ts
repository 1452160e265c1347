import { Effect, ParseResult, Schema } from "effect"

export * from "effect/Schema"

/** The tag of the errors of decoding. */
export const errorTag = "ParseError"

/** A schema that decodes and encodes with effects. A failure is a value that the schema refuses. */
export const transformEffect = <A, B, R>(
  from: Schema.Schema<A>,
  to: Schema.Schema<B>,
  {
    decode,
    encode
  }: {
    readonly decode: (value: A) => Effect.Effect<B, unknown, R>
    readonly encode: (value: B) => Effect.Effect<A, unknown, R>
  }
): Schema.Schema<B, A, R> =>
  Schema.transformOrFail(from, to, {
    strict: true,
    decode: (value, _, ast) => Effect.mapError(decode(value), () => new ParseResult.Type(ast, value)),
    encode: (value, _, ast) => Effect.mapError(encode(value), () => new ParseResult.Type(ast, value))
  })

/** The values of a schema that a predicate accepts. */
export const filtered = <A>(schema: Schema.Schema<A>, predicate: (value: A) => boolean): Schema.Schema<A> =>
  schema.pipe(Schema.filter<Schema.Schema<A>>(predicate))

/** Objects with any keys. */
export const recordOf = <A>(value: Schema.Schema<A>): Schema.Schema<{ readonly [key: string]: A }> =>
  Schema.Record({ key: Schema.String, value })

/** Lists that contain lists. */
export interface Nested extends ReadonlyArray<Nested> {}

export const Nested: Schema.Schema<Nested> = Schema.Array(Schema.suspend((): Schema.Schema<Nested> => Nested))

/** Values of either schema. */
export const unionOf = <A, B>(first: Schema.Schema<A>, second: Schema.Schema<B>): Schema.Schema<A | B> =>
  Schema.Union(first, second)

/** Values of exactly one of the schemas. */
export const exactlyOneOf = <A, B>(first: Schema.Schema<A>, second: Schema.Schema<B>): Schema.Schema<A | B> =>
  Schema.Union(first, second).pipe(Schema.filter((value) => Schema.is(first)(value) !== Schema.is(second)(value)))

/** A list of two values, and then any number of the third schema. */
export const pairOf = <A, B, C>(
  first: Schema.Schema<A>,
  second: Schema.Schema<B>,
  rest: Schema.Schema<C>
): Schema.Schema<readonly [A, B, ...ReadonlyArray<C>]> => Schema.Tuple([first, second], rest)
