import * as fc from "fast-check"

// Surrogates are no characters of a string that is valid.
const [firstSurrogate, surrogates] = [0xd800, 0x800]

/**
 * Any code point, for `unit` of `fc.string`. It is what `unit: "binary"` is, for which fast-check makes a table that takes two
 * seconds in each process.
 */
export const codePoint: fc.Arbitrary<string> = fc.integer({ min: 0, max: 0x10ffff - surrogates }).map(
  (index) => String.fromCodePoint(index < firstSurrogate ? index : index + surrogates),
  (text) => {
    const point = typeof text === "string" ? text.codePointAt(0) : undefined
    if (point === undefined || String.fromCodePoint(point) !== text) throw new Error("No code point")
    if (point >= firstSurrogate && point < firstSurrogate + surrogates) throw new Error("A surrogate")
    return point < firstSurrogate ? point : point - surrogates
  }
)
