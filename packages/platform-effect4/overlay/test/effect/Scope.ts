export * from "effect/Scope"

/** Whether a scope of another implementation may hide its finalizers. In Effect 4 they are part of the interface. */
export const mayHideFinalizers = false
