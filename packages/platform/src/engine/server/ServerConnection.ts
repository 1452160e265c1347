import type { Delivery } from "@effect-websocket/protocol/Connection"
import type { PayloadTooLarge, ProtocolError } from "@effect-websocket/protocol/Errors"
import type { Closable, Owner } from "../connection/Closables.js"
import type { ConnectionCounts } from "../connection/Observer.js"

/** The members of a connection that a server uses. */
export interface ServerConnection extends Closable, ConnectionCounts {
  readonly url: string
  readonly delivery: Delivery
  readonly agreement: { readonly protocol: string | undefined }
  readonly transport: { readonly remoteAddress: string | undefined }
  /** How it ended, once it is closed. */
  readonly status: { readonly clean: boolean }
  /** Begins to read. The owner closes it in the end. */
  start(owner: Owner): unknown
  /** Begins to close with a Close frame. Returns why that frame cannot be sent. Idempotent. */
  startClosing(code: number, reason?: string): ProtocolError | PayloadTooLarge | undefined
  /** Ends without a closing handshake. */
  cutShort(): void
}

/** A connection as the app sees it, over the link that the server needs. */
export interface Linked {
  readonly link: ServerConnection
}
