import type * as Duration from "effect/Duration"
import type { AdmissionOptions, KeyRequest, Rate } from "../../Options.js"
import { network } from "./ipAddress.js"
import { count } from "../../engine/checks.js"
import { defaults, timeout } from "../../internal/settings.js"
import type { Timers } from "../time/Timers.js"

/** The limits of a server, with all defaults filled in. */
export interface GateSettings {
  readonly maxConnections: number
  readonly maxHandshakes: number
  readonly maxConnectionsPerKey: number
  readonly rate: ResolvedRate | undefined
  readonly ratePerKey: ResolvedRate | undefined
  readonly key: (request: KeyRequest) => string | undefined
  /** In seconds. */
  readonly retryAfter: number
}

/** In milliseconds: the time that each one costs, and the most that may be owed. */
export interface ResolvedRate {
  readonly cost: number
  readonly burst: number
}

/** Why a request is refused, and when it may be made again, in seconds. */
export interface Refusal {
  readonly status: 429 | 503
  readonly reason: string
  readonly retryAfter: number
}

// Keys that have no connection are forgotten above this many, the oldest first.
const maxKeys = 65_536
// How many of them one request looks at, so that none takes long.
const maxLooks = 8
const maxKeyLength = 128

const seconds = (millis: number): number => Math.max(1, Math.ceil(millis / 1000))

/** In seconds, as the header has it. */
export const resolveRetryAfter = (retryAfter: Duration.DurationInput = defaults.retryAfter): number =>
  seconds(timeout("retryAfter", retryAfter))

export const resolveGate = (
  options: AdmissionOptions,
  retryAfter: Duration.DurationInput | undefined
): GateSettings => ({
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

export const resolveRate = (name: string, { interval, limit }: Rate): ResolvedRate => {
  const burst = timeout(`${name}.interval`, interval)
  return { cost: burst / count(`${name}.limit`, limit), burst }
}

interface Holder {
  entries: number
  /** When everything that its handshakes cost is paid: the generic cell rate algorithm, whose state is one number. */
  paid: number
}

/** What lets requests in, and counts those that are inside: handshakes and connections. Everything in it is synchronous. */
export class Gate {
  private readonly settings: GateSettings
  private readonly timers: Timers
  private readonly holders = new Map<string, Holder>()
  private readonly all: Holder = { entries: 0, paid: 0 }
  private handshakes = 0

  constructor(settings: GateSettings, timers: Timers) {
    this.settings = settings
    this.timers = timers
  }

  enter(request: KeyRequest): Entry | Refusal {
    const { maxConnections, maxConnectionsPerKey, maxHandshakes, rate, ratePerKey, retryAfter } = this.settings
    const now = this.timers.now
    if (this.all.entries >= maxConnections)
      return full("The server has all the connections that it may have", retryAfter)
    if (this.handshakes >= maxHandshakes) return full("The server has too many handshakes under way", retryAfter)
    const key = this.keyOf(request)
    const holder = key === undefined ? undefined : this.holderOf(key, now)
    if (holder !== undefined && holder.entries >= maxConnectionsPerKey) {
      return tooMany("There are too many connections from this client", retryAfter)
    }
    const wait = Math.max(
      holder === undefined || ratePerKey === undefined ? 0 : debt(holder, ratePerKey, now),
      rate === undefined ? 0 : debt(this.all, rate, now)
    )
    if (wait > 0) return tooMany("There are too many handshakes", seconds(wait))
    if (holder !== undefined && ratePerKey !== undefined) charge(holder, ratePerKey, now)
    if (rate !== undefined) charge(this.all, rate, now)
    this.handshakes++
    this.all.entries++
    if (holder !== undefined) holder.entries++
    return new Entry(this, key, holder)
  }

  /** A handshake is over. */
  shaken(): void {
    this.handshakes--
  }

  left(key: string | undefined, holder: Holder | undefined): void {
    this.all.entries--
    if (key !== undefined && holder !== undefined && --holder.entries === 0) this.forget(key, holder)
  }

  private keyOf(request: KeyRequest): string | undefined {
    const { maxConnectionsPerKey, ratePerKey } = this.settings
    if (maxConnectionsPerKey === Number.POSITIVE_INFINITY && ratePerKey === undefined) return undefined
    return this.settings.key(request)?.slice(0, maxKeyLength)
  }

  private holderOf(key: string, now: number): Holder {
    const known = this.holders.get(key)
    if (known !== undefined) return known
    for (let looks = this.holders.size < maxKeys ? 0 : maxLooks; looks > 0; looks--) this.forgetOldest()
    const holder = { entries: 0, paid: now }
    this.holders.set(key, holder)
    return holder
  }

  private forgetOldest(): void {
    for (const [key, holder] of this.holders) {
      this.holders.delete(key)
      // Those with connections are bounded by these.
      if (holder.entries > 0) this.holders.set(key, holder)
      return
    }
  }

  /** Unless it owes something. */
  private forget(key: string, holder: Holder): void {
    if (holder.paid <= this.timers.now) this.holders.delete(key)
  }

  /** How many keys it knows. */
  get keys(): number {
    return this.holders.size
  }
}

const full = (reason: string, retryAfter: number): Refusal => ({ status: 503, reason, retryAfter })
const tooMany = (reason: string, retryAfter: number): Refusal => ({ status: 429, reason, retryAfter })

/** How long until one more may come. */
const debt = (holder: Holder, { burst, cost }: ResolvedRate, now: number): number =>
  Math.max(0, holder.paid - now - (burst - cost) - rounding)
// A sum of many costs is not exact.
const rounding = 1e-6

const charge = (holder: Holder, { cost }: ResolvedRate, now: number): void => {
  holder.paid = Math.max(holder.paid, now) + cost
}

/** One request that was let in, until its connection is over. */
export class Entry {
  private shaking = true
  private inside = true
  private readonly gate: Gate
  private readonly key: string | undefined
  private readonly holder: Holder | undefined

  constructor(gate: Gate, key: string | undefined, holder: Holder | undefined) {
    this.gate = gate
    this.key = key
    this.holder = holder
  }

  /** The handshake is over. */
  opened(): void {
    if (!this.shaking) return
    this.shaking = false
    this.gate.shaken()
  }

  leave(): void {
    this.opened()
    if (!this.inside) return
    this.inside = false
    this.gate.left(this.key, this.holder)
  }
}
