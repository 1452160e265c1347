import { Config, type ConfigError } from "effect"

export * from "effect/Config"

export type { ConfigError } from "effect/ConfigError"

export {
  duration as Duration,
  integer as Int,
  number as Number,
  redacted as Redacted,
  string as String
} from "effect/Config"

/** Strings that are separated by commas. */
export const strings = (name: string): Config.Config<Array<string>> => Config.array(Config.string(), name)

export const nonEmptyStrings = (name: string): Config.Config<Array<string>> =>
  Config.array(Config.nonEmptyString(), name)

/** What a `ConfigError` about one value says. */
export const errorFacts = (
  error: unknown
): {
  readonly kind: "InvalidData" | "MissingData"
  readonly message: string
  readonly path: ReadonlyArray<string>
} => {
  const { _op: kind, message, path } = error as ConfigError.InvalidData | ConfigError.MissingData
  return { kind, message, path }
}
