/** What `@effect/platform` has for Effect 3, and `effect/http` for Effect 4: cookies and URL parameters. */
import type * as Cookies_ from "effect/http/Cookies"
import type * as UrlParams_ from "effect/http/UrlParams"
import * as Redacted from "effect/Redacted"
import * as Http from "./install-effect@4-or-platform@3/effect.js"

/** Cookies by name. */
export type Cookies = Cookies_.Cookies

/** What URL parameters can be made of. */
export type UrlParamsInput = UrlParams_.Input

export { isCookies, parseCookieHeader, toCookieHeader } from "./install-effect@4-or-platform@3/effect.js"

/** URL parameters by name and value, in their order. */
export const urlParamsFromInput = (input: UrlParamsInput): ReadonlyArray<readonly [string, string]> =>
  Http.urlParamsFromInput(input).params.map(([name, value]) => [
    name,
    typeof value === "string" ? value : Redacted.value(value)
  ])
