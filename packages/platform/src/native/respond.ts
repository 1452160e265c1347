import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import { refusalOf } from "./nativeAttempt.js"

/** An answer without an upgrade, on a host with the `Response` of `fetch`. */
export const respond = (status: number, headers: HeaderRecord, body: string): Response => {
  const refusal = refusalOf(status, headers, body)
  return new Response(refusal.body, { status, headers: refusal.headers })
}

/** What answers a request that is not meant to be an upgrade (RFC 9110 §15.5.22). */
export const notAnUpgrade = (): Response =>
  respond(426, { Upgrade: "websocket", Connection: "Upgrade" }, "This is a WebSocket server: upgrade to connect")
