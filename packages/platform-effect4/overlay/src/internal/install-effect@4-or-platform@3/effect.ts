/**
 * What Effect 3 lacks. If it is installed, nothing of this package loads: the first import below fails before any code
 * runs. The message of Node, and of every bundler, has the path of this file, so the folder says what to install.
 */
export { catchDone } from "effect/Pull"
export { CurrentLogAnnotations } from "effect/References"
export { isSuccess } from "effect/Result"
export { InvalidValue, Pointer } from "effect/SchemaIssue"
export { isCookies, parseHeader as parseCookieHeader, toCookieHeader } from "effect/http/Cookies"
export { fromInput as urlParamsFromInput } from "effect/http/UrlParams"
