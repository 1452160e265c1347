import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import type { MakeRequest } from "../engine/server/Refused.js"
import { ServerRequest } from "../engine/server/ServerRequest.js"
import { parseCookieHeader } from "./http.js"

/** A request whose cookies `@effect/platform` parses. */
class CookieRequest extends ServerRequest {
  get cookies(): Record<string, string> {
    return parseCookieHeader(HeaderField.values(this.headers, "cookie").join("; "))
  }
}

export const makeRequest: MakeRequest = (request, remoteAddress, forwarded) =>
  new CookieRequest(request, remoteAddress, forwarded)
