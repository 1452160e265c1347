import type { Deflation } from "@effect-websocket/protocol/Compressor"
import { isShared, type Message } from "@effect-websocket/protocol/Message"
import type { Zlib } from "../../Zlib.js"

/** Called with what zlib has made; `undefined` if that would be larger than the message. */
type Done = (deflated: Uint8Array | undefined) => void

/** One call of zlib. */
interface Run {
  cancel: (() => void) | undefined
}

/** A message that is deflated on another thread: once, for all connections that wait for it. */
export class DeflationJob {
  /** What zlib has made. */
  result: { readonly deflated: Uint8Array | undefined } | undefined = undefined
  private readonly zlib: Zlib
  private readonly deflation: Deflation
  private readonly waiting = new Set<Done>()
  private run: Run | undefined = undefined

  constructor(zlib: Zlib, deflation: Deflation) {
    this.zlib = zlib
    this.deflation = deflation
  }

  /** Whether it makes what another connection needs. Without a dictionary, that depends on the parameters only. */
  serves(zlib: Zlib, { options }: Deflation): boolean {
    const { level, memLevel, windowBits } = this.deflation.options
    return (
      this.zlib === zlib &&
      windowBits === options.windowBits &&
      level === options.level &&
      memLevel === options.memLevel
    )
  }

  /**
   * Calls `done` once, perhaps before it returns. The returned function prevents that; zlib stops when nobody waits any more. Throws
   * what the app's zlib throws before it calls back.
   */
  join(done: Done): () => void {
    this.waiting.add(done)
    if (this.run === undefined) this.start(done)
    return () => this.leave(done)
  }

  private start(first: Done): void {
    const { data, options } = this.deflation
    const run: Run = { cancel: undefined }
    this.run = run
    try {
      const cancel = this.zlib.deflateLater(data, options, (deflated) => this.finish(run, deflated))
      // The app's zlib may have returned anything.
      run.cancel = () => cancel()
      // Everybody has left before it returned.
      if (this.run !== run && this.result === undefined) cancelRun(run)
    } catch (defect) {
      // It called back, or everybody left, before it threw.
      if (this.run !== run || this.result !== undefined) return
      this.run = undefined
      this.waiting.delete(first)
      throw defect
    }
  }

  private finish(run: Run, deflated: Uint8Array | undefined): void {
    // It was cancelled, or zlib has called back before.
    if (this.run !== run || this.result !== undefined) return
    this.result = { deflated }
    const waiting = [...this.waiting]
    this.waiting.clear()
    for (const done of waiting) done(deflated)
  }

  private leave(done: Done): void {
    if (!this.waiting.delete(done) || this.waiting.size > 0) return
    const { run } = this
    this.run = undefined
    if (run !== undefined) cancelRun(run)
  }
}

const cancelRun = ({ cancel }: Run): void => {
  try {
    cancel?.()
  } catch {
    // The app's zlib failed in a job that nobody waits for.
  }
}

const sharedJobs = new WeakMap<Message, Array<DeflationJob>>()

/** The job for a message: that of another connection, if the message is shared and all parameters are equal. */
export const deflationJob = (zlib: Zlib, deflation: Deflation): DeflationJob => {
  const { message, options } = deflation
  if (options.dictionary.length > 0 || !isShared(message)) return new DeflationJob(zlib, deflation)
  const jobs = sharedJobs.get(message) ?? []
  const known = jobs.find((job) => job.serves(zlib, deflation))
  if (known !== undefined) return known
  const job = new DeflationJob(zlib, deflation)
  sharedJobs.set(message, [...jobs, job])
  return job
}
