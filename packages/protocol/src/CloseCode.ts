/**
 * Close codes (RFC 6455 §7.4 and the IANA registry) and the payload of a Close frame.
 *
 * @since 0.1.0
 */
import { byteLength, decode, encodeInto } from "#utf8"
import { localProtocolError, PayloadTooLarge, remoteProtocolError, type ProtocolError } from "./Errors.js"

const registry = {
  NormalClosure: 1000,
  GoingAway: 1001,
  ProtocolError: 1002,
  UnsupportedData: 1003,
  Reserved: 1004,
  NoStatusReceived: 1005,
  AbnormalClosure: 1006,
  InvalidPayloadData: 1007,
  PolicyViolation: 1008,
  MessageTooBig: 1009,
  MandatoryExtension: 1010,
  InternalError: 1011,
  ServiceRestart: 1012,
  TryAgainLater: 1013,
  BadGateway: 1014,
  TlsHandshake: 1015
} as const

/**
 * The name of a registered close code.
 *
 * @since 0.1.0
 * @category models
 */
export type Name = keyof typeof registry

/**
 * A registered code that an endpoint may send in a Close frame. Codes from 3000 to 4999 may be sent too; see
 * `isSendable`.
 *
 * @since 0.1.0
 * @category models
 */
export type Sendable = Exclude<(typeof registry)[Name], 1004 | 1005 | 1006 | 1015>

/**
 * The largest reason of a Close, in bytes of UTF-8. A control frame holds 125 bytes, and the code takes two (RFC 6455
 * §5.5).
 *
 * @since 0.1.0
 * @category constants
 */
export const maxReasonBytes = 123

/**
 * The code and reason of a Close frame. The code is 1005 if the Close has no payload.
 *
 * @since 0.1.0
 * @category models
 */
export interface CloseReason {
  readonly code: number
  readonly reason: string
}

/**
 * The code with a registered name. If it is a `Sendable` code, `Frame.close` and `encodePayload` cannot fail with it.
 *
 * @example
 * ```ts
 * import * as CloseCode from "@effect-websocket/protocol/CloseCode"
 *
 * console.log(CloseCode.fromName("GoingAway")) // 1001
 * console.log(CloseCode.encodePayload(CloseCode.fromName("GoingAway"))) // Uint8Array(2) [ 3, 233 ]
 * ```
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromName = <N extends Name>(name: N): (typeof registry)[N] => registry[name]

const namesByCode = new Map<number, Name>(
  (Object.keys(registry) as ReadonlyArray<Name>).map((name) => [registry[name], name])
)

/**
 * The registered name of a code, or `undefined` if it has none.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toName = (code: number): Name | undefined => namesByCode.get(code)

/**
 * The names of an app's close codes, in addition to those of `Name`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Registry<Own extends string> {
  /** The code with a name. */
  readonly fromName: (name: Own | Name) => number
  /** The name of a code, or `undefined` if it has none. */
  readonly toName: (code: number) => Own | Name | undefined
}

/**
 * Gives names to the close codes of an app, from 3000 to 4999. Throws a `RangeError` for any other code, for two
 * names of one code, and for a name in `Name`.
 *
 * @example
 * ```ts
 * import * as CloseCode from "@effect-websocket/protocol/CloseCode"
 *
 * const codes = CloseCode.makeRegistry({ Kicked: 4001, SlowConsumer: 4008 })
 * console.log(codes.fromName("Kicked")) // 4001
 * console.log(codes.toName(4008)) // "SlowConsumer"
 * console.log(codes.toName(1000)) // "NormalClosure"
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeRegistry = <const Codes extends Readonly<Record<string, number>>>(
  codes: Codes
): Registry<keyof Codes & string> => {
  type Own = keyof Codes & string
  const byName = new Map<Own | Name, number>(Object.entries(registry) as ReadonlyArray<[Name, number]>)
  const byCode = new Map<number, Own | Name>(namesByCode)
  for (const [name, code] of Object.entries(codes) as ReadonlyArray<[Own, number]>) {
    if (!Number.isInteger(code) || !(isRegistered(code) || isPrivate(code))) {
      throw new RangeError(`The code of ${name} must be an integer from 3000 to 4999, but is ${code}`)
    }
    if (byName.has(name)) throw new RangeError(`The name ${name} has the code ${byName.get(name)} already`)
    if (byCode.has(code)) throw new RangeError(`The code ${code} has the name ${byCode.get(code)} already`)
    byName.set(name, code)
    byCode.set(code, name)
  }
  return { fromName: (name) => byName.get(name)!, toName: (code) => byCode.get(code) }
}

/**
 * Whether a code may be sent in a Close frame (RFC 6455 §7.4): 1000–1003, 1007–1014, 3000–4999.
 *
 * @since 0.1.0
 * @category predicates
 */
