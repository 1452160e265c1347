import { getHeapSpaceStatistics } from "node:v8"

// V8 collects young garbage when its young generation is full. This is cheap, and frees young buffers, too. But buffers
// hardly fill the young generation, because their memory is outside of it. Once there are 64 MiB of such memory, V8 marks
// the whole heap instead, with all objects of the app. So this fills the young generation in time.
const maxOutside = 32 * 1024 * 1024

// V8 allocates arrays with more elements than about this in another space.
const elements = 15_000
const bytesPerElement = 8

let outside = 0

/** Exported so that V8 does not leave out the arrays. */
export let garbage: ReadonlyArray<undefined> = []

/** See `countOutside.ts`. */
export const countOutside = (bytes: number): void => {
  outside += bytes
  if (outside < maxOutside) return
  outside = 0
  for (const space of getHeapSpaceStatistics()) if (space.space_name === "new_space") fill(space.space_available_size)
}

// At once: if V8 collected at any moment between, the system's allocator would give memory back and fetch it again.
const fill = (available: number): void => {
  for (let filled = 0; filled <= available; filled += elements * bytesPerElement) {
    // oxlint-disable-next-line unicorn/no-new-array -- `Array.from` takes ten times as long.
    garbage = new Array(elements)
  }
  garbage = []
}
