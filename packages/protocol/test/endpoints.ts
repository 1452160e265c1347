/** Endpoints under test, an encoder of its own for what their peers send, and an echo harness over both roles. */
import { assert, describe, it } from "vitest"
import * as Connection from "@effect-websocket/protocol/Connection"
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import { make, type Frame } from "@effect-websocket/protocol/Frame"
import { frames } from "@effect-websocket/protocol/FrameDecoder"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import { concat, utf8 } from "./support.js"

export type Role = "server" | "client"

export const roles: ReadonlyArray<Role> = ["server", "client"]

export const peerOf = (role: Role): Role => (role === "server" ? "client" : "server")

export type Endpoint = Omit<Partial<Connection.Options>, "role" | "maskKey">

/** An endpoint; a client's mask keys are a fixed sequence. */
export const endpoint = (role: Role, options?: Endpoint): Connection.Connection => {
  if (role === "server") return Connection.make({ ...options, role })
  let count = 0
  return Connection.make({ ...options, role, maskKey: () => Math.imul(++count, 0x9e3779b1) >>> 0 })
}

// Latin-1 stands for bytes: one character each, and cheap to compare.
export const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1")
export const fromLatin1 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, "latin1"))

type Payload = string | Uint8Array

const framer =
  (opcode: number) =>
  (payload: Payload = "", options: { readonly fin?: boolean; readonly rsv?: number } = {}): Frame =>
    make(opcode, { ...options, payload: typeof payload === "string" ? utf8(payload) : payload })

export const text = framer(Opcode.Text)
export const binary = framer(Opcode.Binary)
export const continuation = framer(Opcode.Continuation)
export const ping = framer(Opcode.Ping)
export const pong = framer(Opcode.Pong)
export const unfinished = { fin: false } as const

/** A Close with any code, legal or not, and any bytes as its reason. */
export const close = (code?: number, reason: Payload = ""): Frame => {
  if (code === undefined) return make(Opcode.Close)
  return rawClose(concat([Uint8Array.of(code >>> 8, code), typeof reason === "string" ? utf8(reason) : reason]))
}
export const rawClose = framer(Opcode.Close)

/** RFC 6455 §5.2 octet by octet, independent of the encoder under test. */
const encodeFrame = (frame: Frame, key: Uint8Array | undefined): Uint8Array => {
  const { length } = frame.payload
  const size = length < 126 ? [length] : length < 65536 ? [126, length >> 8, length & 255] : [127, 0, 0, 0, 0]
  if (length >= 65536) size.push(length >>> 24, (length >> 16) & 255, (length >> 8) & 255, length & 255)
  if (key !== undefined) size[0]! |= 128
  const header = [(frame.fin ? 128 : 0) | (frame.rsv << 4) | frame.opcode, ...size, ...(key ?? [])]
  return concat([
    Uint8Array.from(header),
    key === undefined ? frame.payload : frame.payload.map((b, i) => b ^ key[i % 4]!)
  ])
}

/** The bytes in which the peer of `role` sends frames. */
export const sentTo = (role: Role, ...input: ReadonlyArray<Frame>): Uint8Array =>
  concat(
    input.map((frame, i) =>
      encodeFrame(frame, role === "server" ? Uint8Array.of(0x37 + i, 0xfa - i, 0x21 ^ i, 0x3d) : undefined)
    )
  )

export const show = ({ fin, opcode, payload, rsv }: Frame): string =>
  `${Opcode.toName(opcode)}${fin ? "" : " unfinished"}${rsv === 0 ? "" : ` rsv ${rsv}`} ${latin1(payload)}`

/** The frames in what `role` wrote; they must be whole and legal. */
export const shown = (role: Role, written: ReadonlyArray<Uint8Array>): ReadonlyArray<string> => {
  const bytes = concat(written)
  const { frames: found, violation } = frames({ role: peerOf(role) })(bytes)
  assert.isUndefined(violation)
  const masked = role === "client" ? 4 : 0
  const size = (length: number) => length + masked + (length < 126 ? 2 : length < 65536 ? 4 : 10)
  assert.strictEqual(
    found.reduce((sum, frame) => sum + size(frame.payload.length), 0),
    bytes.length
  )
  return found.map(show)
}

/** Takes and decodes what waits. */
export const drain = (connection: Connection.Connection): ReadonlyArray<string> => {
  const written = shown(connection.role, connection.takeOutput())
  connection.recycleOutput()
  return written
}

export type Plain = Readonly<Record<string, unknown>>

/** An error's fields, since two errors are never the same object. */
export const plainError = (error: ConnectionError): Plain => {
  switch (error._tag) {
    case "Connection_closed": {
      const { _tag, clean, code, initiator, reason } = error
      return { _tag, code, reason, initiator, clean }
    }
    case "Protocol_error": {
      const { _tag, closeCode, description, origin, section } = error
      return { _tag, origin, description, section, closeCode }
    }
    case "Payload_too_large": {
      const { _tag, direction, limit, max, size } = error
      return { _tag, limit, max, size, direction }
    }
    case "Io_error":
      return { _tag: error._tag, reason: error.reason, operation: error.operation }
  }
}

