import type { HandshakeRejected, HeaderRecord, IoError, ProtocolError } from "@effect-websocket/protocol/Errors"
import type { Transport } from "../../Transport.js"

/**
 * Why no connection was made.
 *
 * - `ProtocolError`: the URL, a header or a subprotocol is not valid (`origin: "local"`, nothing was sent), or the server's
 *   answer or redirect is not (`"remote"`).
 * - `HandshakeRejected`: the server answered with another status than 101, or than 200 over HTTP/2.
 * - `IoError`: DNS, connect, TLS, reading or writing failed, `openTimeout` passed, or the `budget` is exhausted.
 *
 * @since 0.1.0
 * @category errors
 */
export type ConnectError = ProtocolError | HandshakeRejected | IoError

/**
 * The body of an answer that does not open a connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface RejectedBody {
  /**
   * Reads the body: calls back with each part, then once with whether the body is complete. It is called at most once, and must not
   * call back before it has returned.
   */
  read(onPart: (part: Uint8Array) => void, onEnd: (complete: boolean) => void): void
  /** Drops the rest of the body and closes its socket. Nothing is called back afterwards. It may be called again. */
  drop(): void
}

/**
 * What a `Dial` reports, once: an answer that opens the connection, with its headers (names in lower case) and the transport behind
 * it, another answer, or why there is no answer. `status` is 200 for an extended `CONNECT` (RFC 8441). Default: 101.
 * `httpVersion` of another answer is for traces. Default: `"1.1"`.
 *
 * @since 0.1.0
 * @category models
 */
export type Dialed =
  | {
      readonly _tag: "Upgraded"
      readonly status?: 101 | 200 | undefined
      readonly headers: HeaderRecord
      readonly transport: Transport
    }
  | {
      readonly _tag: "Rejected"
      /** The version of HTTP of the answer, for traces. Default: 1.1. */
      readonly httpVersion?: "1.1" | "2" | undefined
      readonly status: number
      readonly headers: HeaderRecord
      readonly body: RejectedBody
    }
  | { readonly _tag: "Failed"; readonly error: ConnectError }

/**
 * Sends an upgrade request, and calls back once with the result. It must not call back before it has returned.
 *
 * The client calls the returned function to drop the request, and then nothing of it may be left. It does not call the function
 * after the callback. An error that a `Dial` throws is a defect of `connect`. If it calls back a second time or too late, the
 * transport is aborted and the body is dropped.
 *
 * A `Dial` may report its progress for traces by `tell`, for example that a proxy has opened a tunnel.
 *
 * @since 0.1.0
 * @category models
 */
export type Dial = (
  url: URL,
  headers: HeaderRecord,
  done: (dialed: Dialed) => void,
  tell?: (event: string) => void
) => () => void
