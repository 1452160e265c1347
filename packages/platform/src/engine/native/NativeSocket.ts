import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import type { ConnectError } from "../client/Dial.js"

/** What the events of a platform's WebSocket have. Which of them an event has depends on its type. */
export interface NativeEvent {
  readonly data?: unknown
  readonly code?: number
  readonly reason?: string
  readonly wasClean?: boolean
  readonly error?: unknown
  readonly message?: string
}

/** The WebSocket of a platform, as far as it is used here (WHATWG WebSockets §3.1). */
export interface NativeSocket {
  binaryType?: string
  /** Workers do not have it. */
  readonly bufferedAmount?: number
  send(data: string | Uint8Array): void
  close(code?: number, reason?: string): void
  addEventListener(type: string, listener: (event: NativeEvent) => void): void
  removeEventListener(type: string, listener: (event: NativeEvent) => void): void
  /** Drops the connection without a handshake. Bun has it. */
  terminate?(): void
}

/** What a platform opens a WebSocket with. */
export interface NativeRequest {
  readonly url: URL
  readonly protocols: ReadonlyArray<string>
  /** Empty if the platform sends none of the app's. */
  readonly headers: HeaderRecord
}

/** An open WebSocket, and the headers of its handshake; empty for none. */
export interface NativeOpened {
  readonly socket: NativeSocket
  readonly protocol: string
  readonly extensions: string
}

/** The result of a `NativeDial`: an open WebSocket, none of whose events has been missed, or why there is none. */
export type NativeDialed =
  { readonly _tag: "Opened"; readonly opened: NativeOpened } | { readonly _tag: "Failed"; readonly error: ConnectError }

/** Opens a WebSocket and calls back once, not before it has returned. It returns what drops the attempt. */
export type NativeDial = (request: NativeRequest, done: (dialed: NativeDialed) => void) => () => void
