/** Runs a target in a worker, and sees to it that one that never ends is a finding too. */
import { Worker } from "node:worker_threads"
import type { Report, Work } from "./work.js"

export interface Finding {
  readonly bytes: Uint8Array
  readonly stack: string
}

export interface Run {
  readonly findings: ReadonlyArray<Finding>
  /** `undefined` where the target did not come to an end. */
  readonly done: Extract<Report, { readonly _tag: "Done" }> | undefined
}

const maxBytes = 1024
const patience = 20_000

export const fuzz = (
  workerFile: string,
  options: Pick<Work, "targetsFile" | "name" | "seed" | "milliseconds" | "corpus">
): Promise<Run> =>
  new Promise((resolve, reject) => {
    const current = new SharedArrayBuffer(8 + 64 * 1024)
    const progress = new Int32Array(current, 0, 2)
    const findings: Array<Finding> = []
    const workerData: Work = { ...options, maxBytes, maxFindings: 10, current }
    const worker = new Worker(workerFile, { workerData, execArgv: [] })
    let executions = 0
    const watch = setInterval(() => {
      const now = Atomics.load(progress, 0)
      if (now === executions && now > 0) {
        const bytes = new Uint8Array(current, 8, progress[1]).slice()
        findings.push({ bytes, stack: `An execution took longer than ${patience} ms` })
        finish(undefined)
      }
      executions = now
    }, patience)
    const finish = (done: Run["done"]): void => {
      clearInterval(watch)
      resolve({ findings, done })
      void worker.terminate()
    }
    worker.on("message", (report: Report) => {
      if (report._tag === "Finding") findings.push(report)
      else finish(report)
    })
    worker.on("error", (error) => {
      clearInterval(watch)
      reject(error)
    })
  })
