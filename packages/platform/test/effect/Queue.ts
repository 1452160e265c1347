export * from "effect/Queue"

export { unsafeOffer as offerUnsafe } from "effect/Queue"
