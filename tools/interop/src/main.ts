/** Runs a program of this package. */
import { Cause, Effect, Exit, Logger } from "effect"

/**
 * Runs it without what servers log, because what they refuse on purpose is no news. Ctrl+C ends its scopes, so that no process and no
 * file is left; the second time it ends this process.
 */
export const runMain = async (program: Effect.Effect<void, unknown>): Promise<void> => {
  const interruption = new AbortController()
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => interruption.abort())
  const quiet = Effect.provide(program, Logger.remove(Logger.defaultLogger))
  const exit = await Effect.runPromiseExit(quiet, { signal: interruption.signal })
  if (Exit.isSuccess(exit)) return
  console.error(`FAILED: ${Cause.pretty(exit.cause)}`)
  process.exitCode = 1
}
