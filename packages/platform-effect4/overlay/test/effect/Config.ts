import { Config, Schema, type SchemaIssue } from "effect"

export * from "effect/Config"

/** Strings that are separated by commas. */
export const strings = (name: string): Config.Config<ReadonlyArray<string>> => Config.Array(Schema.Trim, name)

export const nonEmptyStrings = (name: string): Config.Config<ReadonlyArray<string>> =>
  Config.Array(Schema.Trim.check(Schema.isNonEmpty()), name)

/** What a `ConfigError` about one value says. */
export const errorFacts = (
  error: unknown
): {
  readonly kind: "InvalidData" | "MissingData"
  readonly message: string
  readonly path: ReadonlyArray<string>
} => {
  if (!(error instanceof Config.ConfigError) || error.cause._tag !== "SchemaError") {
    throw new TypeError("This is no error about one value")
  }
  const path: Array<string> = []
  let issue: SchemaIssue.Issue = error.cause.issue
  while (issue._tag === "Pointer" || issue._tag === "Encoding") {
    if (issue._tag === "Pointer") path.push(...issue.path.map(String))
    issue = issue.issue
  }
  const message = issue._tag === "InvalidValue" ? issue.annotations?.message : undefined
  return {
    // Every variable is a string, so that another type means that there is none.
    kind: issue._tag === "InvalidType" ? "MissingData" : "InvalidData",
    message: typeof message === "string" ? message : error.message,
    path
  }
}
