/** See `effect.ts`. */
export { toSetCookieHeaders } from "effect/http/Cookies"
export { appendPreResponseHandler, toHandled } from "effect/http/HttpEffect"
export { fromWeb as requestFromWeb, HttpServerRequest } from "effect/http/HttpServerRequest"
export {
  empty as emptyResponse,
  setHeader,
  text as textResponse,
  toWeb as responseToWeb
} from "effect/http/HttpServerResponse"
