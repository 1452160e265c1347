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
  readonly readyState?: number
  /** Older versions of Workers do not have it. */
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

/**
 * The server's end of a WebSocket that a host has accepted. It never calls a listener during a call of one of its methods.
 * In addition to the events of every WebSocket it may emit:
 *
 * - `drain`: bytes have left, and `bufferedAmount` has fallen; see `emitsDrain`.
 * - `ping`, `pong`: the peer's ping or pong arrived, with its bytes as `data`. The host has answered a ping.
 * - `toolarge`: the host refuses a message that is larger than the connection allows. Its end follows.
 */
export interface NativeServerSocket extends NativeSocket {
  /** The code that the host sends for one of the library or the app. Default: the code itself. */
  closeCode?(code: number): number
  /** Sends a ping. A host without it has no heartbeat. */
  ping?(data: Uint8Array): void
  pong?(data: Uint8Array): void
  /** Stops reading, so that the peer has to stop writing. Without it, the messages that nobody reads end the connection. */
  pause?(): void
  resume?(): void
  /** Whether it emits `drain`, as long as bytes wait. Otherwise the library looks again and again. */
  readonly emitsDrain?: boolean
  /** Whether the end of a Close of this side is reported once it is sent, so that the peer's Close stays unknown. */
  readonly endsWithoutPeer?: boolean
}
