import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as HeaderField from "@effect-websocket/protocol/HeaderField"

/**
 * The milliseconds for which a server asks a client to wait, by `Retry-After` (RFC 9110 §10.2.3): seconds, or a date after `now`,
 * which is in milliseconds since 1970. `undefined` without a valid header.
 */
export const parse = (headers: HeaderRecord, now: number): number | undefined => {
  const text = (HeaderField.values(headers, "retry-after")[0] ?? "").trim()
  if (/^\d+$/.test(text)) return Number(text) * 1000
  const date = parseDate(text)
  return Number.isNaN(date) ? undefined : Math.max(date - now, 0)
}

// The three forms of RFC 9110 §5.6.7, all in GMT. `Date.parse` alone also takes `-5` for a date.
const namedZone = /^[A-Z][a-z]+, (\d\d [A-Z][a-z]{2} \d{4}|\d\d-[A-Z][a-z]{2}-\d\d) \d\d:\d\d:\d\d GMT$/
const noZone = /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$/

const parseDate = (text: string): number =>
  namedZone.test(text) ? Date.parse(text) : noZone.test(text) ? Date.parse(`${text} GMT`) : Number.NaN
