/** permessage-deflate with `node:zlib` behind the port. */
import { type Compressor, Connection, Errors, PermessageDeflate } from "@effect-websocket/protocol"
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

/** A server's side: what it accepts of the offers. Its `extension` is what the server answers. */
export const acceptOffers = (extensions: typeof offers): PermessageDeflate.Agreement | undefined =>
  PermessageDeflate.accept(extensions, settings)

/** A client's side: what the server has answered. */
export const checkExtensions = (extensions: typeof offers): PermessageDeflate.Agreement | undefined =>
  Errors.getOrThrow(PermessageDeflate.check(extensions, settings))

export const makeConnection = (
  side: { readonly role: "server" } | { readonly role: "client"; readonly maskKey: () => number },
  agreement: PermessageDeflate.Agreement | undefined
): Connection.Connection => Connection.make({ ...side, compression: agreement && { zlib, agreement, settings } })
