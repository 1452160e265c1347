/** permessage-deflate with `node:zlib` behind the port. */
import { type Compressor, Connection, Errors, Handshake, Mask, PermessageDeflate } from "@effect-websocket/protocol"
import * as NodeZlib from "node:zlib"

/** Both directions are synchronous, keep no state, and hold no more than they may. */
export const zlib: Compressor.Zlib = {
  deflate: (data, options) =>
    NodeZlib.deflateRawSync(data, { ...options, finishFlush: NodeZlib.constants.Z_SYNC_FLUSH }),
  inflate: (data, { dictionary, maxBytes, windowBits }) => {
    try {
      const options = { dictionary, windowBits, maxOutputLength: Math.max(1, maxBytes), info: true }
      // Node's types do not know what `info` adds.
      const { buffer, engine } = NodeZlib.inflateRawSync(data, options) as unknown as {
        readonly buffer: Uint8Array
        readonly engine: { readonly bytesWritten: number }
      }
      return buffer.length > maxBytes ? "TooLarge" : { data: buffer, consumed: engine.bytesWritten }
    } catch (error) {
      return error instanceof RangeError ? "TooLarge" : "Corrupt"
    }
  }
}

const settings = PermessageDeflate.resolve({ threshold: 64 })

/** What a client offers: `extensions` of its `Handshake.Offer`. */
export const offers = PermessageDeflate.offer(settings)

/** A server's answer to what `Handshake.checkRequest` has returned, and its connection. */
export const acceptRequest = (asked: Handshake.UpgradeRequest, protocol?: string) => {
  const agreement = PermessageDeflate.accept(asked.extensions, settings)
  const extensions = agreement ? [agreement.extension] : []
  return {
    headers: Errors.getOrThrow(Handshake.responseHeaders(asked, { protocol, extensions })),
    connection: Connection.make({ role: "server", compression: agreement && { zlib, agreement, settings } })
  }
}

/** A client's connection, from what `Handshake.checkResponse` has returned. */
export const acceptAnswer = (answered: Handshake.Agreement): Connection.Connection | Errors.ProtocolError => {
  const agreement = PermessageDeflate.check(answered.extensions, settings)
  if (Errors.isProtocolError(agreement)) return agreement
  const maskKey = Mask.keys(globalThis.crypto)
  return Connection.make({ role: "client", maskKey, compression: agreement && { zlib, agreement, settings } })
}
