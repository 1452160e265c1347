import type * as Origin from "@effect-websocket/protocol/Origin"
import type * as Subprotocol from "@effect-websocket/protocol/Subprotocol"
import type { Settings } from "../Settings.js"
import type { ProxySettings } from "./forwarded.js"
import type { GateSettings } from "./Gate.js"
import type { ObserveHandshake } from "./ObservedAttempt.js"
import type { MakeRequest } from "./Refused.js"

/** The terms on which a server accepts requests. Durations are in milliseconds; infinity stands for none. */
export interface Policy {
  readonly settings: Settings
  readonly origin: Origin.Policy
  readonly select: Subprotocol.Selector
  readonly handshakeTimeout: number
  readonly firstMessageTimeout: number
  /** The code of the Close after `firstMessageTimeout`. */
  readonly firstMessageCloseCode: number
  readonly gate: GateSettings
  readonly proxies: ProxySettings | undefined
  readonly makeRequest: MakeRequest
  readonly observeHandshake?: ObserveHandshake | undefined
}
