import type { Position } from "@effect-websocket/platform/TopicBroker"
import { nanos, type Msg } from "@nats-io/transport-node"
import * as names from "./names.js"
import type { Listening, NatsLink, Session } from "./NatsLink.js"
import { delay, type StreamSettings } from "./settings.js"
import { deleteStream, hasNoReceiver, openStream, type Bounds } from "./streams.js"

/** The stream of a topic, as it is now. */
export interface TopicState {
  readonly epoch: string
  /** The offset of the oldest publication in the history. It is behind `last` if there is none. */
  readonly first: number
  /** The offset of the newest publication, or 0. */
  readonly last: number
}

/** A topic that this process has used lately. */
export interface UsedTopic {
  readonly stream: string
  /** The newest position that this process knows. `undefined` if the stream has to be asked. */
  newest: Position | undefined
  /** Called when the topic was removed. There is one for each subscription. */
  readonly listeners: Set<() => void>
  readonly control: Listening
  /** Whether it has been used since the last sweep. */
  isRecent: boolean
}

/**
 * The streams of topics: one for each. Its messages have consecutive numbers, which are the offsets. It takes one subject, which
 * ends with a random epoch, so that nobody can publish to a topic that was made again without noticing.
 */
export class TopicStreams {
  private readonly link: NatsLink
  private readonly settings: StreamSettings
  private readonly used = new Map<string, UsedTopic>()
  // Streams that nobody used at the last sweep.
  private suspects: ReadonlySet<string> = new Set()
  private timer: NodeJS.Timeout | undefined = undefined
  private hasEnded = false

  constructor(link: NatsLink, settings: StreamSettings) {
    this.link = link
    this.settings = settings
    this.sweepLater()
  }

  end(): void {
    this.hasEnded = true
    clearTimeout(this.timer)
    for (const { control } of this.used.values()) control.end()
    this.used.clear()
  }

  /** Keeps a topic in use until the sweep after the next one, and as long as it has listeners. */
  use(topic: string): UsedTopic {
    const known = this.used.get(topic)
    if (known !== undefined) {
      known.isRecent = true
      return known
    }
    const stream = names.streamOf(this.settings.prefix, topic)
    const used: UsedTopic = {
      stream,
      newest: undefined,
      listeners: new Set(),
      control: this.link.listen(
        names.controlSubject(this.settings.prefix, stream),
        (message) => control(used, message),
        () => {}
      ),
      isRecent: true
    }
    this.used.set(topic, used)
    return used
  }

  /** Asks for the stream of a topic, and makes it if there is none. */
  async state(topic: string): Promise<TopicState> {
    const used = this.use(topic)
    const { jsm } = await this.link.session()
    const { newest, stream } = used
    // A process that is new to a topic may have other bounds than the one that has made it.
    const isNew = newest === undefined
    const { config, state } = await openStream(jsm, stream, this.bounds, isNew, () => this.flow(topic))
    used.control.confirm()
    const epoch = names.lastToken(config.subjects[0] ?? "")
    if (newest?.epoch === epoch && newest.offset > state.last_seq) {
      // The server has lost what it had acknowledged, and would give its offsets again.
      await this.remove(topic)
      return this.state(topic)
    }
    learn(used, { epoch, offset: state.last_seq })
    return { epoch, first: Math.max(1, state.first_seq), last: state.last_seq }
  }

  /** Deletes the stream of a topic, and tells all processes. */
  async remove(topic: string): Promise<void> {
    await this.delete(await this.link.session(), names.streamOf(this.settings.prefix, topic))
  }

  private async delete({ jsm, nc }: Session, stream: string): Promise<void> {
    await deleteStream(jsm, stream)
    nc.publish(names.controlSubject(this.settings.prefix, stream))
  }

  private flow(topic: string) {
    const { prefix } = this.settings
    const epoch = globalThis.crypto.randomUUID()
    const subject = names.publishSubject(prefix, topic, epoch)
    return {
      subjects: [subject],
      republish: { src: subject, dest: names.publicationSubject(prefix, topic, epoch) }
    }
  }

  private get bounds(): Partial<Bounds> {
    const { maxAge, maxBytes, maxKeyAge, maxPublications, replicas } = this.settings
    return {
      max_msgs: maxPublications,
      max_bytes: maxBytes,
      max_age: nanos(maxAge),
      duplicate_window: nanos(maxKeyAge),
      num_replicas: replicas
    }
  }

  // Unused topics

  private sweepLater(): void {
    if (this.hasEnded) return
    this.timer = setTimeout(
      () => {
        // What fails is done by the next sweep.
        this.sweep()
          .catch(() => {})
          .finally(() => this.sweepLater())
      },
      delay(this.settings.unusedAge / 2)
    )
  }

  /** Deletes the streams that no process has used at two sweeps one after the other. */
  private async sweep(): Promise<void> {
    const own = new Set<string>()
    for (const [topic, used] of this.used) {
      if (used.isRecent || used.listeners.size > 0) {
        used.isRecent = false
        own.add(used.stream)
        continue
      }
      used.control.end()
      this.used.delete(topic)
    }
    const { prefix } = this.settings
    const session = await this.link.session()
    const suspects = new Set<string>()
    for await (const stream of session.jsm.streams.names(names.allPublishSubjects(prefix))) {
      if (own.has(stream) || (await this.isUsed(session, stream))) continue
      if (this.suspects.has(stream)) await this.delete(session, stream)
      else suspects.add(stream)
    }
    this.suspects = suspects
  }

  /** Whether any process listens to what concerns this stream. The server knows if there is none. */
  private async isUsed({ nc }: Session, stream: string): Promise<boolean> {
    try {
      await nc.request(names.controlSubject(this.settings.prefix, stream), "", { timeout: this.link.timeout })
      return true
    } catch (cause) {
      if (hasNoReceiver(cause)) return false
      throw cause
    }
  }
}

/** The topic has a publication at this position. */
export const learn = (used: UsedTopic, position: Position): void => {
  const { newest } = used
  if (newest?.epoch !== position.epoch || newest.offset < position.offset) used.newest = position
}

/** Another process asks whether the topic is used, or it was removed. */
const control = (used: UsedTopic, message: Msg): void => {
  if (message.respond()) return
  used.newest = undefined
  for (const listener of used.listeners) listener()
}
