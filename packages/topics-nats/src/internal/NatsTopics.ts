import type {
  HistoryOptions,
  HistoryPage,
  Interrupted,
  Position,
  Publication,
  Published,
  PublishOptions
} from "@effect-websocket/platform/TopicBroker"
import type { Message } from "@effect-websocket/protocol/Message"
import { InvalidArgumentError, type Msg } from "@nats-io/transport-node"
import { decodePublication, encodePublication, type Encoded } from "./encoding.js"
import * as names from "./names.js"
import type { Listening, NatsLink } from "./NatsLink.js"
import { readStream } from "./readStream.js"
import { hasNoReceiver } from "./streams.js"
import { learn, type TopicStreams, type UsedTopic } from "./TopicStreams.js"

export type Listener = (event: Publication | Interrupted) => void

const interrupted: Interrupted = { _tag: "Interrupted" }

/** A message, with its headers, has more bytes than the server takes. */
export class TooLarge extends Error {
  readonly max: number

  constructor(max: number) {
    super(`NATS takes messages of at most ${max} bytes`)
    this.max = max
  }
}

/** The topics of a server. */
export class NatsTopics {
  private readonly link: NatsLink
  private readonly streams: TopicStreams
  private readonly prefix: string

  constructor(link: NatsLink, streams: TopicStreams, prefix: string) {
    this.link = link
    this.streams = streams
    this.prefix = prefix
  }

  async publish(topic: string, message: Message, options: PublishOptions | undefined): Promise<Published> {
    const encoded = encodePublication(message, options?.publisher, options?.idempotencyKey)
    const epoch = this.streams.use(topic).newest?.epoch ?? (await this.streams.state(topic)).epoch
    try {
      return await this.send(topic, epoch, encoded)
    } catch (cause) {
      if (!hasNoReceiver(cause)) throw cause
      // Nothing was published: the topic was removed, or lost, and has another epoch.
      const current = (await this.streams.state(topic)).epoch
      if (current === epoch) throw cause
      return this.send(topic, current, encoded)
    }
  }

  async position(topic: string): Promise<Position> {
    const { epoch, last } = await this.streams.state(topic)
    return { epoch, offset: last }
  }

  async history(topic: string, { limit, since }: HistoryOptions): Promise<HistoryPage> {
    const { epoch, first, last } = await this.streams.state(topic)
    const newest: Position = { epoch, offset: last }
    const start = since === undefined ? Math.max(first, last - limit + 1) : since.offset + 1
    const gap: HistoryPage = { isComplete: false, publications: [], newest }
    if (since !== undefined && (since.epoch !== epoch || since.offset > last || start < first)) return gap
    if (start > last) return { isComplete: true, publications: [], newest }
    const { stream } = this.streams.use(topic)
    const selection = { opt_start_seq: start }
    const stored = await readStream(
      this.link,
      await this.link.session(),
      stream,
      selection,
      Math.min(limit, last - start + 1)
    )
    const publications: Array<Publication> = []
    for (const { message, sequence } of stored) {
      if (names.lastToken(message.subject) !== epoch)
        throw new Error("The topic was removed while its history was read")
      if (sequence <= last)
        publications.push(decodePublication({ epoch, offset: sequence }, message.data, message.headers))
    }
    // The oldest ones may have exceeded the bounds meanwhile.
    const isComplete = since === undefined || publications[0]?.position.offset === start
    return isComplete ? { isComplete, publications, newest } : gap
  }

  remove(topic: string): Promise<void> {
    return this.streams.remove(topic)
  }

  /** Calls `listener` for each publication, until `end` is called. */
  subscribe(topic: string, listener: Listener): TopicSubscription {
    return new TopicSubscription(this.link, this.streams, this.prefix, topic, listener)
  }

  private async send(topic: string, epoch: string, { data, headers }: Encoded): Promise<Published> {
    const { js, nc } = await this.link.session()
    const subject = names.publishSubject(this.prefix, topic, epoch)
    try {
      const { duplicate, seq } = await js.publish(subject, data, { headers, timeout: this.link.timeout })
      const position: Position = { epoch, offset: seq }
      learn(this.streams.use(topic), position)
      return { position, isDuplicate: duplicate }
    } catch (cause) {
      throw cause instanceof InvalidArgumentError && nc.info !== undefined ? new TooLarge(nc.info.max_payload) : cause
    }
  }
}

/** A subscription to a topic. It keeps the topic in use. */
export class TopicSubscription {
  private readonly streams: TopicStreams
  private readonly topic: string
  private readonly listener: Listener
  private readonly used: UsedTopic
  private readonly publications: Listening
  private readonly interrupt = (): void => this.listener(interrupted)

  constructor(link: NatsLink, streams: TopicStreams, prefix: string, topic: string, listener: Listener) {
    this.streams = streams
    this.topic = topic
    this.listener = listener
    this.used = streams.use(topic)
    this.used.listeners.add(this.interrupt)
    const subject = names.publicationSubject(prefix, topic, "*")
    this.publications = link.listen(subject, (message) => this.receive(message), this.interrupt)
  }

  /** Succeeds once it is active: everything behind the position is delivered. */
  async start(): Promise<Position> {
    const { epoch, last } = await this.streams.state(this.topic)
    this.publications.confirm()
    return { epoch, offset: last }
  }

  end(): void {
    this.publications.end()
    this.used.listeners.delete(this.interrupt)
  }

  private receive({ data, headers, subject }: Msg): void {
    const offset = Number(headers?.get("Nats-Sequence"))
    // Something that no stream has sent.
    if (!Number.isSafeInteger(offset) || offset < 1) return
    const position: Position = { epoch: names.lastToken(subject), offset }
    learn(this.used, position)
    this.listener(decodePublication(position, data, headers))
  }
}
