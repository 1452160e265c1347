import type { Transport } from "../../Transport.js"
import type { Settings } from "../Settings.js"
import type { Core } from "./Core.js"

/** Marks the transports that do the framing by themselves, as the WebSocket of a platform does. */
export const makeCore = Symbol("makeCore")

/** A transport whose connection is not that of the protocol. It delivers whole messages. */
export interface FramingTransport extends Transport {
  /** Makes the state machine of its connection. It is called once, before `start`. */
  readonly [makeCore]: (settings: Settings) => Core
}

export const isFraming = (transport: Transport): transport is FramingTransport => makeCore in transport
