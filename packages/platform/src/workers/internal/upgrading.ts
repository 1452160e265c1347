import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import type { NativeSocket } from "../../engine/native/NativeSocket.js"
import { headerLines, refusalOf, type FetchRequest } from "../../native/nativeAttempt.js"
import type { HibernatableSocket } from "./hibernation.js"

/** An end of a `WebSocketPair`. */
export interface PlatformSocket extends NativeSocket, HibernatableSocket {
  readonly readyState: number
  /** Takes this end over, for as long as the request lasts. */
  accept(): void
}

interface ResponseInit {
  readonly status: number
  readonly headers: ReadonlyArray<readonly [string, string]>
  readonly webSocket?: PlatformSocket
}

/** The `Response` of the types that the app has, or any object if it has none. */
export type FetchResponse = typeof globalThis extends { readonly Response: new (...args: never) => infer Response }
  ? Response
  : object

declare const WebSocketPair: new () => { readonly 0: PlatformSocket; readonly 1: PlatformSocket }
declare const Response: new (body: string | null, init: ResponseInit) => FetchResponse

export const makeSocketPair = (): { readonly client: PlatformSocket; readonly server: PlatformSocket } => {
  const { 0: client, 1: server } = new WebSocketPair()
  return { client, server }
}

/** The 101. Workers write the headers of the handshake themselves, apart from the subprotocol. */
export const accepted = (
  client: PlatformSocket,
  protocol: string | undefined,
  headers: HeaderRecord
): FetchResponse => {
  const chosen: HeaderRecord = protocol === undefined ? {} : { "Sec-WebSocket-Protocol": protocol }
  return new Response(null, { status: 101, headers: headerLines({ ...headers, ...chosen }), webSocket: client })
}

export const refused = (status: number, headers: HeaderRecord, body: string): FetchResponse => {
  const refusal = refusalOf(status, headers, body)
  return new Response(refusal.body, { status, headers: refusal.headers })
}

/** The answer to a request that does not ask for an upgrade (RFC 9110 §15.5.22). */
export const upgradeRequired = (): FetchResponse => refused(426, { Upgrade: "websocket" }, "This is a WebSocket")

// The base64 of 16 bytes.
export const anyKey = "AAAAAAAAAAAAAAAAAAAAAA=="

/**
 * A request as it is in a handshake. A Worker can make one by `fetch` with the header `Upgrade` only, and the platform has done the
 * handshake with its client.
 */
export const withHandshake = (request: FetchRequest): FetchRequest => {
  const given: Record<string, string> = {}
  request.headers.forEach((value, name) => {
    given[name.toLowerCase()] = value
  })
  if (given["sec-websocket-key"] !== undefined) return request
  const { host } = new URL(request.url)
  const made = { host, connection: "Upgrade", "sec-websocket-version": "13", "sec-websocket-key": anyKey }
  const whole: Readonly<Record<string, string>> = { ...made, ...given }
  const { method, signal, url } = request
  return {
    method,
    url,
    headers: {
      get: (name) => whole[name.toLowerCase()] ?? null,
      forEach: (each) => Object.entries(whole).forEach(([name, value]) => each(value, name))
    },
    ...(signal === undefined ? {} : { signal })
  }
}
