export * from "effect/Schedule"

export { tapOutput as tap } from "effect/Schedule"
