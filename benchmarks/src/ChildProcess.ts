/** Child processes for the measured programs and the load. They take requests over IPC. */
import { Data, Effect, Schema, type Scope } from "effect"
import { spawn, type ChildProcess as NodeProcess } from "node:child_process"
import { fileURLToPath } from "node:url"

export class ChildFailed extends Data.TaggedError("ChildFailed")<{ readonly message: string }> {}

/** Answers one request at a time. */
export interface ChildProcess {
  readonly pid: number | undefined
  /** The next message that the process sends without a request. */
  readonly next: <A, I>(answer: Schema.Schema<A, I>) => Effect.Effect<A, ChildFailed>
  readonly ask: <A, I>(request: object | string, answer: Schema.Schema<A, I>) => Effect.Effect<A, ChildFailed>
}

export interface Options {
  /** A file, relative to the folder of this one. */
  readonly file: string
  readonly arguments?: ReadonlyArray<string> | undefined
  readonly environment?: Readonly<Record<string, string>> | undefined
  /** The runtime that runs it, if not Node. */
  readonly executable?: string | undefined
  /** The Node binary that runs it, if not the current one. */
  readonly node?: string | undefined
  readonly flags?: ReadonlyArray<string> | undefined
}

// Longer than any load takes, so that only a process that hangs exceeds it.
const patience = "60 seconds"

export const make = (options: Options): Effect.Effect<ChildProcess, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => start(options)),
      stop
    ),
    (child) => {
      const next = <A, I>(answer: Schema.Schema<A, I>) =>
        Effect.async<unknown, ChildFailed>((resume) => {
          const fail = (message: string) => resume(new ChildFailed({ message: `${options.file}: ${message}` }))
          const onMessage = (message: unknown) => resume(Effect.succeed(message))
          const onExit = () => fail("ended early")
          const onError = (error: Error) => fail(error.message)
          child.once("message", onMessage).once("exit", onExit).once("error", onError)
          return Effect.sync(() => child.off("message", onMessage).off("exit", onExit).off("error", onError))
        }).pipe(
          Effect.ensuring(Effect.sync(() => child.removeAllListeners())),
          Effect.flatMap((message) =>
            Effect.mapError(
              Schema.decodeUnknown(answer)(message),
              (error) => new ChildFailed({ message: `${options.file}: ${error.message}` })
            )
          ),
          Effect.timeoutFail({
            duration: patience,
            onTimeout: () => new ChildFailed({ message: `${options.file}: did not answer in ${patience}` })
          })
        )
      return {
        pid: child.pid,
        next,
        ask: (request, answer) =>
          Effect.zipRight(
            Effect.sync(() => child.send(request)),
            next(answer)
          )
      }
    }
  )

/** Disconnects the process. It then ends by itself, and may write a profile first. */
const stop = (child: NodeProcess): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    if (child.exitCode !== null || child.signalCode !== null) {
      resume(Effect.void)
      return
    }
    child.once("exit", () => resume(Effect.void))
    if (child.connected) child.disconnect()
  }).pipe(
    Effect.interruptible,
    Effect.timeoutTo({ duration: "5 seconds", onSuccess: () => true, onTimeout: () => child.kill("SIGKILL") })
  )

const start = (options: Options): NodeProcess => {
  const file = fileURLToPath(new URL(`${options.file}.js`, import.meta.url))
  const command = [
    ...(options.executable === undefined
      ? [options.node ?? process.execPath, ...(options.flags ?? [])]
      : [options.executable, "run"]),
    file,
    ...(options.arguments ?? [])
  ]
  return spawn(command[0]!, command.slice(1), {
    env: { ...process.env, ...options.environment },
    stdio: ["ignore", "inherit", "inherit", "ipc"],
    serialization: "json"
  })
}
