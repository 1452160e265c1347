/** Vitest, with tests that are effects. */
export * from "@effect/vitest"
