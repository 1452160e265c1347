/**
 * How much a peer may make an endpoint hold in memory.
 *
 * @since 0.1.0
 */
import { positiveInteger } from "./internal/positiveInteger.js"

/**
 * Limits on what a peer may make this endpoint hold in memory.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limits {
  /**
   * The largest message, in bytes; at most 536,870,888, the longest string of V8. Default: 1 MiB. A larger one closes the
   * connection with 1009.
   */
  readonly maxMessageBytes: number
  /**
   * The largest payload of one frame, in bytes. Default: no limit besides `maxMessageBytes`. A larger one closes the connection
   * with 1009.
   */
  readonly maxFrameBytes: number
  /**
   * The largest number of frames in one message, empty frames included. Default: 1,024. A message with more closes the connection
   * with 1009.
   */
  readonly maxFragments: number
  /**
   * The largest number of pongs that wait to be written. Default: 32. Beyond it, only the newest ping is answered (RFC 6455 §5.5.3).
   */
  readonly maxBufferedControlFrames: number
}

/**
 * The limits that apply if `Connection.Options.limits` does not set others.
 *
 * @since 0.1.0
 * @category constants
 */
export const defaultLimits: Limits = {
  maxMessageBytes: 1024 * 1024,
  maxFrameBytes: Number.MAX_SAFE_INTEGER,
  maxFragments: 1024,
  maxBufferedControlFrames: 32
}

/**
 * Fills in the default limits. Throws a `RangeError` for a limit that is not a positive integer or is too large, as
 * `Connection.make` does. Use it to check limits before there is a connection. All connections that are made with the result share
 * it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const resolveLimits = (limits: Partial<Limits> = {}): Limits => {
  if (isResolved(limits)) return limits
  const value = (name: keyof Limits, max: number) =>
    positiveInteger(`limits.${name}`, limits[name] ?? defaultLimits[name], max)
  const all: Limits = Object.freeze({
    maxMessageBytes: value("maxMessageBytes", maxStringLength),
    maxFrameBytes: value("maxFrameBytes", Number.MAX_SAFE_INTEGER),
    maxFragments: value("maxFragments", Number.MAX_SAFE_INTEGER),
    maxBufferedControlFrames: value("maxBufferedControlFrames", Number.MAX_SAFE_INTEGER)
  })
  resolved.add(all)
  return all
}

// What `resolveLimits` has returned. A copy for each connection would take memory for as long as the connection lasts.
const resolved = new WeakSet<Partial<Limits>>()
const isResolved = (limits: Partial<Limits>): limits is Limits => resolved.has(limits)

// The longest string of V8; no other engine allows much more.
const maxStringLength = 0x1fffffe8
