/** A page in a browser, which takes its jobs over HTTP. */
import { Effect, Queue, Schedule, type Scope } from "effect"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer, type ServerResponse } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { listen } from "./listen.js"
import { start } from "./Process.js"
import { folderOf } from "./programs.js"
import type { Job, Worker } from "./subjects.js"

const files: Readonly<Record<string, string>> = { "/page.html": "text/html", "/shared.mjs": "text/javascript" }

/** An HTTP server on an ephemeral port, with the page, the jobs for it, and its reports. */
const pageServer: Effect.Effect<Worker & { readonly port: number }, Error, Scope.Scope> = Effect.gen(function* () {
  const reports = yield* Queue.unbounded<string>()
  const jobs: Array<Job> = []
  let waiting: ServerResponse | undefined
  const hand = () => {
    const [job] = jobs
    if (waiting === undefined || job === undefined) return
    jobs.shift()
    waiting.end(JSON.stringify(job))
    waiting = undefined
  }
  const server = createServer((request, response) => {
    const path = request.url ?? ""
    const type = files[path]
    if (type !== undefined) {
      response.setHeader("Content-Type", type).end(readFileSync(folderOf(`agents${path}`)))
    } else if (path === "/job") {
      waiting = response
      hand()
    } else if (path === "/report") {
      let text = ""
      request.on("data", (chunk: Buffer) => (text += chunk.toString()))
      request.on("end", () => {
        Queue.unsafeOffer(reports, text)
        response.end()
      })
    } else {
      response.writeHead(404).end()
    }
  })
  const port = yield* listen(server, () => server.closeAllConnections())
  return {
    port,
    nextReport: Queue.take(reports),
    submit: (job) => {
      jobs.push(job)
      hand()
    }
  }
})

export const chromium = (program: string): Effect.Effect<Worker, Error, Scope.Scope> =>
  Effect.gen(function* () {
    const worker = yield* pageServer
    const profile = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "interop-chromium-"))),
      // The processes of a browser write on for a while after the first of them is killed.
      (folder) =>
        Effect.try(() => rmSync(folder, { recursive: true, force: true })).pipe(
          Effect.retry(Schedule.intersect(Schedule.spaced("100 millis"), Schedule.recurs(100))),
          Effect.ignore
        )
    )
    yield* start(program, [
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--disable-background-networking",
      "--no-first-run",
      "--no-proxy-server",
      `--user-data-dir=${profile}`,
      `http://127.0.0.1:${worker.port}/page.html`
    ])
    return worker
  })
