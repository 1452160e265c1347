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
import type { Channels, ChannelSubscription } from "./Channels.js"
import { dataBytes, decodeBody, decodeEvent, encodeBody } from "./encoding.js"
import { keyOf } from "./keys.js"
import type { ScriptRunner } from "./ScriptRunner.js"
import type { Script } from "./Script.js"
import { delay, type TopicSettings } from "./settings.js"
import { remove, topicScripts, type TopicScripts } from "./topicScripts.js"

export type Listener = (event: Publication | Interrupted) => void

const interrupted: Interrupted = { _tag: "Interrupted" }
const keyNames = ["state", "log", "sizes", "ids", "idOrder"]

/** The topics of a server. Each method is one script, so that it happens as a whole or not at all. */
export class RedisTopics {
  private readonly runner: ScriptRunner
  private readonly channels: Channels
  private readonly settings: TopicSettings
  private readonly scripts: TopicScripts

  constructor(runner: ScriptRunner, channels: Channels, settings: TopicSettings) {
    this.runner = runner
    this.channels = channels
    this.settings = settings
    this.scripts = topicScripts(settings)
  }

  async publish(topic: string, message: Message, options: PublishOptions | undefined): Promise<Published> {
    const key = options?.idempotencyKey
    const [epoch, offset, isDuplicate] = await this.run(this.scripts.publish, topic, [
      this.channel(topic),
      encodeBody(message, options?.publisher),
      String(dataBytes(message)),
      key === undefined ? "" : `k${key}`
    ])
    return { position: toPosition(epoch, offset), isDuplicate: isTrue(isDuplicate) }
  }

  async position(topic: string): Promise<Position> {
    const [epoch, offset] = await this.run(this.scripts.position, topic, [])
    return toPosition(epoch, offset)
  }

  async history(topic: string, { limit, since }: HistoryOptions): Promise<HistoryPage> {
    const range = [since?.epoch ?? "", since === undefined ? "" : String(since.offset), String(limit)]
    const [epoch, newest, isComplete, first, ...bodies] = await this.run(this.scripts.history, topic, range)
    const position = toPosition(epoch, newest)
    const start = toNumber(first)
    return {
      isComplete: isTrue(isComplete),
      publications: bodies.map((body, index) => decodeBody({ epoch: position.epoch, offset: start + index }, body)),
      newest: position
    }
  }

  async remove(topic: string): Promise<void> {
    await this.runner.run(remove, this.keys(topic), [this.channel(topic)])
  }

  /** Calls `listener` for each publication, until `end` is called. */
  subscribe(topic: string, listener: Listener): TopicSubscription {
    return new TopicSubscription(this, this.channels, topic, this.channel(topic), this.settings.unusedAge, listener)
  }

  private run(script: Script, topic: string, args: ReadonlyArray<string | Buffer>): Promise<ReadonlyArray<Buffer>> {
    return this.runner.run(script, this.keys(topic), [globalThis.crypto.randomUUID(), ...args])
  }

  private keys(topic: string): ReadonlyArray<string> {
    return keyNames.map((name) => keyOf(this.settings.prefix, topic, name))
  }

  private channel(topic: string): string {
    return keyOf(this.settings.prefix, topic, "publications")
  }
}

/** A subscription to a topic. It keeps the topic in use. */
export class TopicSubscription {
  private readonly topics: RedisTopics
  private readonly topic: string
  private readonly interval: number
  private readonly listener: Listener
  private readonly subscription: ChannelSubscription
  private epoch: string | undefined = undefined
  private timer: NodeJS.Timeout | undefined = undefined
  private hasEnded = false

  constructor(
    topics: RedisTopics,
    channels: Channels,
    topic: string,
    channel: string,
    unusedAge: number,
    listener: Listener
  ) {
    this.topics = topics
    this.topic = topic
    this.interval = delay(unusedAge / 3)
    this.listener = listener
    this.subscription = channels.subscribe(channel, (message) => this.receive(message))
  }

  /** Succeeds once it is active: everything behind the position is delivered. */
  async start(): Promise<Position> {
    await this.subscription.active()
    const position = await this.topics.position(this.topic)
    this.epoch ??= position.epoch
    this.touchLater()
    return position
  }

  end(): void {
    this.hasEnded = true
    clearTimeout(this.timer)
    this.subscription.end()
  }

  private receive(message: Buffer | undefined): void {
    if (this.hasEnded) return
    const publication = message === undefined ? undefined : decodeEvent(message)
    if (publication !== undefined) this.epoch = publication.position.epoch
    this.listener(publication ?? interrupted)
  }

  private touchLater(): void {
    if (this.hasEnded) return
    this.timer = setTimeout(() => {
      // If it fails, the link is down. It tells so when it is up again.
      this.topics.position(this.topic).then(
        (position) => this.compare(position),
        () => this.touchLater()
      )
    }, this.interval)
  }

  /** The topic may have begun again without a publication since. */
  private compare({ epoch }: Position): void {
    if (this.hasEnded) return
    const isSame = this.epoch === epoch
    this.epoch = epoch
    this.touchLater()
    if (!isSame) this.listener(interrupted)
  }
}

const toNumber = (value: Buffer | undefined): number => Number(value?.toString("latin1"))
const toPosition = (epoch: Buffer | undefined, offset: Buffer | undefined): Position => ({
  epoch: epoch?.toString("latin1") ?? "",
  offset: toNumber(offset)
})
const isTrue = (value: Buffer | undefined): boolean => value?.toString("latin1") === "1"
