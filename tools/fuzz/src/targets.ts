/** Everything that can be fuzzed. A target throws, or rejects, where it finds something. */
import { connection } from "./targets/connection.js"
import { deflateNegotiation } from "./targets/deflateNegotiation.js"
import { deflatePayload } from "./targets/deflatePayload.js"
import { frameDecoder } from "./targets/frameDecoder.js"
import { handshake } from "./targets/handshake.js"
import { headers } from "./targets/headers.js"
import { mock } from "./targets/mock.js"
import { receiver } from "./targets/receiver.js"

export type Target = (bytes: Uint8Array) => void | Promise<void>

export const targets: Readonly<Record<string, Target>> = {
  "frame-decoder": frameDecoder,
  connection,
  headers,
  handshake,
  "deflate-negotiation": deflateNegotiation,
  "deflate-payload": deflatePayload,
  mock,
  receiver
}
