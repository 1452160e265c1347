/** What `@effect/platform` has for Effect 3, and `effect/http` for Effect 4: requests and responses of an HTTP server. */
import type * as HttpServer_ from "@effect/platform/HttpServer"
import type * as HttpServerResponse_ from "@effect/platform/HttpServerResponse"

/** The service of an HTTP server. */
export type HttpServer = HttpServer_.HttpServer

/** The request that a route answers, and the service that a route gets it from. */
export { HttpServerRequest } from "@effect/platform/HttpServerRequest"

/** What a route answers. */
export type HttpServerResponse = HttpServerResponse_.HttpServerResponse

export { empty as emptyResponse, setHeader, text as textResponse } from "@effect/platform/HttpServerResponse"

/** Changes the response of the request after all middleware. */
export { appendPreResponseHandler } from "@effect/platform/HttpApp"

export { toSetCookieHeaders } from "@effect/platform/Cookies"

/**
 * Whether the HTTP server of Node closes while the services of its app still exist. With Effect 3 it is released after
 * them.
 */
export const closesBeforeRelease: boolean = false
