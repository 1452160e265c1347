import { isProtocolError } from "@effect-websocket/protocol/Errors"
import { parse } from "../engine/client/Url.js"
import { cannot } from "../engine/native/NativeConnection.js"
import { schemes, type Platform } from "./NativeClient.js"

/** A request of a platform that sends no headers of the app. The user name and password of a URL would be one. */
export const makePlainRequest: Platform["makeRequest"] = (input, base) => {
  const parsed = parse(input, schemes, base?.url)
  if (isProtocolError(parsed)) return parsed
  return parsed.userInfo === undefined
    ? { url: parsed.url, headers: {} }
    : cannot("send the user name and password of a URL")
}
