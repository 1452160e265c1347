import { dialNative, type StandardSocket } from "../engine/native/dialNative.js"
import { joinedHeaders } from "../engine/native/joinedHeaders.js"
import { makeHeaderRequest } from "./makeHeaderRequest.js"
import { headerOptions, sendOptions, type Platform } from "./NativeClient.js"

declare const WebSocket: new (
  url: string,
  options: { readonly protocols: Array<string>; readonly headers: Record<string, string> }
) => StandardSocket

/** A platform whose WebSocket takes options in place of the subprotocols, request headers among them. */
export const headerPlatform: Platform = {
  dial: dialNative(
    ({ headers, protocols, url }) =>
      new WebSocket(url.href, { protocols: [...protocols], headers: joinedHeaders(headers) })
  ),
  makeRequest: makeHeaderRequest,
  options: new Set([...sendOptions, ...headerOptions])
}
