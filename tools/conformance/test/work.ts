/**
 * Counts work instead of time: how often each block of this library's code runs, as V8 counts it, and how many bytes other
 * code copies, measures or validates.
 */
import { Session } from "node:inspector"
import { afterAll, assert, vi } from "vitest"
import type * as Utf8 from "../../../packages/protocol/src/internal/utf8.js"

let bytes = 0

/** For `vi.mock`: the UTF-8 module, which calls native code, with a count of its bytes. */
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

// Import this module before any other, because V8 adds counters only to code that it compiles after this point.
const session = new Session()
session.connect()
session.post("Profiler.enable")
session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true })
afterAll(() => session.disconnect())

/** How often the blocks of all protocol files ran since the last call. */
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

/** Steps and bytes of each function, together. V8 counts once in between, because that takes longer than most functions. */
const worksOf = (functions: ReadonlyArray<() => void>): ReadonlyArray<number> => {
  const spy = vi.spyOn(Uint8Array.prototype, "set").mockImplementation(function (this: Uint8Array, source, offset = 0) {
    bytes += source.length
    // Copies as the method does, without calling itself.
    for (let i = 0; i < source.length; i++) this[offset + i] = source[i]!
  })
  try {
    takeSteps()
    return functions.map((f) => {
      bytes = 0
      f()
      const steps = takeSteps()
      assert.isAbove(steps, 0, "no work was counted")
      return steps + bytes
    })
  } finally {
    spy.mockRestore()
  }
}

/** Steps and bytes of `f`, together. */
export const workOf = (f: () => void): number => worksOf([f])[0]!

/** Twice the input is about twice the work. */
export const assertLinear = (n: number, prepare: (n: number) => () => void, label?: string): void => {
  const [once = 0, twice = 0, fourTimes = 0] = worksOf([n, 2 * n, 4 * n].map((size) => prepare(size)))
  // With the square it would be four times. Memory that is renewed now and then makes it a little more than twice.
  assert.isAtMost(twice / once, 2.5, label)
  assert.isAtMost(fourTimes / twice, 2.5, label)
}
