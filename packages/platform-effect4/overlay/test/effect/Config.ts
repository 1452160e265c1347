import { Config, Schema } from "effect"

export * from "effect/Config"

/** Strings that are separated by commas. */
export const strings = (name: string): Config.Config<ReadonlyArray<string>> => Config.Array(Schema.String, name)

export const nonEmptyStrings = (name: string): Config.Config<ReadonlyArray<string>> =>
  Config.Array(Schema.NonEmptyString, name)

/** What a `ConfigError` about one value says. */
export const errorFacts = (
  error: unknown
): {
  readonly kind: "InvalidData" | "MissingData"
  readonly message: string
  readonly path: ReadonlyArray<string>
} => {
  if (!(error instanceof Config.ConfigError)) throw new TypeError("This is no ConfigError")
  return { kind: "InvalidData", message: error.message, path: [] }
}
