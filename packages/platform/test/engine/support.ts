/** Frames, bytes and errors, for all tests: no Effect. */
import { assert } from "@effect/vitest"
import * as Frame from "@effect-websocket/protocol/Frame"
import { frames } from "@effect-websocket/protocol/FrameDecoder"
import { encode } from "@effect-websocket/protocol/FrameEncoder"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import type { TransportSink } from "../../src/Transport.js"

export const roles = ["client", "server"] as const
export type Role = (typeof roles)[number]
export const other = (role: Role): Role => (role === "client" ? "server" : "client")

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
export const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1")

/** What callers pass that TypeScript does not check, and that holds no bytes. */
export const mistakes: ReadonlyArray<readonly [name: string, mistake: unknown]> = [
  ["a number", 3],
  ["an object with a number as its data", { data: 3 }],
  ["a message with a number as its data", { _tag: "Text", data: 3 }],
  ["a binary message of a text", { _tag: "Binary", data: "x" }],
  ["an empty object", {}],
  ["an array", [1, 2, 3]],
  ["null", null],
  ["undefined", undefined],
  ["a Blob", new Blob(["x"])]
]

export const concat = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => Uint8Array.from(Buffer.concat(parts))

/** An error's fields: chai compares only the names and messages of two errors. */
export const fields = (error: object): Record<string, unknown> => ({ ...error })

/** What an error says, without the prose. */
export const facts = (error: object): Record<string, unknown> => {
  const { description: _, ...rest } = fields(error)
  return rest
}

export const closedError = (code: number, initiator: "local" | "remote", clean: boolean, reason = "") => ({
  _tag: "Connection_closed",
  code,
  reason,
  initiator,
  clean
})

export const resetError = { _tag: "Io_error", reason: "Reset", operation: "read" }

/** The bytes in which the peer of `role` sends frames. */
export const sentTo = (role: Role, ...input: ReadonlyArray<Frame.Frame>): Uint8Array =>
  concat(...input.map((frame) => encode(frame, role === "server" ? 0x12ab34cd : undefined)))

export const text = (data: string, fin = true) => Frame.make(Opcode.Text, { payload: utf8(data), fin })
export const binary = (payload: Uint8Array) => Frame.make(Opcode.Binary, { payload })
export const continuation = (data: string, fin = true) => Frame.make(Opcode.Continuation, { payload: utf8(data), fin })
export const ping = (data: string) => Frame.make(Opcode.Ping, { payload: utf8(data) })
export const pong = (data: string | Uint8Array) =>
  Frame.make(Opcode.Pong, { payload: typeof data === "string" ? utf8(data) : data })
/** A Close with any code, legal or not. */
export const close = (code?: number, reason: string | Uint8Array = "") =>
  Frame.make(Opcode.Close, {
    payload:
      code === undefined
        ? new Uint8Array(0)
        : concat(Uint8Array.of(code >> 8, code & 255), typeof reason === "string" ? utf8(reason) : reason)
  })

/** A frame as a line: `Text hello`, `Text… hel` if it is not the last of its message, `Close 1000 bye`. */
export const show = ({ fin, opcode, payload }: Frame.Frame): string => {
  const name = `${Opcode.toName(opcode)}${fin ? "" : "…"}`
  if (opcode !== Opcode.Close || payload.length === 0) return `${name} ${latin1(payload)}`.trim()
  return `${name} ${(payload[0]! << 8) | payload[1]!} ${latin1(payload.subarray(2))}`.trim()
}

/** The frames in some bytes that were sent to `role`, a line for each: `Text hello`, `Close 1000 bye`. */
export const shown = (role: Role, bytes: Uint8Array): ReadonlyArray<string> => {
  const { frames: found, violation } = frames({ role })(bytes)
  assert.isUndefined(violation)
  return found.map(show)
}

export const deafSink: TransportSink = {
  onChunk: () => {},
  onEof: () => {},
  onDrain: () => {},
  onError: () => {},
  onClose: () => {}
}
