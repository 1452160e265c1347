/** A command that is tried: what is typed or piped into it, what it prints, and its status. */
import { Effect, type Scope } from "effect"
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process"

export interface Setting {
  /** Variables of its environment, in addition to those of this process without proxies. */
  readonly env?: Readonly<Record<string, string>>
  /** Whether its stdin and stdout are a terminal. */
  readonly terminal?: boolean
  /** Whether its output is left unread. */
  readonly unread?: boolean
}

const withoutProxies = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/_proxy$/i.test(name)))

const quoted = (part: string): string => `'${part.replaceAll("'", `'\\''`)}'`

/** `script` runs a command in a terminal of its own, and passes on what the terminal gets, byte for byte. */
const inTerminal = (command: ReadonlyArray<string>): ReadonlyArray<string> => [
  "script",
  "--quiet",
  "--return",
  "--command",
  `stty rows 30 cols 200; exec ${command.map(quoted).join(" ")}`,
  "/dev/null"
]

export class Run {
  readonly child: ChildProcessWithoutNullStreams
  private readonly printed = { stdout: Array<Buffer>(), stderr: Array<Buffer>() }
  private readonly watchers = new Set<() => void>()
  private ended: number | undefined

  constructor(command: ReadonlyArray<string>, { env = {}, terminal = false, unread = false }: Setting) {
    const [program = "", ...args] = terminal ? inTerminal(command) : command
    this.child = spawn(program, args, { env: { ...withoutProxies, TERM: "xterm", ...env } })
    // It may have ended before it reads.
    this.child.stdin.on("error", () => {})
    this.child.on("error", (error) => this.printed.stderr.push(Buffer.from(error.message)))
    for (const stream of unread ? (["stderr"] as const) : (["stdout", "stderr"] as const)) {
      this.child[stream].on("data", (chunk: Buffer) => {
        this.printed[stream].push(chunk)
        this.wake()
      })
    }
    this.child.once(unread ? "exit" : "close", (code, signal) => {
      this.ended = code ?? (signal === null ? -1 : 128)
      this.wake()
    })
  }

  private wake(): void {
    for (const watcher of this.watchers) watcher()
  }

  get stdout(): Buffer {
    return Buffer.concat(this.printed.stdout)
  }

  /** What it printed to both. */
  get output(): string {
    return Buffer.concat([...this.printed.stdout, ...this.printed.stderr]).toString()
  }

  readonly type = (text: string): Effect.Effect<void> => Effect.sync(() => void this.child.stdin.write(text))

  /** Waits until something is there. Fails once the command has ended without it. */
  readonly until = (what: string, find: (output: string) => boolean): Effect.Effect<string, Error> =>
    this.watch(() => {
      const { output } = this
      if (find(output)) return Effect.succeed(output)
      return this.ended === undefined ? undefined : Effect.fail(new Error(`It ended without ${what}: ${output}`))
    })

  /** Its status, once it has ended. */
  readonly status: Effect.Effect<number> = Effect.suspend(() =>
    this.watch(() => (this.ended === undefined ? undefined : Effect.succeed(this.ended)))
  )

  get isRunning(): boolean {
    return this.ended === undefined
  }

  private watch<A, E>(look: () => Effect.Effect<A, E> | undefined): Effect.Effect<A, E> {
    return Effect.async((resume) => {
      const watcher = (): void => {
        const result = look()
        if (result === undefined) return
        this.watchers.delete(watcher)
        resume(result)
      }
      this.watchers.add(watcher)
      watcher()
      return Effect.sync(() => void this.watchers.delete(watcher))
    })
  }
}

/** Starts a command, which ends with the scope. */
export const start = (command: ReadonlyArray<string>, setting: Setting = {}): Effect.Effect<Run, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Run(command, setting)),
    (run) =>
      Effect.async<void>((resume) => {
        if (!run.isRunning) return resume(Effect.void)
        run.child.once("exit", () => resume(Effect.void))
        run.child.kill("SIGKILL")
      })
  )
