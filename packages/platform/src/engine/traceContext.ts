/** The context of a trace in headers: `traceparent` of W3C's Trace Context, and B3 in one header or in several. */
import * as HeaderField from "@effect-websocket/protocol/HeaderField"

/** Where a trace goes on. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** 16 hexadecimal digits. */
  readonly spanId: string
  readonly sampled: boolean
}

const nonZeroTrace = /^(?!0{32})[0-9a-f]{32}$/
const nonZeroSpan = /^(?!0{16})[0-9a-f]{16}$/

/** Undefined for ids that no other tracer would take. B3 also has traces with 16 digits, which stand for the lower half. */
const contextOf = (traceId: string, spanId: string, sampled: boolean): TraceContext | undefined => {
  const whole = traceId.length === 16 ? traceId.padStart(32, "0") : traceId
  return nonZeroTrace.test(whole) && nonZeroSpan.test(spanId) ? { traceId: whole, spanId, sampled } : undefined
}

const traceparentForm = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/** The context in a `traceparent`. It is undefined if the text is malformed: then the trace begins anew. */
export const ofTraceparent = (text: string): TraceContext | undefined => {
  const found = traceparentForm.exec(text)
  if (found === null) return undefined
  const [, version = "", traceId = "", spanId = "", flags = "", more] = found
  // A later version may have more parts behind these.
  if (version === "00" && more !== undefined) return undefined
  return contextOf(traceId, spanId, (parseInt(flags, 16) & 1) === 1)
}

/** The context in the header `b3`: the ids of the trace and the span, and whether it is sampled; the rest does not matter. */
const ofB3 = (text: string): TraceContext | undefined => {
  const [traceId = "", spanId = "", sampled = "1", , more] = text.split("-", 5)
  if (more !== undefined || !["0", "1", "d"].includes(sampled)) return undefined
  return contextOf(traceId, spanId, sampled !== "0")
}

/** The context that headers name. A header that is malformed, or there twice, is ignored. */
export const ofHeaders = (headers: HeaderField.Input): TraceContext | undefined => {
  const single = (name: string): string => {
    const [value = "", ...more] = HeaderField.values(headers, name)
    return more.length === 0 ? value : ""
  }
  const ofSeveral = (): TraceContext | undefined => {
    const sampled = single("x-b3-flags") === "1" || !["0", "false"].includes(single("x-b3-sampled"))
    return contextOf(single("x-b3-traceid"), single("x-b3-spanid"), sampled)
  }
  return ofTraceparent(single("traceparent")) ?? ofB3(single("b3")) ?? ofSeveral()
}

/**
 * Whether headers name a context, in any form, also a malformed one. A second context beside it would be another one, and a server
 * might go on with that.
 */
export const namesContext = (headers: HeaderField.Input): boolean =>
  ["traceparent", "b3", "x-b3-traceid"].some((name) => HeaderField.values(headers, name).length > 0)

/** A span with the ids of its tracer, which may have another form. */
export interface Identified {
  readonly traceId: string
  readonly spanId: string
  readonly sampled: boolean
}

/** The `traceparent` of a span; undefined if its ids have another form, as those of a span that is not recorded. */
export const traceparentOf = ({ sampled, spanId, traceId }: Identified): string | undefined => {
  const context = contextOf(traceId.toLowerCase(), spanId.toLowerCase(), sampled)
  return context && `00-${context.traceId}-${context.spanId}-${sampled ? "01" : "00"}`
}

/** The headers that pass on the context of a span: `traceparent`, and `b3` for servers that know only that. */
export const headersOf = (span: Identified): Readonly<Record<string, string>> => {
  const traceparent = traceparentOf(span)
  if (traceparent === undefined) return {}
  const [, traceId, spanId] = traceparent.split("-")
  return { traceparent, b3: `${traceId}-${spanId}-${span.sampled ? "1" : "0"}` }
}
