import { isProtocolError } from "@effect-websocket/protocol/Errors"
import * as ClientRequest from "../engine/client/ClientRequest.js"
import { sourceOf } from "../internal/requestOptions.js"
import { schemes, type Platform } from "./NativeClient.js"

/** A request of a platform that sends the headers of the app. */
export const makeHeaderRequest: Platform["makeRequest"] = (input, base, client, own) => {
  const request = ClientRequest.make(input, {
    client: sourceOf(client),
    connection: sourceOf(own),
    base,
    schemes,
    query: [],
    origin: undefined,
    userAgent: own.userAgent ?? client.userAgent,
    cookies: ""
  })
  if (isProtocolError(request)) return request
  const headers = ClientRequest.headersOf(request, "")
  return isProtocolError(headers) ? headers : { url: request.url, headers }
}
