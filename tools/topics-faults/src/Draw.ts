import { uniformInt } from "pure-rand/distribution/uniformInt"
import { xoroshiro128plus } from "pure-rand/generator/xoroshiro128plus"

/** Draws that a seed decides. */
export class Draw {
  private readonly generator: ReturnType<typeof xoroshiro128plus>

  constructor(seed: number) {
    this.generator = xoroshiro128plus(seed)
  }

  /** A number from `min` to `max`. */
  between(min: number, max: number): number {
    return uniformInt(this.generator, min, max)
  }

  of<A>(values: readonly [A, ...ReadonlyArray<A>]): A {
    return values[this.between(0, values.length - 1)] ?? values[0]
  }

  /** True in so many of a hundred cases. */
  chance(percent: number): boolean {
    return this.between(1, 100) <= percent
  }
}
