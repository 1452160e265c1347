import * as Frame from "@effect-websocket/protocol/Frame"
import type { Element } from "@effect-websocket/protocol/HeaderField"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import * as fc from "fast-check"
import { borrowed, mutable, owned } from "./endpoints.js"
import { utf8, wellFormed } from "./support.js"

export const ownership = fc.constantFrom(owned, mutable, borrowed)

export const maskKey = fc.integer({ min: 0, max: 0xffffffff })

/** Bytes that are cheap to make, unlike an array of that many arbitraries. */
export const noise = (length: number, seed: number): Uint8Array => {
  const bytes = new Uint8Array(length)
  for (let i = 0, state = seed | 1; i < length; i++) {
    state = Math.imul(state, 1664525) + 1013904223
    bytes[i] = state >>> 24
  }
  return bytes
}

const noiseOf = (length: fc.Arbitrary<number>): fc.Arbitrary<Uint8Array> =>
  fc.tuple(length, fc.integer()).map(([bytes, seed]) => noise(bytes, seed))

/** The lengths around which the encoding of a length changes. */
export const edgeLengths = [0, 1, 125, 126, 127, 65535, 65536] as const

export const controlPayload = noiseOf(fc.integer({ min: 0, max: 125 }))

export const payload = noiseOf(
  fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: 0, max: 300 }) },
    { weight: 1, arbitrary: fc.constantFrom(...edgeLengths) }
  )
)

const ofParts = ({ opcode, ...parts }: Omit<Frame.Frame, Frame.TypeId>): Frame.Frame => Frame.make(opcode, parts)

const controlFrame = (masked: boolean): fc.Arbitrary<Frame.Frame> =>
  fc
    .record({
      fin: fc.constant(true),
      rsv: fc.constant(0),
      opcode: fc.constantFrom(Opcode.Close, Opcode.Ping, Opcode.Pong),
      masked: fc.constant(masked),
      payload: controlPayload
    })
    .map(ofParts)

/** Any frame that breaks no rule by itself, if an extension uses all reserved bits. */
export const frame = (masked: boolean, data = payload): fc.Arbitrary<Frame.Frame> =>
  fc.oneof(
    fc
      .record({
        fin: fc.boolean(),
        rsv: fc.integer({ min: 0, max: 7 }),
        opcode: fc.constantFrom(Opcode.Continuation, Opcode.Text, Opcode.Binary),
        masked: fc.constant(masked),
        payload: data
      })
      .map(ofParts),
    controlFrame(masked)
  )

export const shortFrame = (masked: boolean): fc.Arbitrary<Frame.Frame> =>
  frame(masked, noiseOf(fc.integer({ min: 0, max: 140 })))

/** The places to cut at, for `split`. Any number is a place in any byte string. */
export const cuts = fc.array(fc.nat(), { maxLength: 24 })

/** The parts of a byte string, empty ones among them, each in a buffer of its own. */
export const split = (bytes: Uint8Array, places: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const bounds = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
  return bounds.slice(1).map((end, i) => bytes.slice(bounds[i], end))
}

/** Text of any UTF-16 units, with surrogates both paired and alone. */
export const looseText = fc
  .array(
    fc.oneof(
      fc.integer({ min: 0, max: 0xffff }),
      fc.integer({ min: 0xd800, max: 0xdfff }),
      fc.constantFrom(0, 0x7f, 0x80, 0x7ff, 0x800, 0xfeff, 0xfffd)
    ),
    { maxLength: 40 }
  )
  .map((units) => String.fromCharCode(...units))

/** Text without lone surrogates, which UTF-8 can carry. */
export const text = looseText.map(wellFormed)

/** Bytes that are UTF-8, almost UTF-8, or not UTF-8 at all. */
export const almostUtf8: fc.Arbitrary<Uint8Array> = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: text.map((value) => utf8(value.slice(0, 6))) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 3 }) },
      {
        weight: 1,
        arbitrary: fc
          .constantFrom([0xc0], [0xc2], [0xe0, 0x9f], [0xe0, 0xa0], [0xed, 0xa0], [0xf0, 0x8f], [0xf4, 0x90], [0xf5])
          .map((bytes) => Uint8Array.from(bytes))
      }
    ),
    { maxLength: 5 }
  )
  .map((parts) => Uint8Array.from(parts.flatMap((part) => Array.from(part))))

export const tokenUnits = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

export const token = fc
  .array(fc.constantFrom(...tokenUnits), { minLength: 1, maxLength: 12 })
  .map((units) => units.join(""))

export const element: fc.Arbitrary<Element> = fc.record({
  name: token,
  parameters: fc.array(fc.tuple(token, fc.oneof(token, fc.constant(true as const))), { maxLength: 4 })
})

export const elements = fc.array(element, { maxLength: 5 })
