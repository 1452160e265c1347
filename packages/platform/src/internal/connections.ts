import type { Delivery } from "@effect-websocket/protocol/Connection"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ConnectionHandle } from "../WebSocketServer.js"
import type { AnyWebSocketImpl } from "./deliveries.js"
import type { Entry } from "../engine/server/Gate.js"
import { Closables, type Closable } from "../engine/connection/Closables.js"
import type { ServerRequest } from "../engine/server/ServerRequest.js"
import { notSet, type Alarm, type Timers } from "../engine/time/Timers.js"

/** A connection of a server, of any delivery. */
export type ServerDriver = AnyWebSocketImpl<ServerRequest>

/** What a server knows of a connection besides what the connection itself does. */
interface Tracked {
  readonly id: number
  readonly since: number
  readonly entry: Entry
  readonly value: unknown
  readonly awaitsFirst: Alarm | undefined
  /** What accepted it. */
  readonly route: object
}

/** The open connections of a server. */
export class Connections extends Closables {
  private readonly tracked = new Map<Closable, Tracked & { readonly socket: ServerDriver }>()
  private readonly timers: Timers
  private readonly firstMessageTimeout: number
  private lastId = 0

  constructor(timers: Timers, firstMessageTimeout: number) {
    super()
    this.timers = timers
    this.firstMessageTimeout = firstMessageTimeout
  }

  /** Before the connection starts. */
  track(socket: ServerDriver, entry: Entry, value: unknown, route: object): void {
    entry.opened()
    const awaitsFirst = this.awaitFirstMessage(socket)
    const since = this.timers.now
    this.tracked.set(socket.link, { socket, id: ++this.lastId, since, entry, value, awaitsFirst, route })
  }

  override delete(member: Closable): void {
    super.delete(member)
    const tracked = this.tracked.get(member)
    if (tracked === undefined) return
    this.tracked.delete(member)
    tracked.entry.leave()
    if (tracked.awaitsFirst !== undefined) this.timers.clear(tracked.awaitsFirst)
  }

  /** Those of a route. */
  of(route: object): ReadonlyArray<ServerDriver> {
    return Array.from(this.tracked.values()).flatMap((tracked) => (tracked.route === route ? [tracked.socket] : []))
  }

  get handles(): ReadonlyArray<ConnectionHandle> {
    const { now } = this.timers
    return Array.from(this.tracked.values(), (tracked) => handle(tracked.socket, tracked, now))
  }

  private awaitFirstMessage(socket: ServerDriver): Alarm | undefined {
    if (this.firstMessageTimeout === Number.POSITIVE_INFINITY) return undefined
    const alarm: Alarm = {
      alarmTime: 0,
      alarmIndex: notSet,
      ring: () => {
        if (socket.link.receivedMessages === 0) Effect.runFork(socket.close(1008, "no message in time"))
      }
    }
    this.timers.set(alarm, this.timers.now + this.firstMessageTimeout)
    return alarm
  }
}

const handle = (socket: ServerDriver, { id, since, value }: Tracked, now: number): ConnectionHandle => ({
  id,
  url: socket.url,
  delivery: socket.link.delivery satisfies Delivery,
  protocol: socket.protocol,
  remoteAddress: socket.remoteAddress,
  clientAddress: socket.request.clientAddress,
  value,
  age: Duration.millis(now - since),
  receivedMessages: socket.link.receivedMessages,
  receivedBytes: socket.link.receivedBytes,
  sentMessages: socket.link.sentMessages,
  sentBytes: socket.link.sentBytes,
  unreadBytes: socket.link.unreadBytes,
  unsentBytes: socket.link.unsentBytes,
  close: (code, reason) => socket.close(code ?? 1000, reason),
  abort: socket.abort
})
