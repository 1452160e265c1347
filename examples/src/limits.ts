/** The limit flags that `echo-server` and `autobahn-client` share. */
import { Connection } from "@effect-websocket/protocol"
import { Options } from "@effect/cli"

export const limitOptions = {
  maxMessageBytes: Options.integer("max-message-bytes").pipe(
    Options.withDescription("The largest message to receive, in bytes"),
    Options.withDefault(Connection.defaultLimits.maxMessageBytes)
  ),
  maxFragments: Options.integer("max-fragments").pipe(
    Options.withDescription("The largest number of frames in one message"),
    Options.withDefault(Connection.defaultLimits.maxFragments)
  )
}
