export * from "effect/Schema"

/** The tag of the errors of decoding. */
export const errorTag = "ParseError"
