/** A Redis server without persistence, on a socket in a folder of its own. */
import { Effect, type Scope } from "effect"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const binary = "redis-server"

/** Whether there is a Redis on this machine. */
export const hasRedis = spawnSync(binary, ["--version"]).status === 0

export interface RedisServer {
  /** The path of its socket. */
  readonly path: string
  /** The CPU time that it has used, in microseconds. 0 on systems without `/proc`. */
  readonly cpu: () => number
}

// The unit of `/proc`, as all common systems have it.
const microsPerTick = 10_000

const cpuOf = ({ pid }: ChildProcess): number => {
  if (process.platform !== "linux") return 0
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
  // Behind the name, which may have spaces, `utime` and `stime` are the 12th and 13th fields.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return (Number(fields[11]) + Number(fields[12])) * microsPerTick
}

export const start: Effect.Effect<RedisServer, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.promise(async () => {
      const folder = mkdtempSync(join(tmpdir(), "benchmark-redis-"))
      const path = join(folder, "socket")
      const options = ["--port", "0", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", folder]
      const child = spawn(binary, options, { stdio: ["ignore", "pipe", "ignore"] })
      await new Promise<void>((resolve) => {
        let output = ""
        child.stdout.on("data", (chunk: Buffer) => {
          output += chunk.toString()
          if (output.includes("eady to accept connections")) resolve()
        })
      })
      return { child, folder, path }
    }),
    ({ child, folder }) =>
      Effect.promise(async () => {
        const exited = once(child, "exit")
        child.kill("SIGKILL")
        await exited
        rmSync(folder, { recursive: true, force: true })
      })
  ),
  ({ child, path }) => ({ path, cpu: () => cpuOf(child) })
)
