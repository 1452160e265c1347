import { versions } from "node:process"
import { getHeapSpaceStatistics } from "node:v8"

// V8 collects young garbage when its young generation is full. This is cheap, and frees young buffers, too. But buffers
// hardly fill the young generation, because their memory is outside of it. Once there are 64 MiB of such memory, V8 marks
// the whole heap instead, with all objects of the app. So this fills the young generation in time.
//
// Not before Node 24: there it gains nothing, and takes up to a quarter more time for large messages.
export const maxOutsideOn = (node: string): number =>
  Number.parseInt(node, 10) < 24 ? Number.POSITIVE_INFINITY : 32 * 1024 * 1024

// Node's default has less. An app can set more with `--max-semi-space-size`; filling it would be a long pause.
const maxFilled = 64 * 1024 * 1024

// V8 allocates arrays with more elements than about this in another space.
const elements = 15_000
const bytesPerElement = 8

/** Exported so that V8 does not leave out the arrays. */
export let garbage: ReadonlyArray<undefined> = []

/** How much of the young generation is free, in bytes. */
const availableYoung = (): number =>
  getHeapSpaceStatistics().reduce(
    (available, space) => (space.space_name === "new_space" ? space.space_available_size : available),
    0
  )

/** Fills the young generation each time that `maxOutside` bytes have been counted. */
export const counterOf = (maxOutside: number, available = availableYoung): ((bytes: number) => void) => {
  let outside = 0
  return (bytes) => {
    outside += bytes
    if (outside < maxOutside) return
    outside = 0
    fill(available())
  }
}

// At once: if V8 collected at any moment between, the system's allocator would give memory back and fetch it again.
const fill = (available: number): void => {
  if (available > maxFilled) return
  for (let filled = 0; filled <= available; filled += elements * bytesPerElement) {
    // oxlint-disable-next-line unicorn/no-new-array -- `Array.from` takes ten times as long.
    garbage = new Array(elements)
  }
  garbage = []
}

/** See `countOutside.ts`. */
export const countOutside = counterOf(maxOutsideOn(versions.node))
