export * from "effect/Metric"

export { incrementBy as modify } from "effect/Metric"
