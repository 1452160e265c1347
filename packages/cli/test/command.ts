/** The command as a process of its own, from a bundle that is made for the tests. */
import { Effect, type Scope } from "effect"
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { bundle } from "../bundle.js"

/** A folder that is there until the process of the tests ends. */
export const folder = mkdtempSync(join(tmpdir(), "effect-websocket-cli-"))
process.once("exit", () => rmSync(folder, { recursive: true, force: true }))
writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }))
await bundle(folder)

export const program = join(folder, "main.js")

const withoutProxies = Object.entries(process.env).filter(([name]) => !/_proxy$/i.test(name))
export const environment = { ...Object.fromEntries(withoutProxies), NO_COLOR: "1" }

export class Running {
  readonly child: ChildProcessWithoutNullStreams
  private readonly chunks: Array<Buffer> = []
  stderr = ""

  constructor(args: ReadonlyArray<string>) {
    this.child = spawn(process.execPath, [program, ...args], { env: environment })
    this.child.stdout.on("data", (chunk: Buffer) => this.chunks.push(chunk))
    this.child.stderr.on("data", (chunk: Buffer) => (this.stderr += chunk.toString()))
    // It may have ended before it reads.
    this.child.stdin.on("error", () => {})
  }

  get output(): Buffer {
    return Buffer.concat(this.chunks)
  }

  get stdout(): string {
    return this.output.toString()
  }

  /** Waits until the process has ended, and returns its status. */
  readonly status: Effect.Effect<number | string> = Effect.promise(async () => {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, "close")
    return this.child.exitCode ?? this.child.signalCode ?? "none"
  })

  /** Waits until stderr or stdout has a text, and returns what a pattern finds there. */
  until(stream: "stdout" | "stderr", pattern: RegExp): Effect.Effect<RegExpExecArray> {
    return Effect.callback<RegExpExecArray>((resume) => {
      const look = (): void => {
        const found = pattern.exec(this[stream])
        if (found === null) return
        this.child[stream].off("data", look)
        resume(Effect.succeed(found))
      }
      this.child[stream].on("data", look)
      look()
      return Effect.sync(() => void this.child[stream].off("data", look))
    })
  }
}

/** Starts the command, which ends with the scope. */
export const start = (...args: ReadonlyArray<string>): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Running(args)),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

export interface Ended {
  readonly status: number | string
  readonly stdout: string
  readonly stderr: string
}

/** Runs the command with some input until it ends. */
export const run = (input: string | Uint8Array, ...args: ReadonlyArray<string>): Effect.Effect<Ended> =>
  Effect.scoped(
    Effect.gen(function* () {
      const running = yield* start(...args)
      running.child.stdin.end(input)
      const status = yield* running.status
      const { stderr, stdout } = running
      return { status, stderr, stdout }
    })
  )
