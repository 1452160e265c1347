import { Deferred, FiberId } from "effect"

export * from "effect/Deferred"

export const makeUnsafe = <A, E = never>(): Deferred.Deferred<A, E> => Deferred.unsafeMake(FiberId.none)

export { unsafeDone as doneUnsafe } from "effect/Deferred"