export const isSendable = (code: number): boolean =>
  Number.isInteger(code) &&
  ((code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999))

/**
 * Whether a code is in the range 3000–3999, which libraries, frameworks and applications register with IANA (RFC 6455
 * §7.4.2).
 *
 * @since 0.1.0
 * @category predicates
 */
export const isRegistered = (code: number): boolean => code >= 3000 && code <= 3999

/**
 * Whether a code is in the range 4000–4999, which is for private use (RFC 6455 §7.4.2).
 *
 * @since 0.1.0
 * @category predicates
 */
export const isPrivate = (code: number): boolean => code >= 4000 && code <= 4999

/**
 * Encodes the payload of a Close frame (RFC 6455 §5.5.1). Without a code it is empty.
 *
 * Fails with a local `ProtocolError` for a code that may not be sent or a reason without a code, and with an outbound
 * `PayloadTooLarge` for a reason above 123 bytes. It cannot fail with a `Sendable` code and no reason.
 *
 * @example
 * ```ts
 * import * as CloseCode from "@effect-websocket/protocol/CloseCode"
 *
 * console.log(CloseCode.encodePayload(1000)) // Uint8Array(2) [ 3, 232 ]
 * ```
 *
 * @since 0.1.0
 * @category encoding
 */
export function encodePayload(code?: Sendable): Uint8Array
export function encodePayload(code?: number, reason?: string): Uint8Array | ProtocolError | PayloadTooLarge
export function encodePayload(code?: number, reason = ""): Uint8Array | ProtocolError | PayloadTooLarge {
  if (code === undefined) {
    return reason === ""
      ? new Uint8Array(0)
      : localProtocolError("A close reason needs a close code", "RFC 6455 §5.5.1")
  }
  if (!isSendable(code)) return localProtocolError(`The close code ${code} may not be sent`, "RFC 6455 §7.4")
  const size = byteLength(reason)
  if (size > maxReasonBytes) {
    return new PayloadTooLarge({ limit: "closeReason", max: maxReasonBytes, size, direction: "outbound" })
  }
  const payload = new Uint8Array(2 + size)
  payload[0] = code >>> 8
  payload[1] = code & 0xff
  encodeInto(reason, payload, 2)
  return payload
}

/**
 * Decodes the payload of a Close frame from the peer (RFC 6455 §5.5.1).
 *
 * Fails with a remote `ProtocolError`: with close code 1002 for a payload of one byte or a code that may not be sent,
 * and with 1007 for a reason that is not UTF-8.
 *
 * @since 0.1.0
 * @category decoding
 */
export const decodePayload = (payload: Uint8Array): CloseReason | ProtocolError => {
  if (payload.length === 0) return { code: registry.NoStatusReceived, reason: "" }
  if (payload.length === 1) {
    return remoteProtocolError("The payload of a Close frame has one byte", "RFC 6455 §5.5.1", registry.ProtocolError)
  }
  const code = (payload[0]! << 8) | payload[1]!
  if (!isSendable(code)) {
    return remoteProtocolError(`The close code ${code} may not be sent`, "RFC 6455 §7.4", registry.ProtocolError)
  }
  const reason = decode(payload, 2, payload.length)
  return reason === undefined
    ? remoteProtocolError("The close reason is not UTF-8", "RFC 6455 §8.1", registry.InvalidPayloadData)
    : { code, reason }
}
