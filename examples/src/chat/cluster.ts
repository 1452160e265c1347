/**
 * `pnpm chat:cluster --redis URL [--workers N] …`: one process of the chat for each core, or N, on one port. The other options are
 * those of `pnpm chat`. A process that ends is replaced. SIGINT and SIGTERM end all of them as they end one.
 */
import { Command, Options } from "@effect/cli"
import { Effect, Schema } from "effect"
import cluster from "node:cluster"
import { availableParallelism } from "node:os"
import { runCommand } from "../runCommand.js"
import { options, redis, serve } from "./command.js"

/** Keeps `count` workers, each of which runs this program with the same arguments. */
const supervise = (count: number) =>
  Effect.suspend(() => {
    let isListening = false
    let isStopping = false
    const run = Effect.async<void>((resume) => {
      cluster.on("listening", () => (isListening = true))
      cluster.on("exit", (_worker, code) => {
        // None has begun to listen: another one would not, either.
        if (!isListening) resume(Effect.sync(() => void (process.exitCode = code ?? 1)))
        // Not at once, because it may end again as soon.
        else if (!isStopping) setTimeout(() => (isStopping ? undefined : cluster.fork()), 1000)
      })
      for (let n = 0; n < count; n++) cluster.fork()
    })
    const stop = Effect.async<void>((resume) => {
      isStopping = true
      const workers = Object.values(cluster.workers ?? {}).filter((worker) => worker !== undefined)
      const look = () => (workers.every((worker) => worker.isDead()) ? resume(Effect.void) : undefined)
      cluster.on("exit", look)
      // Not `worker.kill`, which cuts the worker off first.
      for (const worker of workers) worker.process.kill("SIGTERM")
      look()
    })
    return Effect.ensuring(run, stop)
  })

const command = Command.make(
  "chat:cluster",
  {
    ...options,
    redis,
    workers: Options.integer("workers").pipe(
      Options.withSchema(Schema.Positive),
      Options.withDescription("How many processes"),
      Options.withDefault(availableParallelism())
    )
  },
  ({ workers, ...settings }) => (cluster.isPrimary ? supervise(workers) : serve(settings))
)

const cli = Command.run(command, { name: "chat:cluster", version: "0.1.0" })

runCommand(cli(process.argv))
