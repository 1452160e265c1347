import { defaultLimits, type Limits } from "@effect-websocket/protocol/Connection"
import * as Duration from "effect/Duration"
import type { WaterMarks } from "../Transport.js"
import type { Options } from "../WebSocket.js"

/** The options of one connection with all defaults filled in. */
export interface Settings {
  readonly limits: Limits
  readonly maxFrameSize: number | undefined
  readonly sendMarks: WaterMarks
  readonly receiveHighWaterMark: number
  readonly closeTimeout: Duration.Duration
}

/** The one place of the defaults; `README.md` repeats them for people. */
export const defaults = {
  sendHighWaterMark: 64 * 1024,
  sendLowWaterMark: 16 * 1024,
  receiveHighWaterMark: 64 * 1024,
  openTimeout: Duration.seconds(10),
  closeTimeout: Duration.seconds(5)
} as const

/** Throws a `RangeError` for what makes no sense: options are the programmer's, so that is a defect. */
export const resolve = (options: Options = {}): Settings => {
  const high = bytes("sendHighWaterMark", options.sendHighWaterMark ?? defaults.sendHighWaterMark)
  const low = bytes("sendLowWaterMark", options.sendLowWaterMark ?? Math.min(defaults.sendLowWaterMark, high))
  if (low > high) throw new RangeError(`sendLowWaterMark (${low}) is above sendHighWaterMark (${high})`)
  return {
    limits: { ...defaultLimits, ...options.limits },
    maxFrameSize: options.maxFrameSize,
    sendMarks: { high, low },
    receiveHighWaterMark: bytes("receiveHighWaterMark", options.receiveHighWaterMark ?? defaults.receiveHighWaterMark),
    closeTimeout: timeout("closeTimeout", options.closeTimeout ?? defaults.closeTimeout)
  }
}

/** A finite duration: what waits for a peer must end. */
export const timeout = (name: string, input: Duration.DurationInput): Duration.Duration => {
  const duration = Duration.decode(input)
  if (!Duration.isFinite(duration) || Duration.toMillis(duration) <= 0) {
    throw new RangeError(`${name} must be a finite duration above zero, but is ${Duration.format(duration)}`)
  }
  return duration
}

const bytes = (name: string, value: number): number => {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new RangeError(`${name} must be a positive number of bytes, but is ${value}`)
  }
  return value
}
