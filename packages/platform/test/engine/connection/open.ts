/** A link over a fake transport and a manual clock, and what a test asks of it. */
import { resolveLimits } from "@effect-websocket/protocol/Connection"
import type { Frame } from "@effect-websocket/protocol/Frame"
import type { Message } from "@effect-websocket/protocol/Message"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import type { Delivered } from "../../../src/engine/connection/Inbox.js"
import { Link, type Mode } from "../../../src/engine/connection/Link.js"
import { makeConnection } from "../../../src/engine/connection/makeConnection.js"
import { MessageSender } from "../../../src/engine/connection/MessageSender.js"
import type { Sender } from "../../../src/engine/connection/Sender.js"
import { Wait, type Outcome, type Sent } from "../../../src/engine/connection/Wait.js"
import type { Settings } from "../../../src/engine/Settings.js"
import { Timers } from "../../../src/engine/time/Timers.js"
import type { Zlib } from "../../../src/Zlib.js"
import { ManualClock } from "../ManualClock.js"
import { concat, other, sentTo, shown, type Role } from "../support.js"
import { FakeTransport } from "./FakeTransport.js"

const never = Number.POSITIVE_INFINITY

/** Small marks, and no deadline but that of closing. */
export const settings: Settings = {
  limits: resolveLimits(),
  maxFrameSize: undefined,
  maxSendBytes: undefined,
  sendMarks: { high: 100, low: 10 },
  sendStrategy: "suspend",
  receiveHighWaterMark: 1000,
  closeTimeout: 5000,
  heartbeatInterval: never,
  heartbeatTimeout: 20_000,
  idleTimeout: never,
  messageTimeout: never,
  writeTimeout: never,
  maxLifetime: never,
  receiveRate: undefined,
  compression: undefined,
  budget: undefined,
  random: undefined
}

/** What a test may choose. */
export interface Choice {
  readonly role?: Role
  readonly settings?: Partial<Settings>
  readonly mode?: Partial<Mode>
  /** With it, permessage-deflate has been agreed on. */
  readonly zlib?: Zlib
  /** Which messages are compressed. */
  readonly filter?: (message: Message) => boolean
  readonly transport?: FakeTransport
  /** So that several connections live by one clock. */
  readonly clock?: ManualClock
  readonly timers?: Timers
}

/** An open connection. Its peer is the test. */
export const openWith = <S extends Sender>(makeSender: (link: Link) => S, choice: Choice = {}) => {
  const { clock = new ManualClock(), role = "server", zlib } = choice
  const timers = choice.timers ?? new Timers(clock)
  const { transport = new FakeTransport() } = choice
  const deflate = PermessageDeflate.resolve(choice.filter && { filter: choice.filter })
  const all = { ...settings, compression: zlib && { zlib, settings: deflate }, ...choice.settings }
  const negotiated = {
    url: "ws://test",
    agreement: { protocol: undefined, extensions: [] },
    deflate: zlib && PermessageDeflate.accept(PermessageDeflate.offer(deflate), deflate)
  }
  const mode: Mode = { delivery: "messages", ...choice.mode }
  const connection = makeConnection(role, all, negotiated, mode)
  const link = new Link<Delivered>(connection, transport, all, timers, negotiated, mode)
  const sender = makeSender(link)
  link.sender = sender
  link.start()
  return {
    clock,
    timers,
    transport,
    link,
    sender,
    /** One chunk with these frames arrives. */
    receive: (...frames: ReadonlyArray<Frame>) => link.onChunk(sentTo(role, ...frames), true),
    /** The frames of each write. */
    writes: () => transport.writes.map((bytes) => shown(other(role), bytes)),
    wrote: () => shown(other(role), concat(...transport.writes))
  }
}

/** An open connection that sends messages. */
export const open = (choice: Choice = {}) => openWith((link) => new MessageSender(link), choice)

/** What came of a send: it is waited for, if it has to wait. */
export class Sending {
  /** How it ended: nothing yet, or one outcome. More than one would be a fault. */
  readonly outcomes: Array<Outcome> = []
  private readonly sent: Sent

  constructor(sent: Sent) {
    this.sent = sent
    if (sent instanceof Wait) sent.start((outcome) => this.outcomes.push(outcome))
    else this.outcomes.push(sent)
  }

  get isWaiting(): boolean {
    return this.outcomes.length === 0
  }

  cancel(): void {
    if (this.sent instanceof Wait) this.sent.cancel()
  }
}

/** The end of this turn, when what was sent in it is written. */
export const turn = async (): Promise<void> => {
  for (let i = 0; i < 3; i++) await Promise.resolve()
}

/** All orders of some steps. */
export function* permutations<A>(steps: ReadonlyArray<A>): Generator<ReadonlyArray<A>> {
  if (steps.length === 0) yield []
  for (const [index, step] of steps.entries()) {
    for (const rest of permutations([...steps.slice(0, index), ...steps.slice(index + 1)])) yield [step, ...rest]
  }
}
