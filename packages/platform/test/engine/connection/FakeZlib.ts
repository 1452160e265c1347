import type { Zlib } from "../../../src/Zlib.js"

/** A message that is being deflated. */
export interface Job {
  readonly data: Uint8Array
  /** Ends the job. Without an argument, the message is sent as it is, so that a test can read it. */
  readonly done: (deflated?: Uint8Array) => void
  cancelled: boolean
}

/** Deflates nothing, but takes its time for it: a job ends when the test says so. */
export class FakeZlib implements Zlib {
  readonly jobs: Array<Job> = []

  deflate(): undefined {
    return undefined
  }

  inflate(): "Corrupt" {
    return "Corrupt"
  }

  deflateLater(data: Uint8Array, _options: unknown, done: (deflated: Uint8Array | undefined) => void): () => void {
    const job: Job = { data, done, cancelled: false }
    this.jobs.push(job)
    return () => {
      job.cancelled = true
    }
  }

  /** Ends the job that has been under way for longest, if there is one. */
  finishOne(): void {
    let job = this.jobs.shift()
    while (job?.cancelled === true) job = this.jobs.shift()
    job?.done()
  }
}
