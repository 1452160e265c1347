import type { Duration } from "effect"

export * from "effect/Duration"

export type Input = Duration.DurationInput
