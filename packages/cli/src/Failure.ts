import * as Data from "effect/Data"

/** Why the command ends without success, apart from the errors of connections. The message is for people. */
export class Failure extends Data.TaggedError("Cli_failure")<{
  readonly exitCode: number
  readonly message: string
}> {}
