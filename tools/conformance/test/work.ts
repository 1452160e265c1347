/**
 * Counts work instead of time: how often each block of this library's code is executed, as V8 counts it, and how many bytes
 * are moved, measured or validated by what is not its code.
 */
import { Session } from "node:inspector"
import { afterAll, assert, vi } from "vitest"
import type * as Utf8 from "../../../packages/protocol/src/internal/utf8.js"

let bytes = 0

/** For `vi.mock`: the module of UTF-8, which works natively, with its bytes counted. */
export const countingUtf8 = async (original: () => Promise<typeof Utf8>) => {
  const { byteLength, decode, encodeInto, isValid } = await original()
  const range = (start: number, end: number) => {
    bytes += end - start
  }
  const counted: typeof Utf8 = {
    byteLength: (text) => {
      bytes += text.length
      return byteLength(text)
    },
    encodeInto: (text, target, offset) => {
      bytes += text.length
      return encodeInto(text, target, offset)
    },
    isValid: (data, start, end) => {
      range(start, end)
      return isValid(data, start, end)
    },
    decode: (data, start, end) => {
      range(start, end)
      return decode(data, start, end)
    }
  }
  return counted
}

// From the beginning, because V8 puts counters only into what it compiles from now on. Import this module before any other.
const session = new Session()
session.connect()
session.post("Profiler.enable")
session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true })
afterAll(() => session.disconnect())

/** How often each block was executed since the last call, of all files of the protocol together. */
const takeSteps = (): number => {
  let steps = 0
  session.post("Profiler.takePreciseCoverage", (error, { result }) => {
    assert.isNull(error)
    for (const { functions, url } of result) {
      if (!url.includes("/packages/protocol/src/")) continue
      for (const { ranges } of functions) for (const { count } of ranges) steps += count
    }
  })
  return steps
}

/** Steps and bytes of `f`, together. */
export const workOf = (f: () => void): number => {
  const spy = vi.spyOn(Uint8Array.prototype, "set").mockImplementation(function (this: Uint8Array, source, offset = 0) {
    bytes += source.length
    // As the method does, without calling itself.
    for (let i = 0; i < source.length; i++) this[offset + i] = source[i]!
  })
  takeSteps()
  bytes = 0
  try {
    f()
  } finally {
    spy.mockRestore()
  }
  const steps = takeSteps()
  assert.isAbove(steps, 0, "no work was counted")
  return steps + bytes
}

/** Twice the input is about twice the work. */
export const assertLinear = (n: number, prepare: (n: number) => () => void, label?: string): void => {
  const [once = 0, twice = 0, fourTimes = 0] = [n, 2 * n, 4 * n].map((size) => workOf(prepare(size)))
  // With the square it would be four times. Memory that is renewed now and then makes it a little more than twice.
  assert.isAtMost(twice / once, 2.5, label)
  assert.isAtMost(fourTimes / twice, 2.5, label)
}
