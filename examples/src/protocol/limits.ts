/** What a peer may make us hold, and what we send at most. */
import { Connection } from "@effect-websocket/protocol"

export const makeServer = (): Connection.Connection =>
  Connection.make({
    role: "server",
    // Inbound: beyond one of these the connection is failed with 1009.
    limits: { maxMessageBytes: 64 * 1024, maxFrameBytes: 16 * 1024, maxFragments: 16 },
    // Outbound: more in one call is refused, and the connection goes on.
    maxSendBytes: 1024 * 1024,
    // Larger messages are fragmented; `send` can choose another size for one message.
    maxFrameSize: 16 * 1024
  })
