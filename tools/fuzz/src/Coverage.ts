/** What an execution reached, by the counters that instrumented code keeps. */

/** The counters of one file, by number: of its functions, and of the arms of its branches. */
interface FileCounters {
  readonly f: Record<string, number>
  readonly b: Record<string, Array<number>>
}

/** How often something ran, as a bit: 1, 2, 3, 4–7, 8–15, 16–31, 32–127, and more. Or only whether it ran. */
const bucket = (hits: number, times: boolean): number => {
  if (!times) return hits === 0 ? 0 : 1
  if (hits < 4) return hits === 3 ? 4 : hits
  if (hits < 8) return 8
  if (hits < 16) return 16
  if (hits < 32) return 32
  return hits < 128 ? 64 : 128
}

export class Coverage {
  private readonly files: ReadonlyArray<FileCounters>
  private readonly seen: Uint8Array
  private readonly times: boolean

  /** `times`: whether it counts how often something ran. */
  constructor(counters: Readonly<Record<string, FileCounters>>, times: boolean) {
    this.times = times
    this.files = Object.values(counters)
    let size = 0
    for (const { b, f } of this.files) {
      size += Object.keys(f).length
      for (const arms of Object.values(b)) size += arms.length
    }
    this.seen = new Uint8Array(size)
  }

  /** How many functions and arms of branches there are. */
  get size(): number {
    return this.seen.length
  }

  get reached(): number {
    return this.seen.reduce((count, bits) => count + (bits === 0 ? 0 : 1), 0)
  }

  get features(): number {
    let count = 0
    for (const bits of this.seen) {
      for (let rest = bits; rest !== 0; rest &= rest - 1) count++
    }
    return count
  }

  /** Sets all counters to zero, and tells how many features no execution had before. */
  take(): number {
    let found = 0
    let index = 0
    const note = (hits: number) => {
      const bits = bucket(hits, this.times)
      const before = this.seen[index]!
      if ((bits & ~before) !== 0) {
        found++
        this.seen[index] = before | bits
      }
      index++
    }
    for (const { b, f } of this.files) {
      for (const key in f) {
        note(f[key]!)
        f[key] = 0
      }
      for (const key in b) {
        const arms = b[key]!
        for (let arm = 0; arm < arms.length; arm++) {
          note(arms[arm]!)
          arms[arm] = 0
        }
      }
    }
    return found
  }
}
