/** Frames of HTTP/2 (RFC 9113 §4.1), by an implementation that is not Node's: for peers that break its rules. */
import { Effect } from "../effect/index.js"
import type { Peer } from "./support.js"

export const types = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9
} as const

export const flags = { none: 0, endStream: 1, ack: 1, endHeaders: 4 } as const

export const codes = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  refusedStream: 7,
  cancel: 8,
  enhanceYourCalm: 11,
  http11Required: 13
} as const

const uint32 = (...values: ReadonlyArray<number>): Buffer => {
  const bytes = Buffer.alloc(4 * values.length)
  values.forEach((value, index) => bytes.writeUInt32BE(value, 4 * index))
  return bytes
}

export const http2Frame = (
  type: number,
  flag: number,
  stream: number,
  payload: string | Uint8Array = Buffer.alloc(0)
): Buffer => {
  const content = Buffer.from(payload)
  const header = Buffer.alloc(9)
  header.writeUIntBE(content.length, 0, 3)
  header[3] = type
  header[4] = flag
  header.writeUInt32BE(stream, 5)
  return Buffer.concat([header, content])
}

/** SETTINGS with pairs of an identifier and a value. */
export const settings = (...pairs: ReadonlyArray<readonly [number, number]>): Buffer =>
  http2Frame(
    types.settings,
    flags.none,
    0,
    Buffer.concat(pairs.map(([id, value]) => Buffer.concat([uint32(id).subarray(2), uint32(value)])))
  )

export const setting = { maxConcurrentStreams: 3, initialWindowSize: 4, enableConnectProtocol: 8 } as const
export const settingsAck = http2Frame(types.settings, flags.ack, 0)
export const goaway = (lastStream: number, code: number): Buffer =>
  http2Frame(types.goaway, flags.none, 0, uint32(lastStream, code))
export const reset = (stream: number, code: number): Buffer => http2Frame(types.reset, flags.none, stream, uint32(code))
export const windowUpdate = (stream: number, increment: number): Buffer =>
  http2Frame(types.windowUpdate, flags.none, stream, uint32(increment))
export const data = (stream: number, payload: Uint8Array, flag: number = flags.none): Buffer =>
  http2Frame(types.data, flag, stream, payload)

/** Header fields as literals without indexing (RFC 7541 §6.2.2), each text shorter than 127 bytes. */
export const headerBlock = (fields: ReadonlyArray<readonly [string, string]>): Buffer => {
  const text = (value: string) => [value.length, ...Buffer.from(value, "latin1")]
  return Buffer.from(fields.flatMap(([name, value]) => [0, ...text(name), ...text(value)]))
}

export const headers = (
  stream: number,
  fields: ReadonlyArray<readonly [string, string]>,
  flag: number = flags.endHeaders
): Buffer => http2Frame(types.headers, flag, stream, headerBlock(fields))

/** The fields of an extended CONNECT. */
export const connectFields: ReadonlyArray<readonly [string, string]> = [
  [":method", "CONNECT"],
  [":protocol", "websocket"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "127.0.0.1"],
  ["sec-websocket-version", "13"]
]

/** What a client sends first (RFC 9113 §3.4). */
export const preface = Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), settings()])

/** Reads what a client sends first, up to its SETTINGS. */
export const readPreface = (peer: Peer): Effect.Effect<Buffer> => peer.bytesOf(24)

export interface Http2Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** The next frame that a peer receives. */
export const nextFrame = (peer: Peer): Effect.Effect<Http2Frame> =>
  Effect.gen(function* () {
    const header = yield* peer.bytesOf(9)
    const payload = yield* peer.bytesOf(header.readUIntBE(0, 3))
    return { type: header[3]!, flags: header[4]!, stream: header.readUInt32BE(5), payload }
  })

/** The next frame of a type. */
export const frameOf = (peer: Peer, type: number): Effect.Effect<Http2Frame> =>
  Effect.repeat(nextFrame(peer), { until: (frame) => frame.type === type })
