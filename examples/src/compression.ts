/** The compression flag that `echo-server` and `autobahn-client` share. */
import type { PermessageDeflate } from "@effect-websocket/protocol"
import { Options } from "@effect/cli"

export const compressOptions = {
  compress: Options.boolean("compress").pipe(
    Options.withDescription("Negotiate permessage-deflate, and compress messages of every size")
  )
}

/**
 * A server accepts every parameter that the peer wants. A client offers every parameter, then fewer for servers that
 * cannot accept them.
 */
export const compression = (compress: boolean): PermessageDeflate.Options | false =>
  compress && {
    threshold: 0,
    serverMaxWindowBits: 15,
    clientMaxWindowBits: 15,
    offers: [
      { clientNoContextTakeover: true, clientMaxWindowBits: true, serverMaxWindowBits: 12 },
      {
        clientNoContextTakeover: true,
        clientMaxWindowBits: true,
        serverNoContextTakeover: true,
        serverMaxWindowBits: 15
      },
      { clientMaxWindowBits: true },
      {}
    ]
  }
