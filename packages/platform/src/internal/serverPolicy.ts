import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import { PayloadTooLarge } from "@effect-websocket/protocol/Errors"
import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import * as Origin from "@effect-websocket/protocol/Origin"
import * as Subprotocol from "@effect-websocket/protocol/Subprotocol"
import { count } from "../engine/checks.js"
import { toCloseCode } from "../engine/connection/sendable.js"
import { attempted, type Defect } from "../engine/Defect.js"
import type { Rate } from "../engine/Rate.js"
import type { DrainSettings } from "../engine/server/Drain.js"
import type { ProxySettings } from "../engine/server/forwarded.js"
import { wholeSeconds, type GateSettings } from "../engine/server/Gate.js"
import { network } from "../engine/server/ipAddress.js"
import type { Policy } from "../engine/server/Policy.js"
import type { Settings } from "../engine/Settings.js"
import type {
  AdmissionOptions,
  ConnectionOptions,
  DrainOptions,
  Proxies,
  Rate as RateOptions,
  ServerMakeOptions
} from "../Options.js"
import { makeRequest } from "./serverRequest.js"
import type { DurationInput } from "./effect.js"
import { checkProtocols, defaults, delay, resolve, shown, timeout } from "./settings.js"

/** The policy of a server, and the options that it was resolved from. */
export interface ServerPolicy extends Policy {
  readonly options: ServerMakeOptions
  readonly drain: DrainSettings
  /** Whether the release of a layer drains. */
  readonly drains: boolean
}

/** Throws a `RangeError` for options that make no sense. */
export const resolvePolicy = (options: ServerMakeOptions): ServerPolicy => ({
  options,
  settings: resolve(options, options.zlib),
  origin: options.origin ?? Origin.sameOrigin(),
  select: resolveProtocols(options.protocols ?? []),
  handshakeTimeout: timeout("handshakeTimeout", options.handshakeTimeout ?? defaults.handshakeTimeout),
  firstMessageTimeout:
    options.firstMessageTimeout === undefined
      ? Number.POSITIVE_INFINITY
      : timeout("firstMessageTimeout", options.firstMessageTimeout),
  firstMessageCloseCode: resolveCloseCode("firstMessageCloseCode", options.firstMessageCloseCode),
  gate: resolveGate(options.admission ?? {}, options.retryAfter),
  proxies: resolveProxies(options.proxies),
  makeRequest,
  drain: resolveDrain(options.drain ?? {}),
  drains: options.drain !== undefined
})

const resolveCloseCode = (name: string, code: number | CloseCode.Name = defaults.firstMessageCloseCode): number => {
  const number = toCloseCode(code)
  if (CloseCode.isSendable(number)) return number
  throw new RangeError(`${name} must be a code that may be sent in a Close, but is ${shown(code)}`)
}

export const resolveProtocols = (protocols: ReadonlyArray<string> | Subprotocol.Selector): Subprotocol.Selector => {
  if (typeof protocols === "function") return protocols
  checkProtocols(protocols)
  return Subprotocol.byServerPreference(protocols)
}

/** The settings of one connection: the options of its server and its own, which take precedence. */
export const resolveOwn = (
  { options, settings: { observer } }: ServerPolicy,
  own: ConnectionOptions | undefined
): Settings | Defect | undefined =>
  own &&
  attempted(() => ({
    ...resolve({ ...options, ...own, limits: { ...options.limits, ...own.limits } }, options.zlib),
    observer
  }))

/** The settings of one drain, whose defaults are those of the server. */
export const drainSettings = (policy: ServerPolicy, options: DrainOptions | undefined): DrainSettings =>
  options === undefined ? policy.drain : resolveDrain({ ...policy.options.drain, ...options })

/** A duration in whole seconds, for `Retry-After`. */
export const resolveRetryAfter = (retryAfter: DurationInput = defaults.retryAfter): number =>
  wholeSeconds(timeout("retryAfter", retryAfter))

export const resolveGate = (options: AdmissionOptions, retryAfter: DurationInput | undefined): GateSettings => ({
  maxConnections: limit("admission.maxConnections", options.maxConnections),
  maxHandshakes: limit("admission.maxHandshakes", options.maxHandshakes ?? defaults.maxHandshakes),
  maxConnectionsPerKey: limit("admission.maxConnectionsPerKey", options.maxConnectionsPerKey),
  rate: options.handshakeRate && resolveRate("admission.handshakeRate", options.handshakeRate),
  ratePerKey: options.handshakeRatePerKey && resolveRate("admission.handshakeRatePerKey", options.handshakeRatePerKey),
  key: options.key ?? (({ clientAddress }) => clientAddress && network(clientAddress)),
  retryAfter: resolveRetryAfter(retryAfter)
})

const limit = (name: string, value: number = Number.POSITIVE_INFINITY): number =>
  value === Number.POSITIVE_INFINITY ? value : count(name, value)

const resolveRate = (name: string, { interval, limit }: RateOptions): Rate => {
  const burst = timeout(`${name}.interval`, interval)
  return { cost: burst / count(`${name}.limit`, limit), burst }
}

export const resolveProxies = (proxies: Proxies | undefined): ProxySettings | undefined => {
  if (proxies === undefined) return undefined
  const { header = "x-forwarded-for", trusted, trustUnixSocket = false } = proxies
  if (HeaderField.isToken(header)) return { trusted, header: header.toLowerCase(), trustUnixSocket }
  throw new RangeError(`proxies.header must be the name of a header, but is ${JSON.stringify(header)}`)
}

export const resolveDrain = (options: DrainOptions): DrainSettings => {
  const { code = defaults.drainCode, reason = "", window = defaults.drainWindow } = options
  if (code !== 1001 && code !== 1012) throw new RangeError(`drain.code must be 1001 or 1012, but is ${shown(code)}`)
  const refused = CloseCode.encodePayload(code, reason)
  if (refused instanceof PayloadTooLarge) {
    throw new RangeError(
      `drain.reason must have at most ${refused.max} bytes of UTF-8, but ${shown(reason)} has ${refused.size}`
    )
  }
  const whole = timeout("drain.timeout", options.timeout ?? defaults.drainTimeout)
  const millis = delay("drain.window", window)
  if (millis > whole) {
    throw new RangeError(`drain.window must be at most drain.timeout (${whole} ms), but is ${millis} ms`)
  }
  return { code, reason, window: millis, timeout: whole }
}
