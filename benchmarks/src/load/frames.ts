/** The frames that a load generator sends. They are masked if it is the client, and made before the measurement. */
import * as Frame from "@effect-websocket/protocol/Frame"
import { encode } from "@effect-websocket/protocol/FrameEncoder"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import { randomBytes } from "node:crypto"
import { constants, deflateRawSync } from "node:zlib"

export interface Shape {
  /** A record is a JSON object as apps send them. */
  readonly kind: "text" | "binary" | "json" | "record"
  readonly bytes: number
  readonly fragments: number
  readonly compressed: boolean
}

/** The payload of the message with this number. All payloads differ. */
export const payload = ({ bytes, kind }: Shape, number: number): Buffer => {
  switch (kind) {
    case "binary":
      return randomBytes(bytes)
    case "text":
      return Buffer.from(
        `${number}:${"the quick brown fox jumps over the lazy dog, ".repeat(bytes / 45 + 1)}`
      ).subarray(0, bytes)
    case "json":
      return json(bytes, number)
    case "record":
      return record(bytes, number)
  }
}

/** A list of records like that of an API, cut to the given size. */
const json = (bytes: number, number: number): Buffer => {
  const records = Array.from({ length: Math.ceil(bytes / 60) }, (_, index) => {
    const id = (number * 7919 + index * 104729) % 1000003
    return { id, name: `item ${id.toString(36)}`, price: (id % 9973) / 100, available: id % 3 === 0 }
  })
  const text = JSON.stringify(records).slice(0, bytes - 2)
  return Buffer.from(`"${text.replaceAll('"', "'")}"`)
}

const record = (bytes: number, number: number): Buffer => {
  const text = (name: string): string =>
    JSON.stringify({
      id: number,
      name,
      price: (number % 9973) / 100,
      available: number % 3 === 0,
      tags: ["new", "red"]
    })
  return Buffer.from(text("x".repeat(Math.max(0, bytes - text("").length))))
}

const rsv1 = 4
const flushBytes = 4

export type Role = "client" | "server"

/** A masked text message in one frame. */
export const text = (data: string): Uint8Array => encode(Frame.text(data), randomBytes(4).readUInt32BE())

/** The bytes of a message, in the given number of frames. */
export const message = (shape: Shape, number: number, role: Role = "client"): Buffer => {
  const plain = payload(shape, number)
  const data = shape.compressed
    ? deflateRawSync(plain, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -flushBytes)
    : plain
  const size = Math.ceil(data.length / shape.fragments)
  const frames = Array.from({ length: shape.fragments }, (_, index) => {
    const opcode = index > 0 ? Opcode.Continuation : shape.kind === "binary" ? Opcode.Binary : Opcode.Text
    const frame = Frame.make(opcode, {
      payload: data.subarray(index * size, (index + 1) * size),
      fin: index === shape.fragments - 1,
      rsv: shape.compressed && index === 0 ? rsv1 : 0
    })
    return role === "client" ? encode(frame, randomBytes(4).readUInt32BE()) : encode(frame)
  })
  return Buffer.concat(frames)
}

/** `count` messages one after another, and the position at which each one ends. */
export const batch = (
  shape: Shape,
  count: number,
  role: Role
): { readonly bytes: Buffer; readonly ends: ReadonlyArray<number> } => {
  const messages = Array.from({ length: count }, (_, number) => message(shape, number, role))
  let end = 0
  return { bytes: Buffer.concat(messages), ends: messages.map(({ length }) => (end += length)) }
}

/** A Close with 1000. */
export const close = Buffer.from(encode(Frame.make(Opcode.Close, { payload: Uint8Array.of(0x03, 0xe8) }), 0x12345678))
