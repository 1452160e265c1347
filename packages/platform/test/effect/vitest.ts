/** Vitest, with tests that are effects. Each has a scope of its own, as in Effect 4. */
import { it as plain } from "@effect/vitest"

export * from "@effect/vitest"

export const it = plain
