import { charge, overdraft, type Rate } from "../Rate.js"
import type { Timers } from "../time/Timers.js"
import type { RefusalReason } from "./ObservedAttempt.js"
import type { ServerRequest } from "./ServerRequest.js"

/** The part of a request from which the key of a client is made. */
export type KeyRequest = Pick<ServerRequest, "clientAddress" | "headers" | "remoteAddress" | "url">

/** How many connections and handshakes a server admits. Infinity stands for no limit. */
export interface GateSettings {
  readonly maxConnections: number
  readonly maxHandshakes: number
  readonly maxConnectionsPerKey: number
  readonly rate: Rate | undefined
  readonly ratePerKey: Rate | undefined
  readonly key: (request: KeyRequest) => string | undefined
  /** In seconds. */
  readonly retryAfter: number
}

/** Why a request is not admitted, and after how many seconds it may be made again. */
export interface NotAdmitted {
  readonly status: 429 | 503
  readonly reason: string
  readonly refusal: RefusalReason
  readonly retryAfter: number
}

// Beyond this many keys, those without connections are forgotten, the oldest first.
const maxKeys = 65_536
// How many keys one request looks at, so that no request takes long.
const maxLooks = 8
const maxKeyLength = 128

/** The value of `Retry-After`: at least 1. */
export const wholeSeconds = (millis: number): number => Math.max(1, Math.ceil(millis / 1000))

/** Whose connections are counted together. */
export interface Holder {
  /** `undefined` for the one of all requests. */
  readonly key: string | undefined
  entries: number
  /** The state of its rate of handshakes. */
  paidAt: number
}

/** Admits requests, and counts those that are inside: handshakes and connections. */
export class Gate {
  private readonly settings: GateSettings
  private readonly timers: Timers
  private readonly holders = new Map<string, Holder>()
  private readonly all: Holder = { key: undefined, entries: 0, paidAt: 0 }
  private handshakes = 0

  constructor(settings: GateSettings, timers: Timers) {
    this.settings = settings
    this.timers = timers
  }

  enter(request: KeyRequest): Entry | NotAdmitted {
    const { maxConnections, maxConnectionsPerKey, maxHandshakes, rate, ratePerKey, retryAfter } = this.settings
    const now = this.timers.now
    if (this.all.entries >= maxConnections)
      return full("max_connections", "The server has all the connections that it may have", retryAfter)
    if (this.handshakes >= maxHandshakes)
      return full("max_handshakes", "The server has too many handshakes under way", retryAfter)
    const key = this.keyOf(request)
    const holder = key === undefined ? undefined : this.holderOf(key, now)
    if (holder !== undefined && holder.entries >= maxConnectionsPerKey) {
      return tooMany("max_connections_per_key", "There are too many connections from this client", retryAfter)
    }
    const wait = Math.max(
      holder === undefined || ratePerKey === undefined ? 0 : waitFor(holder, ratePerKey, now),
      rate === undefined ? 0 : waitFor(this.all, rate, now)
    )
    if (wait > 0) return tooMany("rate", "There are too many handshakes", wholeSeconds(wait))
    if (holder !== undefined && ratePerKey !== undefined) holder.paidAt = charge(holder.paidAt, now, ratePerKey.cost)
    if (rate !== undefined) this.all.paidAt = charge(this.all.paidAt, now, rate.cost)
    this.handshakes++
    this.all.entries++
    if (holder !== undefined) holder.entries++
    return new Entry(this, holder)
  }

  /** A handshake has ended. */
  handshakeEnded(): void {
    this.handshakes--
  }

  /** A request that was refused, or a connection that has ended, gives its place back. */
  left(holder: Holder | undefined): void {
    this.all.entries--
    if (holder?.key !== undefined && --holder.entries === 0) this.forget(holder.key, holder)
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
    const holder = { key, entries: 0, paidAt: now }
    this.holders.set(key, holder)
    return holder
  }

  private forgetOldest(): void {
    for (const [key, holder] of this.holders) {
      this.holders.delete(key)
      // The number of connections bounds these.
      if (holder.entries > 0) this.holders.set(key, holder)
      return
    }
  }

  /** Forgets a client without connections, unless its rate still has to remember its handshakes. */
  private forget(key: string, holder: Holder): void {
    if (holder.paidAt <= this.timers.now) this.holders.delete(key)
  }

  /** How many keys it knows. */
  get keys(): number {
    return this.holders.size
  }
}

const full = (refusal: RefusalReason, reason: string, retryAfter: number): NotAdmitted => ({
  status: 503,
  reason,
  refusal,
  retryAfter
})

const tooMany = (refusal: RefusalReason, reason: string, retryAfter: number): NotAdmitted => ({
  status: 429,
  reason,
  refusal,
  retryAfter
})

/** The milliseconds until the rate allows one more handshake. */
const waitFor = (holder: Holder, { burst, cost }: Rate, now: number): number =>
  overdraft(holder.paidAt, now, burst - cost)

/** The place of one admitted request, until its connection opens. */
export class Entry {
  private hasEnded = false
  private readonly gate: Gate
  private readonly holder: Holder | undefined

  constructor(gate: Gate, holder: Holder | undefined) {
    this.gate = gate
    this.holder = holder
  }

  /** The connection opens, and has the place from now on: it passes what this returns to `Gate.left` in the end. */
  open(): Holder | undefined {
    this.end()
    return this.holder
  }

  /** There will be no connection. */
  leave(): void {
    if (this.hasEnded) return
    this.end()
    this.gate.left(this.holder)
  }

  private end(): void {
    this.hasEnded = true
    this.gate.handshakeEnded()
  }
}
