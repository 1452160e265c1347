import {
  HandshakeRejected,
  isProtocolError,
  type HeaderRecord,
  type ProtocolError
} from "@effect-websocket/protocol/Errors"
import * as ExtendedConnect from "@effect-websocket/protocol/ExtendedConnect"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import type { Compression } from "../Settings.js"
import type { Dialed } from "./Dial.js"

/** What client and server agreed on with the answer that opens the connection. */
export interface Accepted {
  readonly agreement: Handshake.Agreement
  readonly deflate: PermessageDeflate.Agreement | undefined
}

/** Checks the headers of that answer against the offer. */
export const check = (
  { headers, status = 101 }: Pick<Extract<Dialed, { readonly _tag: "Upgraded" }>, "headers" | "status">,
  offer: Handshake.Offer,
  compression: Compression | undefined
): Accepted | ProtocolError => {
  const agreement = (status === 200 ? ExtendedConnect : Handshake).checkResponse({ status, headers }, offer)
  if (isProtocolError(agreement)) return agreement
  const deflate = compression && PermessageDeflate.check(agreement.extensions, compression.settings)
  return isProtocolError(deflate) ? deflate : { agreement, deflate }
}

// How much of a rejected answer's body is kept.
const maxBodyBytes = 64 * 1024

/** The beginning of the body of another answer. */
export class BodyStart {
  private readonly parts: Array<Uint8Array> = []
  private size = 0

  /** Whether there is more of the body than is kept. */
  get isCut(): boolean {
    return this.size > maxBodyBytes
  }

  add(part: Uint8Array): void {
    this.parts.push(part)
    this.size += part.length
  }

  toError(status: number, headers: HeaderRecord, complete: boolean): HandshakeRejected {
    const body = new Uint8Array(Math.min(this.size, maxBodyBytes))
    let offset = 0
    for (const part of this.parts) {
      const kept = part.subarray(0, maxBodyBytes - offset)
      body.set(kept, offset)
      offset += kept.length
    }
    return new HandshakeRejected({ status, headers, body, bodyTruncated: !complete })
  }
}
