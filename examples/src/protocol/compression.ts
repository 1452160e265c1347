/** permessage-deflate with `node:zlib` behind the port. */
import { type Compressor, Connection, Errors, Handshake, Mask, PermessageDeflate } from "@effect-websocket/protocol"
import * as NodeZlib from "node:zlib"

/** Both functions are synchronous and keep no state. `inflate` never produces more than `maxBytes`. */
export const zlib: Compressor.Zlib = {
  deflate: (data, options) =>
    NodeZlib.deflateRawSync(data, { ...options, finishFlush: NodeZlib.constants.Z_SYNC_FLUSH }),
  inflate: (data, { dictionary, maxBytes, windowBits }) => {
    try {
      const options = { dictionary, windowBits, maxOutputLength: Math.max(1, maxBytes), info: true }
      // Node's types lack the result that `info: true` gives.
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

/** The client's offers: the `extensions` of its `Handshake.Offer`. */
export const offers = PermessageDeflate.offer(settings)

/** The server's headers for a request that `Handshake.checkRequest` accepted, and its connection. */
export const acceptRequest = (asked: Handshake.UpgradeRequest, protocol?: string) => {
  const agreement = PermessageDeflate.accept(asked.extensions, settings)
  const extensions = agreement ? [agreement.extension] : []
  return {
    headers: Errors.getOrThrow(Handshake.responseHeaders(asked, { protocol, extensions })),
    connection: Connection.make({ role: "server", compression: agreement && { zlib, agreement, settings } })
  }
}

/** The client's connection, from the agreement that `Handshake.checkResponse` returned. */
export const acceptAnswer = (answered: Handshake.Agreement): Connection.Connection | Errors.ProtocolError => {
  const agreement = PermessageDeflate.check(answered.extensions, settings)
  if (Errors.isProtocolError(agreement)) return agreement
  const maskKey = Mask.keys(globalThis.crypto)
  return Connection.make({ role: "client", maskKey, compression: agreement && { zlib, agreement, settings } })
}
