/** See `effect.ts`. */
export { toSetCookieHeaders } from "@effect/platform/Cookies"
export { appendPreResponseHandler, toHandled } from "@effect/platform/HttpApp"
export { fromWeb as requestFromWeb, HttpServerRequest } from "@effect/platform/HttpServerRequest"
export {
  empty as emptyResponse,
  setHeader,
  text as textResponse,
  toWeb as responseToWeb
} from "@effect/platform/HttpServerResponse"
