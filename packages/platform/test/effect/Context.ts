import { Context } from "effect"

export * from "effect/Context"

/** The base class of a service. */
export const Service =
  <Self, Shape>() =>
  <const Id extends string>(id: Id): Context.TagClass<Self, Id, Shape> =>
    Context.Tag(id)<Self, Shape>()

export declare namespace Service {
  /** What a service consists of. */
  export type Shape<T> = T extends Context.Tag<infer _, infer S> ? S : never
}
