import { assert, describe, it } from "@effect/vitest"
import type { Deflation } from "@effect-websocket/protocol/Compressor"
import * as Message from "@effect-websocket/protocol/Message"
import { deflationJob, type DeflationJob } from "../../../src/engine/connection/DeflationJob.js"
import type { Zlib } from "../../../src/Zlib.js"
import { FakeZlib } from "./FakeZlib.js"

const data = Uint8Array.of(1, 2, 3)
const deflated = Uint8Array.of(9)
const options = { dictionary: new Uint8Array(0), windowBits: 15, level: 6, memLevel: 8 }

const deflationOf = (message: Message.Message, other: Partial<Deflation["options"]> = {}): Deflation => ({
  message,
  data,
  options: { ...options, ...other }
})

/** What somebody who waits is told. */
const join = (job: DeflationJob) => {
  const results: Array<Uint8Array | undefined> = []
  return { leave: job.join((result) => results.push(result)), results }
}

describe("a shared message", () => {
  it("is deflated once for all who wait, and for those who come later", () => {
    const zlib = new FakeZlib()
    const message = Message.share(Message.binary(data))
    const one = join(deflationJob(zlib, deflationOf(message)))
    const other = join(deflationJob(zlib, deflationOf(message)))
    assert.lengthOf(zlib.jobs, 1)
    const { done } = zlib.jobs[0]!
    done(deflated)
    done()
    assert.deepStrictEqual([one.results, other.results], [[deflated], [deflated]])
    assert.deepStrictEqual(deflationJob(zlib, deflationOf(message)).result, { deflated })
    one.leave()
    assert.isFalse(zlib.jobs[0]!.cancelled)
  })

  it("is deflated for each set of parameters, and with each zlib", () => {
    const zlib = new FakeZlib()
    const message = Message.share(Message.binary(data))
    const jobs = [
      deflationJob(zlib, deflationOf(message)),
      deflationJob(zlib, deflationOf(message, { windowBits: 9 })),
      deflationJob(zlib, deflationOf(message, { level: 1 })),
      deflationJob(zlib, deflationOf(message, { memLevel: 1 })),
      deflationJob(new FakeZlib(), deflationOf(message))
    ]
    assert.strictEqual(new Set(jobs).size, jobs.length)
  })

  it("is deflated by each connection that has a dictionary, and so is one that is not shared", () => {
    const zlib = new FakeZlib()
    const shared = deflationOf(Message.share(Message.binary(data)), { dictionary: data })
    assert.notStrictEqual(deflationJob(zlib, shared), deflationJob(zlib, shared))
    const own = deflationOf(Message.binary(data))
    assert.notStrictEqual(deflationJob(zlib, own), deflationJob(zlib, own))
  })

  it("is cancelled once nobody waits, and begins again for the next one", () => {
    const zlib = new FakeZlib()
    const message = Message.share(Message.binary(data))
    const job = deflationJob(zlib, deflationOf(message))
    const one = join(job)
    const other = join(job)
    one.leave()
    one.leave()
    assert.isFalse(zlib.jobs[0]!.cancelled)
    other.leave()
    assert.isTrue(zlib.jobs[0]!.cancelled)
    const next = join(deflationJob(zlib, deflationOf(message)))
    zlib.jobs[0]!.done(Uint8Array.of(0))
    zlib.jobs[1]!.done(deflated)
    assert.deepStrictEqual([one.results, other.results, next.results], [[], [], [deflated]])
  })
})

describe("a zlib of the app", () => {
  const jobWith = (deflateLater: Zlib["deflateLater"]): DeflationJob =>
    deflationJob(Object.assign(new FakeZlib(), { deflateLater }), deflationOf(Message.share(Message.binary(data))))

  it("may call back at once, and then throw", () => {
    const job = jobWith((_data, _options, done) => {
      done(deflated)
      throw new Error("too late")
    })
    assert.deepStrictEqual(join(job).results, [deflated])
  })

  it("may throw, and the next one tries again", () => {
    let calls = 0
    const job = jobWith((_data, _options, done) => {
      if (++calls === 1) throw new Error("no")
      done(deflated)
      return () => {}
    })
    assert.throws(() => join(job), "no")
    assert.deepStrictEqual(join(job).results, [deflated])
  })

  it("may have no function that cancels", () => {
    const job = jobWith((() => undefined) as unknown as Zlib["deflateLater"])
    join(job).leave()
    assert.isUndefined(job.result)
  })
})
