/** What a connection tells, checked as it comes. */
import type { Connection, Event } from "@effect-websocket/protocol/Connection"
import type { Frame } from "@effect-websocket/protocol/Frame"
import { frames, type Role } from "@effect-websocket/protocol/FrameDecoder"
import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import { check, facts } from "./check.js"
import { concat } from "./stream.js"

export type Seen = readonly [kind: string, data: unknown]

const isWellFormed = (text: string): boolean => Buffer.from(text).toString() === text

/** Whether the bytes are UTF-8, by the platform's own decoder. */
export const isUtf8 = (bytes: Uint8Array): boolean => {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes)
    return true
  } catch {
    return false
  }
}

export const other = (role: Role): Role => (role === "client" ? "server" : "client")

export class Observed {
  readonly seen: Array<Seen> = []
  private readonly connection: Connection
  private readonly output: Array<Uint8Array> = []
  private ended = false

  constructor(connection: Connection) {
    this.connection = connection
  }

  /** Events are of known kinds and within the limits, and nothing follows the one terminal event. */
  observe(events: ReadonlyArray<Event>): void {
    const { maxMessageBytes } = this.connection.limits
    for (const event of events) {
      check(!this.ended, "an event follows the terminal one")
      switch (event._tag) {
        case "Text":
        case "TextPart":
          check(isWellFormed(event.data), "text has a lone surrogate")
          // A message that is handed over in parts may have any length.
          if (event._tag === "Text") check(Buffer.byteLength(event.data) <= maxMessageBytes, "a message is too large")
          this.seen.push([event._tag, event.data])
          break
        case "Binary":
        case "BinaryPart":
          if (event._tag === "Binary") check(event.data.length <= maxMessageBytes, "a message is too large")
          this.seen.push([event._tag, Buffer.from(event.data)])
          break
        case "Frame":
          this.seen.push([event._tag, { ...event.frame, payload: Buffer.from(event.frame.payload) }])
          break
        case "Ping":
        case "Pong":
          check(event.data.length <= 125, "a control frame has more than 125 bytes")
          this.seen.push([event._tag, Buffer.from(event.data)])
          break
        case "Ended":
          this.ended = true
          check(this.connection.error === event.error, "the terminal error is not remembered")
          this.seen.push([event._tag, facts(event.error)])
          break
      }
    }
    check(this.ended === (this.connection.error !== undefined), "the terminal event is missing")
    check(this.connection.heldBytes <= maxMessageBytes + 1, "more is held than the limit")
  }

  takeOutput(): void {
    const { connection } = this
    this.output.push(...connection.takeOutput().map((part) => part.slice()))
    check(connection.outputBytes === 0, "output is left behind")
    connection.recycleOutput()
  }

  /** Everything that was sent is legal, and nothing follows a Close. */
  checkOutput(rsv = 0): ReadonlyArray<Frame> {
    this.takeOutput()
    const { connection, output } = this
    const { frames: sent, violation } = frames({ role: other(connection.role), rsv })(concat(output))
    check(violation === undefined, `what is sent is illegal: ${String(violation)}`)
    const rest = sent.findIndex(({ opcode }) => opcode === Opcode.Close)
    check(rest < 0 || rest === sent.length - 1, "a frame follows the Close")
    check(rest >= 0 === (connection.closeStatus.sent !== undefined), "the Close is not told")
    let parts: Array<Uint8Array> | undefined
    let message = 0
    for (const { fin, opcode, payload, rsv: bits } of sent) {
      if (opcode === Opcode.Close) {
        check(!("_tag" in CloseCode.decodePayload(payload)), "the payload of the Close is illegal")
      }
      if (Opcode.isControl(opcode)) continue
      check((opcode === Opcode.Continuation) === (parts !== undefined), "fragments are out of order")
      if (parts === undefined) message = bits === 0 ? opcode : Opcode.Binary
      parts ??= []
      parts.push(payload)
      if (!fin) continue
      check(message !== Opcode.Text || isUtf8(concat(parts)), "the text that is sent is not UTF-8")
      parts = undefined
    }
    return sent
  }
}
