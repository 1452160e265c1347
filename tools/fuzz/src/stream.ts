/** What a peer sends: frames that are almost legal, or any bytes at all. */
import * as Frame from "@effect-websocket/protocol/Frame"
import type { Role } from "@effect-websocket/protocol/FrameDecoder"
import { encode } from "@effect-websocket/protocol/FrameEncoder"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import type { Input } from "./Input.js"

export const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => Uint8Array.from(Buffer.concat(parts))

/** A text that has everything in which UTF-8 can be cut or broken. */
const characters = Buffer.from("a\u00e9\u4e16\u{1f389}\0\uffff\ufeff\u{10ffff}")

const opcodes = [
  Opcode.Text,
  Opcode.Binary,
  Opcode.Continuation,
  Opcode.Ping,
  Opcode.Pong,
  Opcode.Close,
  3,
  11
] as const

const closePayload = (input: Input): Uint8Array => {
  const code = input.pick([1000, 1001, 1003, 1004, 1005, 1006, 1007, 1011, 1014, 1015, 2999, 3000, 4999, 5000, 0])
  return Uint8Array.from([code >> 8, code & 255, ...input.take(input.below(8))])
}

export const payload = (input: Input): Uint8Array => {
  switch (input.below(5)) {
    case 0:
      return input.take(input.below(24))
    case 1: {
      const start = input.below(characters.length)
      return Uint8Array.from(characters.subarray(start, start + input.below(20)))
    }
    case 2:
      return new Uint8Array(input.pick([0, 1, 124, 125, 126, 127, 128, 1000])).fill(input.byte())
    case 3:
      return new Uint8Array(input.below(8) === 7 ? 65535 + input.below(2) : 200).fill(0x61)
    default:
      return new Uint8Array(0)
  }
}

/** One frame for `role`. Most are legal by themselves. */
export const frame = (input: Input, role: Role): Uint8Array => {
  const opcode = input.pick(opcodes)
  const flags = input.byte()
  const fin = (flags & 3) !== 0
  // Seldom wrong: reserved bits, and the mask.
  const rsv = flags >>> 5 === 7 ? input.below(8) : 0
  const masked = ((flags >>> 2) & 7) === 7 ? role === "client" : role === "server"
  const data = opcode === Opcode.Close && (flags & 4) === 0 ? closePayload(input) : payload(input)
  const key = masked ? (input.uint16() << 16) | input.uint16() : undefined
  return encode(Frame.make(opcode, { fin, rsv, payload: data }), key === undefined ? undefined : key >>> 0)
}

/** Lengths in their long forms, around where something changes. */
const longLengths = [
  [126, 0, 0],
  [126, 0, 125],
  [126, 0, 126],
  [126, 255, 255],
  [127, 0, 0, 0, 0, 0, 0, 255, 255],
  [127, 0, 0, 0, 0, 0, 1, 0, 0],
  [127, 0, 0x1f, 0xff, 0xff, 255, 255, 255, 255],
  [127, 0, 0x20, 0, 0, 0, 0, 0, 0],
  [127, 255, 255, 255, 255, 255, 255, 255, 255]
] as const satisfies ReadonlyArray<ReadonlyArray<number>>

/** A header with any length in any form, and as much behind it as some of them announce, or any other. */
const header = (input: Input, role: Role): Uint8Array => {
  const first = input.below(4) === 3 ? input.byte() : input.pick([0x82, 0x81, 0x02, 0x80])
  const chosen: ReadonlyArray<number> =
    input.below(4) === 3
      ? [input.pick([126, 127]), ...input.take(input.pick([2, 8]))]
      : (longLengths[input.below(longLengths.length)] ?? longLengths[0])
  const [size = 126, ...length] = chosen
  const mask = role === "server" ? [0, 0, 0, 0] : []
  const behind = new Uint8Array(input.pick([125, 126, 0])).fill(0x61)
  return Uint8Array.from([first, (role === "server" ? 0x80 : 0) | size, ...length, ...mask, ...behind])
}

export const stream = (input: Input, role: Role, maxFrames = 40): Uint8Array => {
  const parts: Array<Uint8Array> = []
  for (let count = 0; count < maxFrames && !input.done; count++) {
    const kind = input.below(16)
    parts.push(kind === 0 ? input.take(input.below(16)) : kind <= 2 ? header(input, role) : frame(input, role))
    if (kind === 3) break
  }
  return concat(parts)
}

/** Bytes for `role`: frames made of decisions, or the input as it is. */
export const anyStream = (input: Input, role: Role): Uint8Array => (input.flag() ? stream(input, role) : input.rest())
