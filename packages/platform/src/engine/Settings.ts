import type { Limits } from "@effect-websocket/protocol/Connection"
import type { RandomSource } from "@effect-websocket/protocol/Mask"
import type * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import type { WaterMarks } from "../Transport.js"
import type { Zlib } from "../Zlib.js"
import type { Budget } from "./connection/Budget.js"
import type { ConnectionObserver } from "./connection/Observer.js"

/** What `send` does if it would have to wait; see `Options.SendStrategy`. */
export type SendStrategy = "suspend" | "dropping" | "sliding" | "close" | "abort"

/** The options of one connection as numbers, with all defaults. Durations are in milliseconds; infinity means no limit. */
export interface Settings {
  readonly limits: Limits
  readonly maxFrameSize: number | undefined
  readonly maxSendBytes: number | undefined
  readonly sendMarks: WaterMarks
  readonly sendStrategy: SendStrategy
  readonly receiveHighWaterMark: number
  readonly closeTimeout: number
  readonly heartbeatInterval: number
  readonly heartbeatTimeout: number
  readonly idleTimeout: number
  readonly messageTimeout: number
  readonly writeTimeout: number
  readonly maxLifetime: number
  readonly receiveRate: ReceiveRateSettings | undefined
  readonly compression: Compression | undefined
  readonly budget: Budget | undefined
  readonly random: RandomSource | undefined
  /** Is told what happens to the connection, for metrics. */
  readonly observer?: ConnectionObserver | undefined
}

/** The costs of one message and of one byte, and the size of a burst; all in milliseconds, see `Rate`. */
export interface ReceiveRateSettings {
  readonly perMessage: number
  readonly perByte: number
  readonly burst: number
  readonly closes: boolean
}

/** The compressor and its settings. */
export interface Compression {
  readonly zlib: Zlib
  readonly settings: PermessageDeflate.Settings
}

/** The settings of a client's connection. Durations are in milliseconds. */
export interface ClientSettings extends Settings {
  readonly openTimeout: number
  readonly maxRedirects: number
}
