/**
 * `pnpm chat:cluster --redis URL [--workers N] …`: one process of the chat for each core, or N, on one port. The other options are
 * those of `pnpm chat`. A process that ends is replaced. SIGINT and SIGTERM end all of them as they end one.
 */
import cluster from "node:cluster"
import { availableParallelism } from "node:os"

const option = process.argv.indexOf("--workers")
const workers = option === -1 ? availableParallelism() : Number(process.argv.splice(option, 2)[1])

if (cluster.isPrimary) {
  cluster.setupPrimary({ args: process.argv.slice(2) })
  let isStopping = false
  for (let n = 0; n < workers; n++) cluster.fork()
  cluster.on("exit", () => {
    // Not at once, because it may end again as soon.
    if (!isStopping) setTimeout(() => (isStopping ? undefined : cluster.fork()), 1000)
  })
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      isStopping = true
      // Not `worker.kill`, which cuts the worker off first.
      for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill("SIGTERM")
    })
  }
} else {
  await import("./main.js")
}
