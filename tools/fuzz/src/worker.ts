/** One target, executed again and again, guided by what it reaches. The input of the moment is where the parent sees it. */
import { parentPort, workerData } from "node:worker_threads"
import { Coverage } from "./Coverage.js"
import { mutate } from "./mutate.js"
import { Random } from "./Random.js"
import type { Report, Work } from "./work.js"
import type { Target } from "./targets.js"

const work = workerData as Work
const { corpus, current, maxBytes, maxFindings, milliseconds, name, seed, targetsFile } = work
const progress = new Int32Array(current, 0, 2)
const place = new Uint8Array(current, 8)

const { targets } = (await import(targetsFile)) as { readonly targets: Readonly<Record<string, Target>> }
const target = targets[name]!
const { __coverage__: counters } = globalThis as unknown as {
  readonly __coverage__: ConstructorParameters<typeof Coverage>[0]
}
const coverage = new Coverage(counters, true)
const random = new Random(seed)
const pool: Array<Uint8Array> = []
const findings = new Map<string, Uint8Array>()
let executions = 0
let slowest = 0

/** What the target throws, if it does. */
const execute = async (bytes: Uint8Array): Promise<string | undefined> => {
  place.set(bytes)
  progress[1] = bytes.length
  Atomics.add(progress, 0, 1)
  executions++
  const begin = performance.now()
  try {
    const pending = target(bytes.slice())
    if (pending !== undefined) await pending
    return undefined
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error)
  } finally {
    slowest = Math.max(slowest, performance.now() - begin)
  }
}

/** Findings are told apart by what was found and where. */
const keyOf = (stack: string): string =>
  stack
    .split("\n")
    .filter((line, i) => i === 0 || line.includes("targets.mjs"))
    .slice(0, 4)
    .join("\n")
    .replaceAll(/[0-9a-f]{6,}|\d+/g, "#")
    .slice(0, 300)

/** The finding with as little around it as possible. */
const minimise = async (bytes: Uint8Array, key: string): Promise<Uint8Array> => {
  let best = bytes
  for (let size = best.length >> 1; size > 0; size >>= 1) {
    for (let at = 0; at < best.length;) {
      const candidate = Uint8Array.from([...best.subarray(0, at), ...best.subarray(at + size)])
      const stack = await execute(candidate)
      if (stack !== undefined && keyOf(stack) === key) best = candidate
      else at += size
    }
  }
  return best
}

const attempt = async (bytes: Uint8Array): Promise<void> => {
  const stack = await execute(bytes)
  if (stack === undefined) {
    if (coverage.take() > 0) pool.push(bytes.slice())
    return
  }
  const key = keyOf(stack)
  if (findings.has(key)) return
  findings.set(key, bytes)
  const smallest = await minimise(bytes, key)
  findings.set(key, smallest)
  coverage.take()
  const report: Report = { _tag: "Finding", bytes: smallest, stack: (await execute(smallest)) ?? stack }
  parentPort?.postMessage(report)
}

coverage.take()
const end = performance.now() + milliseconds
for (const bytes of [new Uint8Array(0), ...corpus]) await attempt(bytes)
while (performance.now() < end && findings.size < maxFindings) {
  // What was found last has been tried least.
  const recent = random.below(2) === 0 ? Math.max(0, pool.length - 32) : 0
  const from = pool[recent + random.below(Math.max(1, pool.length - recent))] ?? new Uint8Array(0)
  const other = pool[random.below(Math.max(1, pool.length))] ?? from
  await attempt(mutate(from, random, other, maxBytes))
}

/** As few of the inputs as reach all that any of them does, short ones first. */
const reduced = async (): Promise<ReadonlyArray<Uint8Array>> => {
  const fresh = new Coverage(counters, false)
  const kept: Array<Uint8Array> = []
  for (const bytes of [...pool].sort((a, b) => a.length - b.length)) {
    await execute(bytes)
    if (fresh.take() > 0) kept.push(bytes)
  }
  return kept
}

const report: Report = {
  _tag: "Done",
  executions,
  slowest,
  reached: coverage.reached,
  size: coverage.size,
  features: coverage.features,
  corpus: await reduced()
}
parentPort?.postMessage(report)