export const plainEvent = (event: Connection.Event): string | Plain => {
  switch (event._tag) {
    case "Text":
    case "TextPart":
      return `${event._tag} ${event.data}`
    case "Frame":
      return `Frame ${show(event.frame)}`
    case "Ended":
      return plainError(event.error)
    default:
      return `${event._tag} ${latin1(event.data)}`
  }
}

/** How a case ends: the Close that must be written, and the error. */
export interface End {
  readonly close: Frame
  readonly error: Plain
}

export const violated = (closeCode: number, section: string, description: string, rfc = "RFC 6455"): End => ({
  close: close(closeCode, `${description} (${rfc} §${section})`),
  error: { _tag: "Protocol_error", origin: "remote", description, section: `${rfc} §${section}`, closeCode }
})

export const closed = (code?: number, reason = ""): End => ({
  close: close(code),
  error: { _tag: "Connection_closed", code: code ?? 1005, reason, initiator: "remote", clean: true }
})

export interface Case {
  readonly name: string
  readonly input: ReadonlyArray<Frame>
  /** What must be written before the Close: pongs and echoes. */
  readonly output: ReadonlyArray<Frame>
  /** Without one the connection must still be open. */
  readonly end?: End
}

export interface Echoed {
  readonly connection: Connection.Connection
  readonly written: ReadonlyArray<string>
  readonly ended: ReadonlyArray<ConnectionError>
  /** How many bytes had been fed when the connection ended. */
  readonly endedAt: number | undefined
}

/** Who may do what with a chunk: the arguments `owned` and `mutable` of `receive`. */
export type Ownership = readonly [owned: boolean, mutable: boolean]

export const owned: Ownership = [true, true]
export const mutable: Ownership = [false, true]
export const borrowed: Ownership = [false, false]

/** Feeds bytes in chunks of `chop` to an endpoint that echoes every message. */
export const echo = (role: Role, input: Uint8Array, chop: number, ownership: Ownership, options?: Endpoint): Echoed => {
  const connection = endpoint(role, options)
  const bytes = Uint8Array.from(input)
  const output: Array<Uint8Array> = []
  const ended: Array<ConnectionError> = []
  let endedAt: number | undefined
  const handle = (events: ReadonlyArray<Connection.Event>) => {
    for (const event of events) {
      assert.lengthOf(ended, 0, "an event after the last one")
      if (event._tag === "Ended") ended.push(event.error)
      else if (event._tag === "Text" || event._tag === "Binary") assert.isUndefined(connection.send(event))
    }
  }
  for (let start = 0; start < bytes.length; start += chop) {
    const chunk = bytes.subarray(start, start + chop)
    handle(connection.receive(chunk, ...ownership))
    // What was only lent is overwritten at once, as a read buffer would be.
    if (ownership !== owned) chunk.fill(0xaa)
    handle(connection.settle())
    if (ended.length > 0) endedAt ??= Math.min(start + chop, bytes.length)
    if (connection.outputBytes > 0) {
      for (const written of connection.takeOutput()) output.push(Uint8Array.from(written))
      connection.recycleOutput()
    }
  }
  return { connection, written: shown(role, output), ended, endedAt }
}

const styles = [
  { style: "one owned chunk", chop: Number.MAX_SAFE_INTEGER, ownership: owned },
  { style: "one mutable chunk", chop: Number.MAX_SAFE_INTEGER, ownership: mutable },
  { style: "one borrowed chunk", chop: Number.MAX_SAFE_INTEGER, ownership: borrowed },
  { style: "octets", chop: 1, ownership: borrowed }
]

/** Runs each case in both roles, its input in one chunk and octet by octet; the outcome is always the same. */
export const conformance = (
  title: string,
  cases: ReadonlyArray<Case>,
  chops: ReadonlyArray<number> = [],
  options?: Endpoint
): void => {
  const all = [...styles, ...chops.map((chop) => ({ style: `chops of ${chop}`, chop, ownership: owned }))]
  for (const role of roles) {
    describe(`${title}, as ${role}`, () => {
      for (const { end, input, name, output } of cases) {
        it(name, () => {
          const bytes = sentTo(role, ...input)
          for (const { chop, ownership, style } of all) {
            const { connection, ended, written } = echo(role, bytes, chop, ownership, options)
            assert.deepStrictEqual(written, [...output, ...(end === undefined ? [] : [end.close])].map(show), style)
            assert.deepStrictEqual(ended.map(plainError), end === undefined ? [] : [end.error], style)
            const violation = end?.error["_tag"] === "Protocol_error"
            assert.strictEqual(connection.phase, end === undefined ? "Open" : "Closing", style)
            assert.strictEqual(connection.outputEnded, violation || (end !== undefined && role === "server"), style)
            assert.strictEqual(connection.closeStatus.clean, end !== undefined && !violation, style)
          }
        })
      }
    })
  }
}
