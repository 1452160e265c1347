import { ValidationError } from "@effect/cli"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"

/**
 * Runs the command of a program until it ends, or is interrupted by SIGINT or SIGTERM. The command has printed what is wrong with its
 * options, so that is not logged once more.
 */
export const runCommand = <E>(
  command: Effect.Effect<void, E | ValidationError.ValidationError, NodeContext.NodeContext>
): void =>
  command.pipe(
    Effect.catchIf(ValidationError.isValidationError, () => Effect.sync(() => void (process.exitCode = 1))),
    Effect.provide(NodeContext.layer),
    NodeRuntime.runMain
  )
