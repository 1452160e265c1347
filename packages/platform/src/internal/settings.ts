import { ProtocolError } from "@effect-websocket/protocol/Errors"
import { resolveLimits } from "@effect-websocket/protocol/Limits"
import type { RandomSource } from "@effect-websocket/protocol/Mask"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import * as Subprotocol from "@effect-websocket/protocol/Subprotocol"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Effect from "effect/Effect"
import type { ByteBudget } from "../ByteBudget.js"
import type { ClientMakeOptions, ClientOptions, ConnectionOptions, ReceiveRate } from "../Options.js"
import type { Zlib } from "../Zlib.js"
import { bytes, count } from "../engine/checks.js"
import type { Budget } from "../engine/connection/Budget.js"
import { catchDefectIf, configError, durationFromInput, type ConfigError, type DurationInput } from "./effect.js"
import { byteBudget, isTagged } from "./typeId.js"
import type { ClientSettings, Compression, ReceiveRateSettings, SendStrategy, Settings } from "../engine/Settings.js"

/**
 * All defaults, except those of the protocol (`Connection.defaultLimits` and `PermessageDeflate.resolve`). The
 * docstrings of the options repeat them; `test/Options.test.ts` compares the two.
 */
export const defaults = {
  // Connections
  sendHighWaterMark: 64 * 1024,
  sendLowWaterMark: 16 * 1024,
  sendStrategy: "suspend",
  receiveHighWaterMark: 64 * 1024,
  maxUnreadBytes: 16 * 1024 * 1024,
  receiveRateStrategy: "suspend",
  closeTimeout: Duration.seconds(5),
  heartbeatInterval: Duration.seconds(25),
  heartbeatTimeout: Duration.seconds(20),
  compression: false,
  // Clients
  openTimeout: Duration.seconds(10),
  maxRedirects: 0,
  // Servers
  handshakeTimeout: Duration.seconds(10),
  maxHandshakes: 1024,
  retryAfter: Duration.seconds(5),
  drainCode: 1001,
  firstMessageCloseCode: 1008,
  drainWindow: Duration.zero,
  drainTimeout: Duration.seconds(30),
  // Clients that reconnect. A server may ask for up to ten times the longest delay of the schedule. That allows for a
  // maintenance window, but not for a day.
  maxRetryAfter: Duration.minutes(5),
  stableAfter: Duration.seconds(5),
  outboxCapacity: 1024,
  outboxStrategy: "suspend"
} as const

/**
 * Throws a `RangeError` for invalid options. The programmer chooses the options, so that is a defect. Without `zlib`
 * nothing is compressed.
 */
export const resolve = (options: ConnectionOptions = {}, zlib?: Zlib): Settings => {
  const settings = resolveCompression(options.compression)
  return resolveWith(options, zlib && settings && { zlib, settings })
}

/** As `resolve`, with the compression resolved. */
export const resolveWith = (options: ConnectionOptions, compression: Compression | undefined): Settings => {
  const high = bytes("sendHighWaterMark", options.sendHighWaterMark ?? defaults.sendHighWaterMark)
  const low = bytes("sendLowWaterMark", options.sendLowWaterMark ?? Math.min(defaults.sendLowWaterMark, high))
  if (low > high) throw new RangeError(`sendLowWaterMark must be at most sendHighWaterMark (${high}), but is ${low}`)
  return {
    limits: resolveLimits(options.limits),
    maxFrameSize: options.maxFrameSize === undefined ? undefined : bytes("maxFrameSize", options.maxFrameSize),
    maxSendBytes: options.maxSendBytes === undefined ? undefined : bytes("maxSendBytes", options.maxSendBytes),
    sendMarks: { high, low },
    sendStrategy: strategy(options.sendStrategy ?? defaults.sendStrategy),
    receiveHighWaterMark: bytes("receiveHighWaterMark", options.receiveHighWaterMark ?? defaults.receiveHighWaterMark),
    closeTimeout: timeout("closeTimeout", options.closeTimeout ?? defaults.closeTimeout),
    heartbeatInterval: optional("heartbeatInterval", options.heartbeatInterval ?? defaults.heartbeatInterval),
    heartbeatTimeout: timeout("heartbeatTimeout", options.heartbeatTimeout ?? defaults.heartbeatTimeout),
    idleTimeout: optional("idleTimeout", options.idleTimeout),
    messageTimeout: optional("messageTimeout", options.messageTimeout),
    writeTimeout: optional("writeTimeout", options.writeTimeout),
    maxLifetime: optional("maxLifetime", options.maxLifetime),
    receiveRate: options.receiveRate && resolveReceiveRate(options.receiveRate),
    compression,
    budget: resolveBudget(options.budget),
    random: options.random && resolveRandom(options.random),
    observer: undefined
  }
}

const resolveReceiveRate = (options: ReceiveRate): ReceiveRateSettings => {
  const burst = timeout("receiveRate.interval", options.interval)
  const { messages, strategy = defaults.receiveRateStrategy } = options
  if (messages === undefined && options.bytes === undefined) {
    throw new RangeError("receiveRate must have messages, bytes, or both, but has neither")
  }
  if (strategy !== "suspend" && strategy !== "close") {
    throw new RangeError(`receiveRate.strategy must be suspend or close, but is ${shown(strategy)}`)
  }
  return {
    perMessage: messages === undefined ? 0 : burst / count("receiveRate.messages", messages),
    perByte: options.bytes === undefined ? 0 : burst / bytes("receiveRate.bytes", options.bytes),
    burst,
    closes: strategy === "close"
  }
}

