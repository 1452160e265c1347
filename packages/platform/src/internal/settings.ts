import { resolveLimits, type Limits } from "@effect-websocket/protocol/Connection"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import * as ConfigError from "effect/ConfigError"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Effect from "effect/Effect"
import type { ByteBudget } from "../ByteBudget.js"
import type { WaterMarks } from "../Transport.js"
import type { Options, ReceiveRate, SendStrategy } from "../WebSocket.js"
import type { Options as ClientOptions, MakeOptions } from "../WebSocketClient.js"
import type { Zlib } from "../Zlib.js"
import { Budget } from "./budget.js"

/** The options of one connection with all defaults filled in. */
export interface Settings {
  readonly limits: Limits
  readonly maxFrameSize: number | undefined
  readonly sendMarks: WaterMarks
  readonly sendStrategy: SendStrategy
  readonly receiveHighWaterMark: number
  // In milliseconds; infinite where there is none.
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
}

export interface ReceiveRateSettings {
  /** In milliseconds: what a message and what a byte costs, and how much may be owed. */
  readonly perMessage: number
  readonly perByte: number
  readonly burst: number
  readonly closes: boolean
}

/** What compresses, and how. */
export interface Compression {
  readonly zlib: Zlib
  readonly settings: PermessageDeflate.Settings
}

export interface ClientSettings extends Settings {
  /** In milliseconds. */
  readonly openTimeout: number
  readonly maxRedirects: number
}

/** The one place of the defaults; `README.md` repeats them for people. */
export const defaults = {
  sendHighWaterMark: 64 * 1024,
  sendLowWaterMark: 16 * 1024,
  receiveHighWaterMark: 64 * 1024,
  openTimeout: Duration.seconds(10),
  closeTimeout: Duration.seconds(5),
  heartbeatInterval: Duration.seconds(25),
  heartbeatTimeout: Duration.seconds(20),
  retryAfter: Duration.seconds(5),
  drainTimeout: Duration.seconds(30)
} as const

/**
 * Throws a `RangeError` for what makes no sense: options are the programmer's, so that is a defect. Without `zlib` nothing
 * is compressed.
 */
export const resolve = (options: Options = {}, zlib?: Zlib): Settings => {
  const high = bytes("sendHighWaterMark", options.sendHighWaterMark ?? defaults.sendHighWaterMark)
  const low = bytes("sendLowWaterMark", options.sendLowWaterMark ?? Math.min(defaults.sendLowWaterMark, high))
  if (low > high) throw new RangeError(`sendLowWaterMark (${low}) is above sendHighWaterMark (${high})`)
  const compression = resolveCompression(options.compression)
  return {
    limits: resolveLimits(options.limits),
    maxFrameSize: options.maxFrameSize === undefined ? undefined : bytes("maxFrameSize", options.maxFrameSize),
    sendMarks: { high, low },
    sendStrategy: strategy(options.sendStrategy ?? "suspend"),
    receiveHighWaterMark: bytes("receiveHighWaterMark", options.receiveHighWaterMark ?? defaults.receiveHighWaterMark),
    closeTimeout: timeout("closeTimeout", options.closeTimeout ?? defaults.closeTimeout),
    heartbeatInterval: optional("heartbeatInterval", options.heartbeatInterval ?? defaults.heartbeatInterval),
    heartbeatTimeout: timeout("heartbeatTimeout", options.heartbeatTimeout ?? defaults.heartbeatTimeout),
    idleTimeout: optional("idleTimeout", options.idleTimeout),
    messageTimeout: optional("messageTimeout", options.messageTimeout),
    writeTimeout: optional("writeTimeout", options.writeTimeout),
    maxLifetime: optional("maxLifetime", options.maxLifetime),
    receiveRate: options.receiveRate && resolveReceiveRate(options.receiveRate),
    compression: zlib && compression && { zlib, settings: compression },
    budget: resolveBudget(options.budget)
  }
}

const resolveReceiveRate = (options: ReceiveRate): ReceiveRateSettings => {
  const burst = timeout("receiveRate.interval", options.interval)
  const { strategy = "suspend" } = options
  if (strategy !== "suspend" && strategy !== "close") {
    throw new RangeError(`receiveRate.strategy must be suspend or close, but is ${JSON.stringify(strategy)}`)
  }
  return {
    perMessage: options.messages === undefined ? 0 : burst / count("receiveRate.messages", options.messages),
    perByte: options.bytes === undefined ? 0 : burst / bytes("receiveRate.bytes", options.bytes),
    burst,
    closes: strategy === "close"
  }
}

const resolveBudget = (budget: ByteBudget | undefined): Budget | undefined => {
  if (budget === undefined || budget instanceof Budget) return budget
  throw new RangeError("budget must be made by ByteBudget.make")
}

const resolveCompression = (options: Options["compression"] = false): PermessageDeflate.Settings | undefined =>
  options === false ? undefined : PermessageDeflate.resolve(options === true ? {} : options)

/** The settings of a client's connection, which has options of its own and those of its client. */
export const resolveClient = (client: MakeOptions = {}, own: ClientOptions = {}): ClientSettings => {
  const options = { ...client, ...given(own), limits: { ...client.limits, ...given(own.limits ?? {}) } }
  return {
    ...resolve(options, client.zlib),
    openTimeout: timeout("openTimeout", options.openTimeout ?? defaults.openTimeout),
    maxRedirects: redirects(options.maxRedirects ?? 0)
  }
}

/** Without what is `undefined`, which says nothing. */
const given = <A extends object>(options: A): Partial<A> =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<A>

/** Options that come from a `Config` are data: what makes no sense there is no defect, but fails typed. */
export const fromConfig = <A, E, R>(made: Effect.Effect<A, E, R>): Effect.Effect<A, E | ConfigError.ConfigError, R> =>
  Effect.catchSomeDefect(made, (defect) =>
    defect instanceof RangeError ? Option.some(Effect.fail(ConfigError.InvalidData([], defect.message))) : Option.none()
  )

/** In milliseconds, and finite: what waits for a peer must end. */
export const timeout = (name: string, input: Duration.DurationInput): number => {
  const millis = positive(name, input)
  if (millis === Number.POSITIVE_INFINITY) throw new RangeError(`${name} must be finite`)
  return millis
}

/** In milliseconds; infinite, which is the default, for none. */
const optional = (name: string, input: Duration.DurationInput = Duration.infinity): number => positive(name, input)

const strategies: ReadonlyArray<SendStrategy> = ["suspend", "dropping", "sliding", "close", "abort"]

/** It may come from `Config`, as any text. */
const strategy = (value: SendStrategy): SendStrategy => {
  if (strategies.includes(value)) return value
  throw new RangeError(`sendStrategy must be one of ${strategies.join(", ")}, but is ${JSON.stringify(value)}`)
}

const positive = (name: string, input: Duration.DurationInput): number => {
  // What is below zero or no number at all counts as zero to `Duration`.
  const millis = Duration.toMillis(Option.getOrElse(Duration.decodeUnknown(input), () => Duration.zero))
  if (millis > 0) return millis
  throw new RangeError(`${name} must be a duration above zero, but is ${JSON.stringify(input) ?? String(input)}`)
}

const redirects = (value: number): number => {
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new RangeError(`maxRedirects must be an integer from 0 on, but is ${value}`)
}

/** A positive number of something. */
export const count = (name: string, value: number): number => {
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new RangeError(`${name} must be a positive integer, but is ${value}`)
}

export const bytes = (name: string, value: number): number => {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new RangeError(`${name} must be a positive number of bytes, but is ${value}`)
  }
  return value
}
