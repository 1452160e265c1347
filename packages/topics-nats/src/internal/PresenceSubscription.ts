import type { PresenceChange } from "@effect-websocket/platform/TopicBroker"
import type { Msg } from "@nats-io/transport-node"
import { decodeSession, type TimedEntry } from "./encoding.js"
import { lastToken } from "./names.js"
import type { Listening, NatsLink } from "./NatsLink.js"
import { delay } from "./settings.js"

/** A session as the stream has it. */
export interface StoredSession {
  /** Names the session in its subject. */
  readonly token: string
  /** The number of its message in the stream. */
  readonly sequence: number
  readonly timed: TimedEntry
}

interface Known extends StoredSession {
  readonly deadline: number
}

// How long to wait after the sessions could not be read, in milliseconds.
const retryDelay = 1_000

/**
 * Listens to the sessions of a topic, and tells what changes. It knows all of them, so it notices by itself when one
 * expires. `timed.expiry` of those that it reads is what is left of it.
 */
export class PresenceSubscription {
  private readonly read: () => Promise<ReadonlyArray<StoredSession>>
  private readonly listener: (change: PresenceChange) => void
  private readonly messages: Listening
  private readonly sessions = new Map<string, Known>()
  // Those that wait for the sessions that are read; `undefined` while none are.
  private buffer: Array<Msg> | undefined = []
  private reads = 0
  private timer: NodeJS.Timeout | undefined = undefined
  private wakeAt = Number.POSITIVE_INFINITY
  private retryTimer: NodeJS.Timeout | undefined = undefined
  private hasEnded = false

  constructor(
    link: NatsLink,
    subject: string,
    read: () => Promise<ReadonlyArray<StoredSession>>,
    listener: (change: PresenceChange) => void
  ) {
    this.read = read
    this.listener = listener
    this.messages = link.listen(
      subject,
      (message) => this.receive(message),
      () => this.resume()
    )
  }

  /** Succeeds once it is active. */
  async start(): Promise<void> {
    await this.refresh()
    this.messages.confirm()
  }

  end(): void {
    this.hasEnded = true
    clearTimeout(this.timer)
    clearTimeout(this.retryTimer)
    this.messages.end()
  }

  /** Changes may have been missed. It says so once it knows what expires, because nobody else tells that. */
  private resume(): void {
    clearTimeout(this.retryTimer)
    const tell = (): void => {
      if (!this.hasEnded) this.listener({ _tag: "Interrupted" })
    }
    const retry = (): void => {
      if (!this.hasEnded) this.retryTimer = setTimeout(() => this.resume(), retryDelay)
    }
    this.refresh().then(tell, retry)
  }

  private async refresh(): Promise<void> {
    const read = ++this.reads
    // What has arrived before is in the stream.
    this.buffer = []
    const stored = await this.read()
    if (this.hasEnded || this.reads !== read) return
    const { buffer } = this
    this.buffer = undefined
    this.sessions.clear()
    for (const session of stored) this.know(session)
    const newest = new Map(stored.map(({ sequence, token }) => [token, sequence]))
    for (const message of buffer) {
      if (sequenceOf(message) > (newest.get(lastToken(message.subject)) ?? 0)) this.apply(message)
    }
  }

  private receive(message: Msg): void {
    if (this.buffer === undefined) this.apply(message)
    else this.buffer.push(message)
  }

  private apply(message: Msg): void {
    const token = lastToken(message.subject)
    const known = this.sessions.get(token)
    const timed = decodeSession(message.string())
    if (timed === undefined) {
      this.leave(known)
      return
    }
    this.know({ token, sequence: sequenceOf(message), timed })
    const { entry } = timed
    if (known?.timed.entry.meta !== entry.meta) this.listener({ _tag: "Entered", entry })
  }

  private leave(known: Known | undefined): void {
    if (known === undefined) return
    this.sessions.delete(known.token)
    this.listener({ _tag: "Left", entry: known.timed.entry })
  }

  private know(session: StoredSession): void {
    // Later than on the clock of the server, so that whoever lists the sessions then does not see it again.
    const deadline = performance.now() + session.timed.expiry + 1
    this.sessions.set(session.token, { ...session, deadline })
    this.wake(deadline)
  }

  private wake(at: number): void {
    if (at >= this.wakeAt) return
    this.wakeAt = at
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.expire(), delay(at - performance.now()))
  }

  private expire(): void {
    this.wakeAt = Number.POSITIVE_INFINITY
    const now = performance.now()
    // Without a connection it does not hear who was renewed. It reads all sessions when there is one again.
    if (!this.messages.isActive) {
      this.wake(now + retryDelay)
      return
    }
    let next = Number.POSITIVE_INFINITY
    for (const known of this.sessions.values()) {
      if (known.deadline <= now) this.leave(known)
      else next = Math.min(next, known.deadline)
    }
    if (next < Number.POSITIVE_INFINITY) this.wake(next)
  }
}

const sequenceOf = ({ headers }: Msg): number => Number(headers?.get("Nats-Sequence"))
