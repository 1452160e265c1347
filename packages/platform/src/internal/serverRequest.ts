import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import * as Cookies from "@effect/platform/Cookies"
import type { MakeRequest } from "../engine/server/Refused.js"
import { ServerRequest } from "../engine/server/ServerRequest.js"

/** A request whose cookies `@effect/platform` parses. */
class CookieRequest extends ServerRequest {
  get cookies(): Record<string, string> {
    return Cookies.parseHeader(HeaderField.values(this.headers, "cookie").join("; "))
  }
}

export const makeRequest: MakeRequest = (request, remoteAddress, clientAddress) =>
  new CookieRequest(request, remoteAddress, clientAddress)
