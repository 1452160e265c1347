/** Programs that live as long as a scope, and what they print. */
import { Effect, Queue, type Scope } from "effect"
import { spawn, type ChildProcess } from "node:child_process"

export interface Process {
  readonly child: ChildProcess
  /** The next line of standard output; `undefined` once there is none. */
  readonly nextLine: Effect.Effect<string | undefined>
  readonly write: (line: string) => void
  /** Everything that was printed, for messages. */
  readonly printed: () => string
}

export const start = (
  command: string,
  args: ReadonlyArray<string>,
  cwd?: string
): Effect.Effect<Process, never, Scope.Scope> =>
  Effect.gen(function* () {
    const lines = yield* Queue.unbounded<string | undefined>()
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(command, args, { cwd, stdio: ["pipe", "pipe", "pipe"] })),
      (child) =>
        Effect.async<void>((resume) => {
          if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
            resume(Effect.void)
            return
          }
          child.once("exit", () => resume(Effect.void))
          child.kill("SIGKILL")
        })
    )
    let printed = ""
    let rest = ""
    child.stdout.on("data", (chunk: Buffer) => {
      printed += chunk.toString()
      const parts = (rest + chunk.toString()).split("\n")
      rest = parts.pop() ?? ""
      for (const line of parts) Queue.unsafeOffer(lines, line)
    })
    child.stderr.on("data", (chunk: Buffer) => {
      printed += chunk.toString()
    })
    child.stdin.on("error", () => {})
    child.on("error", (error) => {
      printed += error.message
      Queue.unsafeOffer(lines, undefined)
    })
    child.on("exit", () => Queue.unsafeOffer(lines, undefined))
    return {
      child,
      nextLine: Queue.take(lines),
      write: (line) => child.stdin.write(`${line}\n`),
      printed: () => printed
    }
  })

/** The port that a program says it listens on. */
export const listeningPort = (process: Process): Effect.Effect<number, Error> =>
  Effect.flatMap(process.nextLine, (line) => {
    const port = /^listening (\d+)$/.exec(line ?? "")?.[1]
    return port === undefined
      ? Effect.fail(new Error(`It does not listen: ${process.printed().slice(-400)}`))
      : Effect.succeed(Number(port))
  })