const resolveBudget = (budget: ByteBudget | undefined): Budget | undefined => {
  if (budget === undefined) return undefined
  // The budget may come from another copy of this package.
  if (isTagged(budget, byteBudget)) return budget as ByteBudget & Budget
  throw new RangeError("budget must be made by ByteBudget.make")
}

/**
 * Makes a random source that never throws, because callbacks use it too. If `source` throws, the platform's generator
 * is used.
 */
const resolveRandom = (source: RandomSource): RandomSource => {
  if (typeof source.getRandomValues !== "function") {
    throw new RangeError(`random must have a function getRandomValues, but is ${shown(source)}`)
  }
  return {
    getRandomValues: (bytes) => {
      try {
        source.getRandomValues(bytes)
      } catch {
        globalThis.crypto.getRandomValues(bytes)
      }
    }
  }
}

const resolveCompression = (
  options: ConnectionOptions["compression"] = defaults.compression
): PermessageDeflate.Settings | undefined => {
  if (options === false) return undefined
  try {
    return PermessageDeflate.resolve(options === true ? {} : options)
  } catch (error) {
    throw error instanceof RangeError ? new RangeError(`compression.${error.message}`) : error
  }
}

/** The settings of a client's connection. Its own options take precedence over those of its client. */
export const resolveClient = (client: ClientMakeOptions = {}, own: ClientOptions = {}): ClientSettings => {
  const options = { ...client, ...given(own), limits: { ...client.limits, ...given(own.limits ?? {}) } }
  return {
    ...resolve(options, client.zlib),
    openTimeout: timeout("openTimeout", options.openTimeout ?? defaults.openTimeout),
    maxRedirects: integerFromZero("maxRedirects", options.maxRedirects ?? defaults.maxRedirects)
  }
}

/** Removes the options that are `undefined`. They count as not given. */
const given = <A extends object>(options: A): Partial<A> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<A>

/**
 * Options that come from a `Config` are data. So invalid ones are a typed failure, not a defect. The failure has the
 * path of the option. The message of each `RangeError` about an option begins with that path.
 */
export const fromConfig = <A, E, R>(made: Effect.Effect<A, E, R>): Effect.Effect<A, E | ConfigError, R> =>
  catchDefectIf(made, isRangeError, ({ message }) => Effect.fail(configError(optionPath(message), message)))

const isRangeError = (defect: unknown): defect is RangeError => defect instanceof RangeError

const optionPath = (message: string): Array<string> =>
  /^[a-z]\w*(\.[a-z]\w*)*(?= (must|cannot) )/.exec(message)?.[0].split(".") ?? []

/** A duration above zero in milliseconds. It must be finite, because a wait for a peer must end. */
export const timeout = (name: string, input: DurationInput): number => {
  const millis = positive(name, input)
  if (millis === Number.POSITIVE_INFINITY) throw notDuration(name, input, "a finite duration above zero")
  return millis
}

/** A duration above zero in milliseconds. Default: infinity, which means that there is no limit. */
const optional = (name: string, input: DurationInput = Duration.infinity): number => positive(name, input)

const strategies: ReadonlyArray<SendStrategy> = ["suspend", "dropping", "sliding", "close", "abort"]

/** The value may come from a `Config`, and then can be any text. */
const strategy = (value: SendStrategy): SendStrategy => {
  if (strategies.includes(value)) return value
  throw new RangeError(`sendStrategy must be one of ${strategies.join(", ")}, but is ${shown(value)}`)
}

const positive = (name: string, input: DurationInput): number => {
  const millis = toMillis(input)
  if (millis !== undefined && millis > 0) return millis
  throw notDuration(name, input, "a duration above zero")
}

/** A finite duration from zero on, in milliseconds. */
export const delay = (name: string, input: DurationInput): number => {
  const millis = toMillis(input)
  if (millis !== undefined && millis < Number.POSITIVE_INFINITY) return millis
  throw notDuration(name, input, "a finite duration from zero on")
}

/** Converts a duration to milliseconds. `undefined` for a value that is negative or not a duration. */
const toMillis = (input: DurationInput): number | undefined =>
  isNegative(input) ? undefined : Option.getOrUndefined(Option.map(durationFromInput(input), Duration.toMillis))

/** Whether the input is below zero or not a number. `Duration` would count both as zero. */
const isNegative = (input: unknown): boolean => {
  if (typeof input === "string") return input.trimStart().startsWith("-")
  if (typeof input === "number" || typeof input === "bigint") return !(input >= 0)
  return Array.isArray(input) && input.some(isNegative)
}

const notDuration = (name: string, input: DurationInput, allowed: string): RangeError =>
  new RangeError(`${name} must be ${allowed}, but is ${shown(input)}`)

/** A value that the application passed, as text for an error message. */
export const shown = (value: unknown): string =>
  typeof value === "string"
    ? JSON.stringify(value)
    : Duration.isDuration(value)
      ? Duration.format(value)
      : String(value)

export const checkProtocols = (protocols: ReadonlyArray<string> = []): void => {
  const invalid = Subprotocol.format(protocols)
  if (invalid instanceof ProtocolError) throw new RangeError(`protocols cannot be used: ${invalid.description}`)
}

/** Checks that a value is an integer from 0 on. */
export const integerFromZero = (name: string, value: number): number => {
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new RangeError(`${name} must be an integer from 0 on, but is ${shown(value)}`)
}
