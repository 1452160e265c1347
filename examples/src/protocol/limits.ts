/** Limits on what a connection receives and sends. */
import { Connection } from "@effect-websocket/protocol"

export const makeServer = (): Connection.Connection =>
  Connection.make({
    role: "server",
    // Inbound: beyond one of these limits the connection fails with 1009.
    limits: { maxMessageBytes: 64 * 1024, maxFrameBytes: 16 * 1024, maxFragments: 16 },
    // Outbound: a larger message is refused, and the connection stays open.
    maxSendBytes: 1024 * 1024,
    // Larger messages are split into frames of this size. `send` can use another size for one message.
    maxFrameSize: 16 * 1024
  })
