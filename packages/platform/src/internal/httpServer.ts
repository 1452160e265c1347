/** What `@effect/platform` has for Effect 3, and `effect/http` for Effect 4: requests and responses of an HTTP server. */
import type * as HttpServer_ from "@effect/platform/HttpServer"
import type * as HttpServerResponse_ from "@effect/platform/HttpServerResponse"

/** The service of an HTTP server. */
export type HttpServer = HttpServer_.HttpServer

/** The request that a route answers, and the service that a route gets it from. */
export { HttpServerRequest } from "./install-effect@3-or-platform@4/httpServer.js"

/** What a route answers. */
export type HttpServerResponse = HttpServerResponse_.HttpServerResponse

export { emptyResponse, setHeader, textResponse } from "./install-effect@3-or-platform@4/httpServer.js"

/** Changes the response of the request after all middleware. */
export { appendPreResponseHandler } from "./install-effect@3-or-platform@4/httpServer.js"

/** Requests and responses of `fetch`. */
export { requestFromWeb, responseToWeb } from "./install-effect@3-or-platform@4/httpServer.js"

/** Answers a request with the response of an app, after all middleware. */
export { toHandled } from "./install-effect@3-or-platform@4/httpServer.js"

export { toSetCookieHeaders } from "./install-effect@3-or-platform@4/httpServer.js"

/**
 * Whether the HTTP server of Node closes while the services of its app still exist. With Effect 3 it is released after
 * them.
 */
export const closesBeforeRelease: boolean = false
