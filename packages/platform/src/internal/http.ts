/** What `@effect/platform` has for Effect 3, and `effect/http` for Effect 4: cookies, URL parameters and trace contexts. */
import type * as Cookies_ from "@effect/platform/Cookies"
import type * as UrlParams_ from "@effect/platform/UrlParams"
import type * as Option from "effect/Option"
import type { ExternalSpan, Span } from "effect/Tracer"
import * as Http from "./install-effect@3-or-platform@4/effect.js"

/** Cookies by name. */
export type Cookies = Cookies_.Cookies

/** What URL parameters can be made of. */
export type UrlParamsInput = UrlParams_.Input

export { isCookies, parseCookieHeader, toCookieHeader } from "./install-effect@3-or-platform@4/effect.js"

/** URL parameters by name and value, in their order. */
export const urlParamsFromInput: (input: UrlParamsInput) => ReadonlyArray<readonly [string, string]> =
  Http.urlParamsFromInput

/** The headers that pass on the context of a span: `traceparent` of W3C, and `b3`. */
export const headersOfSpan = (span: Span): Readonly<Record<string, string>> => Http.traceHeaders(span)

/** The span that headers name, as W3C or B3 has it. */
export const spanOfHeaders = (headers: Readonly<Record<string, string>>): Option.Option<ExternalSpan> =>
  Http.spanFromHeaders(Http.headersFromInput(headers))
