/** Frames byte by byte (RFC 6455 §5.2), without a library. Writes legal and illegal frames, and reads complete ones. */
import type { Role } from "./Role.js"

export interface Frame {
  readonly fin: boolean
  readonly rsv: number
  readonly opcode: number
  readonly payload: Uint8Array
}

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

type Payload = string | Uint8Array

/** Latin-1 represents bytes: one character for each byte, which is easy to compare. */
export const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1")
export const fromLatin1 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "latin1"))
export const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"))
export const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => Uint8Array.from(Buffer.concat(parts))

const bytesOf = (payload: Payload): Uint8Array =>
  typeof payload === "string" ? new TextEncoder().encode(payload) : payload

const framer =
  (opcode: number) =>
  (payload: Payload = "", options: { readonly fin?: boolean; readonly rsv?: number } = {}): Frame => ({
    fin: options.fin ?? true,
    rsv: options.rsv ?? 0,
    opcode,
    payload: bytesOf(payload)
  })

export const continuation = framer(opcodes.continuation)
export const text = framer(opcodes.text)
export const binary = framer(opcodes.binary)
export const ping = framer(opcodes.ping)
export const pong = framer(opcodes.pong)
export const rawClose = framer(opcodes.close)
export const ofOpcode = (opcode: number, payload?: Payload): Frame => framer(opcode)(payload)
export const unfinished = { fin: false } as const
/** RFC 7692 §6: the first reserved bit. */
export const rsv1 = { rsv: 4 } as const

/** A Close with any code, legal or not, and any bytes as its reason. */
export const close = (code?: number, reason: Payload = ""): Frame =>
  code === undefined ? rawClose() : rawClose(concat([Uint8Array.of(code >>> 8, code), bytesOf(reason)]))

export const masksAs = (role: Role): boolean => role === "client"

/** The number of bits of a written length, even if a shorter form exists. */
export type LengthBits = 7 | 16 | 64

const shortest = (length: number): LengthBits => (length < 126 ? 7 : length < 65536 ? 16 : 64)

export const encode = (
  { fin, opcode, payload, rsv }: Frame,
  masked: boolean,
  bits: LengthBits = shortest(payload.length),
  key: Uint8Array = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d)
): Uint8Array => {
  const { length } = payload
  const header = Buffer.alloc(bits === 7 ? 2 : bits === 16 ? 4 : 10)
  header[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  header[1] = (masked ? 0x80 : 0) | (bits === 7 ? length : bits === 16 ? 126 : 127)
  if (bits === 16) header.writeUInt16BE(length, 2)
  if (bits === 64) header.writeBigUInt64BE(BigInt(length), 2)
  return concat(masked ? [header, key, payload.map((byte, i) => byte ^ key[i % 4]!)] : [header, payload])
}

/** The bytes of frames from the peer of `role`. If that peer masks, each frame has its own mask key. */
export const sentTo = (role: Role, frames: ReadonlyArray<Frame>): Uint8Array =>
  concat(
    frames.map((frame, i) =>
      encode(frame, role === "server", undefined, Uint8Array.of(0x37 + i, 0xfa - i, 0x21 ^ i, 0x3d))
    )
  )

/** A received frame, and how it was written. */
export interface Received extends Frame {
  readonly key: string | undefined
  readonly bits: LengthBits
  readonly size: number
}

/** The first frame in some bytes, or `undefined` if it is not complete. */
export const decode = (bytes: Buffer): Received | undefined => {
  if (bytes.length < 2) return undefined
  const [first = 0, second = 0] = bytes
  const masked = second >= 0x80
  const short = second & 0x7f
  const bits = short === 127 ? 64 : short === 126 ? 16 : 7
  const start = 2 + (bits === 64 ? 8 : bits === 16 ? 2 : 0) + (masked ? 4 : 0)
  if (bytes.length < start) return undefined
  const length = bits === 64 ? Number(bytes.readBigUInt64BE(2)) : bits === 16 ? bytes.readUInt16BE(2) : short
  if (bytes.length < start + length) return undefined
  const key = bytes.subarray(start - 4, start)
  const data = bytes.subarray(start, start + length)
  return {
    fin: first >= 0x80,
    rsv: (first >> 4) & 7,
    opcode: first & 15,
    payload: Uint8Array.from(masked ? data.map((byte, i) => byte ^ key[i % 4]!) : data),
    key: masked ? key.toString("hex") : undefined,
    bits,
    size: start + length
  }
}

/** What is wrong with a frame that no endpoint may ever write (RFC 6455 §5), or `undefined` if the frame is legal. */
export const fault = (frame: Received, writer: Role, deflate: boolean): string | undefined => {
  const { bits, fin, key, opcode, payload, rsv } = frame
  const control = opcode >= 8
  if ((key !== undefined) !== masksAs(writer)) return key === undefined ? "a frame without mask" : "a masked frame"
  if (shortest(payload.length) !== bits) return "a length that is not in its shortest form"
  if (!Object.values<number>(opcodes).includes(opcode)) return `the opcode ${opcode}`
  if (control && payload.length > 125) return "a control frame of more than 125 bytes"
  if (control && !fin) return "a control frame in fragments"
  if (rsv !== 0 && !(deflate && rsv === 4 && !control && opcode !== opcodes.continuation)) return `RSV ${rsv}`
  return undefined
}

const names = new Map<number, string>(Object.entries(opcodes).map(([name, opcode]) => [opcode, name]))

export const show = ({ opcode, payload }: Pick<Frame, "opcode" | "payload">): string =>
  `${names.get(opcode) ?? opcode} ${latin1(payload)}`
