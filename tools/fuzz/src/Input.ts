/** The bytes of the fuzzer, read as decisions. Where they have run out, every decision is the first one. */
export class Input {
  private readonly bytes: Uint8Array
  private position = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }

  get done(): boolean {
    return this.position >= this.bytes.length
  }

  byte(): number {
    return this.bytes[this.position++] ?? 0
  }

  uint16(): number {
    return (this.byte() << 8) | this.byte()
  }

  /** A number from 0 to `count - 1`, `count` being 256 at most. */
  below(count: number): number {
    return this.byte() % count
  }

  flag(): boolean {
    return (this.byte() & 1) !== 0
  }

  pick<A>(choices: readonly [A, ...ReadonlyArray<A>]): A {
    return choices[this.below(choices.length)] ?? choices[0]
  }

  /** As many of the next bytes as there are, in a buffer of their own. */
  take(count: number): Uint8Array {
    const taken = this.bytes.slice(this.position, this.position + count)
    this.position += count
    return taken
  }

  rest(): Uint8Array {
    return this.take(this.bytes.length)
  }

  latin1(count: number): string {
    return Buffer.from(this.take(count)).toString("latin1")
  }
}

/** How a chunk may be cut. Decided before the bytes that are cut. */
export type Cuts = (bytes: Uint8Array) => ReadonlyArray<Uint8Array>

/** Whole, byte by byte, or in pieces of sizes that repeat; each piece in a buffer of its own. */
export const cuts = (input: Input): Cuts => {
  const sizes = input.pick([[], [1], [1 + input.below(7)], [1 + input.below(200), 1 + input.below(9), 2]])
  return (bytes) => {
    if (sizes.length === 0) return [bytes.slice()]
    // What is large is cut into larger pieces, which is as telling, and faster.
    const scale = bytes.length > 4096 ? 256 : 1
    const pieces: Array<Uint8Array> = []
    for (let start = 0; start < bytes.length;) {
      const size = scale * (sizes[pieces.length % sizes.length] ?? 1)
      pieces.push(bytes.slice(start, start + size))
      start += size
    }
    return pieces
  }
}
