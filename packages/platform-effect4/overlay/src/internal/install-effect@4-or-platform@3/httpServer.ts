/** See `effect.ts`. */
export { toSetCookieHeaders } from "effect/http/Cookies"
export { appendPreResponseHandler } from "effect/http/HttpEffect"
export { fromWeb as requestFromWeb, HttpServerRequest } from "effect/http/HttpServerRequest"
export { empty as emptyResponse, setHeader, text as textResponse } from "effect/http/HttpServerResponse"
