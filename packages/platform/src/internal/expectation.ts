/** What tests expect, and the descriptions of it and of what comes instead. */
import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import * as Frame from "@effect-websocket/protocol/Frame"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { isSameBytes } from "../engine/bytes.js"
import type { Ending } from "../engine/testing/Script.js"

/**
 * A test expected one thing, and another came.
 *
 * @since 0.1.0
 * @category errors
 */
export class ExpectationFailed extends Data.TaggedError("Expectation_failed")<{
  readonly expected: string
  readonly actual: string
}> {
  /** @since 0.1.0 */
  override get message(): string {
    return `Expected ${this.expected}, but got ${this.actual}`
  }
}

/** Fails with a defect that says what came instead. */
export type Refute = (actual: string) => Effect.Effect<never>

/** A function that a test calls. */
export type Caller = (...args: never) => unknown

/**
 * Returns the function to call if something else than `expected` came. With a `caller`, the defect has the stack of the call to
 * it: an effect that fails later does not know the line of the test that made it.
 */
export const expecting = (expected: string, caller?: Caller): Refute => {
  const call: { stack?: string } = {}
  if (caller !== undefined) Error.captureStackTrace?.(call, caller)
  return (actual) =>
    Effect.suspend(() => {
      const failed = new ExpectationFailed({ expected, actual })
      const frames = call.stack?.slice(call.stack.indexOf("\n"))
      if (frames !== undefined) failed.stack = `${failed.name}: ${failed.message}${frames}`
      return Effect.die(failed)
    })
}

/**
 * The close code, as a number or by its name, and the reason of a Close. A field that is left out may have any value.
 *
 * @since 0.1.0
 * @category models
 */
export interface ExpectedClose {
  readonly code?: number | CloseCode.Name | undefined
  readonly reason?: string | undefined
}

export const isExpectedClose = (expected: ExpectedClose, { code, reason }: CloseCode.CloseReason): boolean =>
  (expected.code === undefined || codeOf(expected.code) === code) &&
  (expected.reason === undefined || expected.reason === reason)

/** The expected fields, as the end of a sentence. */
export const describeExpectedClose = ({ code, reason }: ExpectedClose): string => {
  const parts = [
    ...(code === undefined ? [] : [`code ${codeOf(code)}`]),
    ...(reason === undefined ? [] : [`reason ${describeText(reason)}`])
  ]
  return parts.length === 0 ? "" : ` with ${parts.join(" and ")}`
}

const codeOf = (code: number | CloseCode.Name): number => (typeof code === "string" ? CloseCode.fromName(code) : code)

export const isSameFrame = (left: Frame.Frame, right: Frame.Frame): boolean =>
  left.fin === right.fin &&
  left.rsv === right.rsv &&
  left.opcode === right.opcode &&
  isSameBytes(left.payload, right.payload)

export const describePredicate = (predicate: (...args: never) => unknown): string =>
  predicate.name === "" ? "that the predicate accepts" : `that ${predicate.name} accepts`

export const describeData = (data: string | Uint8Array): string =>
  typeof data === "string" ? `the text ${describeText(data)}` : `the bytes ${describeBytes(data)}`

/** A value as JSON, if it has any. */
export const describeValue = (value: unknown): string => {
  try {
    const json: unknown = JSON.stringify(value)
    const text = typeof json === "string" ? json : String(value)
    return `the value ${text.length <= shownUnits ? text : `${text.slice(0, shownUnits)}…`}`
  } catch {
    return `a value of the type ${typeof value}`
  }
}

export const describeError = (error: ConnectionError): string => {
  if (error._tag !== "Connection_closed") return `the end of the connection by ${error._tag}: ${error.message}`
  const { clean, code, initiator, reason } = error
  return `the end of the connection with ${describeClose({ code, reason })} (${initiator}, ${describeClean(clean)})`
}

export const describeClean = (clean: boolean): string => (clean ? "clean" : "not clean")

export const describeClose = ({ code, reason }: CloseCode.CloseReason): string =>
  reason === "" ? `${code}` : `${code} ${describeText(reason)}`

export const describeFrame = (frame: Frame.Frame): string => {
  const plain = frame.fin && frame.rsv === 0
  if (plain && frame.opcode === Opcode.Text)
    return `a Text frame ${describeText(new TextDecoder().decode(frame.payload))}`
  if (plain && frame.opcode === Opcode.Close) {
    const reason = CloseCode.decodePayload(frame.payload)
    if (!("_tag" in reason)) return `a Close frame ${describeClose(reason)}`
  }
  return `the frame ${Frame.format(frame)}`
}

export const describeEnding = (ending: Ending): string => {
  switch (ending) {
    case "Ended":
      return "the end of what the other side sends"
    case "Reset":
      return "a connection that the other side broke"
    case "Dropped":
      return "a connection that is over"
    default:
      return `a violation of the protocol: ${ending.message}`
  }
}

const shownUnits = 200
const shownBytes = 32

const describeText = (text: string): string =>
  text.length <= shownUnits
    ? JSON.stringify(text)
    : `${JSON.stringify(text.slice(0, shownUnits))}… (${text.length} UTF-16 units)`

const describeBytes = (bytes: Uint8Array): string => {
  const shown = Array.from(bytes.subarray(0, shownBytes), (byte) => byte.toString(16).padStart(2, "0")).join(" ")
  return bytes.length <= shownBytes ? `[${shown}]` : `[${shown} …] (${bytes.length} bytes)`
}
