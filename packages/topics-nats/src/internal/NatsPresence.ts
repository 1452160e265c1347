import type { PresenceChange, PresenceEntry } from "@effect-websocket/platform/TopicBroker"
import { nanos } from "@nats-io/transport-node"
import { decodeSession, encodeSession } from "./encoding.js"
import * as names from "./names.js"
import type { NatsLink, Session } from "./NatsLink.js"
import { PresenceSubscription, type StoredSession } from "./PresenceSubscription.js"
import { readStream } from "./readStream.js"
import type { StreamSettings } from "./settings.js"
import { hasNoReceiver, isMissing, openStream } from "./streams.js"

// What a session that was removed leaves until the server has deleted that, too.
const removed = ""
// The shortest time that a server remembers keys of messages, in milliseconds. There are none.
const minWindow = 100

/**
 * Who is present, for all processes: one stream, which keeps the last message of each session. Each message says when it
 * expires, because servers before 2.11 have one age for a whole stream.
 */
export class NatsPresence {
  private readonly link: NatsLink
  private readonly settings: StreamSettings
  private readonly stream: string
  /** Whether this process has found or made the stream. */
  private hasStream = false

  constructor(link: NatsLink, settings: StreamSettings) {
    this.link = link
    this.settings = settings
    this.stream = names.presenceStream(settings.prefix)
  }

  /** Adds or renews a session for `millis` milliseconds. */
  async set(topic: string, entry: PresenceEntry, millis: number): Promise<void> {
    await this.send(topic, entry, encodeSession(entry, millis))
  }

  async remove(topic: string, key: string, session: string): Promise<void> {
    const sequence = await this.send(topic, { key, session }, removed)
    const { jsm } = await this.link.session()
    try {
      await jsm.streams.deleteMessage(this.stream, sequence, false)
    } catch {
      // It was replaced by a session that has begun since, or its age removes it.
    }
  }

  async list(topic: string): Promise<ReadonlyArray<PresenceEntry>> {
    return (await this.read(topic)).map(({ timed }) => timed.entry)
  }

  /** Calls `listener` for each change, until `end` is called. */
  listen(topic: string, listener: (change: PresenceChange) => void): PresenceSubscription {
    const subject = names.changeSubject(this.settings.prefix, topic)
    return new PresenceSubscription(this.link, subject, () => this.read(topic), listener)
  }

  /** The sessions of a topic that have not expired. */
  private async read(topic: string): Promise<ReadonlyArray<StoredSession>> {
    const selection = { filter_subject: names.sessionSubject(this.settings.prefix, topic, "*") }
    const stored = await this.withStream((session) =>
      readStream(this.link, session, this.stream, selection, Number.POSITIVE_INFINITY)
    )
    const sessions: Array<StoredSession> = []
    for (const { age, message, sequence } of stored) {
      const timed = decodeSession(message.string())
      if (timed === undefined || timed.expiry <= age) continue
      const { entry, expiry } = timed
      sessions.push({ token: names.lastToken(message.subject), sequence, timed: { entry, expiry: expiry - age } })
    }
    return sessions
  }

  private async send(topic: string, id: Pick<PresenceEntry, "key" | "session">, data: string): Promise<number> {
    const subject = names.sessionSubject(this.settings.prefix, topic, names.sessionToken(id.key, id.session))
    const { seq } = await this.withStream(({ js }) => js.publish(subject, data, { timeout: this.link.timeout }))
    return seq
  }

  /** Does something with the stream, and makes it if there is none. */
  private async withStream<A>(call: (session: Session) => Promise<A>): Promise<A> {
    const session = await this.link.session()
    if (this.hasStream) {
      try {
        return await call(session)
      } catch (cause) {
        if (!isMissing(cause) && !hasNoReceiver(cause)) throw cause
      }
    }
    const { maxExpiry, prefix, replicas } = this.settings
    const { dest, src } = names.presenceSubjects(prefix)
    const bounds = {
      max_msgs_per_subject: 1,
      max_age: nanos(maxExpiry),
      duplicate_window: nanos(minWindow),
      num_replicas: replicas
    }
    await openStream(session.jsm, this.stream, bounds, true, () => ({ subjects: [src], republish: { src, dest } }))
    this.hasStream = true
    return call(session)
  }
}
