import { Binary, type Message } from "@effect-websocket/protocol/Message"
import { notSet, type Alarm, type Timers } from "../time/Timers.js"
import { History, type HistoryLimits, type HistoryUsage } from "./History.js"
import { Idempotency, type IdempotencyLimits } from "./Idempotency.js"
import { interrupted, type HistoryPage, type Listener, type Position, type Publication } from "./Publication.js"

/** The bounds of all topics. */
export interface MemoryTopicsSettings {
  readonly history: HistoryLimits & {
    /** What the histories of all topics take together; see `HistoryUsage`. */
    readonly maxTotalBytes: number
  }
  readonly idempotency: IdempotencyLimits
  readonly maxTopics: number
  /** How long a topic without subscriptions is kept after its last use, in milliseconds. */
  readonly unusedAge: number
}

/** The result of a publish. */
export interface Published {
  readonly position: Position
  /** The key was known, so nothing was published now. */
  readonly isDuplicate: boolean
}

export interface Subscription {
  readonly position: Position
  readonly end: () => void
}

/** The answer if there would be too many topics, and each of them has a subscription. */
export const tooManyTopics = "TooManyTopics"
export type TooManyTopics = typeof tooManyTopics

/**
 * The topics of one process, made when they are first used. A topic with a subscription is kept. Topics without one are
 * forgotten after a time, and earlier if there are too many topics: the one first whose last use is the longest ago.
 */
export class MemoryTopics {
  readonly settings: MemoryTopicsSettings
  readonly timers: Timers
  private readonly makeEpoch: () => string
  private readonly topics = new Map<string, MemoryTopic>()
  // Those without subscriptions, in the order of their last use.
  private readonly unused = new Set<MemoryTopic>()
  readonly usage: HistoryUsage = { bytes: 0 }
  // In the order of their last publication.
  private readonly published = new Set<MemoryTopic>()
  // Publications that are being delivered. A listener may publish, and all listeners get publications in the same order.
  private deliveries: Array<() => void> | undefined = undefined

  constructor(settings: MemoryTopicsSettings, timers: Timers, makeEpoch: () => string) {
    this.settings = settings
    this.timers = timers
    this.makeEpoch = makeEpoch
  }

  /** How many topics it keeps. */
  get size(): number {
    return this.topics.size
  }

  /** Publishes a message. Bytes are copied if they are kept. */
  publish(
    name: string,
    message: Message,
    key: string | undefined,
    publisher: string | undefined
  ): Published | TooManyTopics {
    const topic = this.topic(name)
    if (topic === tooManyTopics) return topic
    const { now } = this.timers
    const earlier = key === undefined ? undefined : topic.keys?.get(key, now)
    if (earlier !== undefined) return { position: earlier, isDuplicate: true }
    const kept = message._tag === "Text" ? message : new Binary(message.data.slice())
    const publication = topic.history.add(kept, publisher, now)
    if (key !== undefined) topic.remember(key, publication.position, now)
    this.bound(topic)
    topic.schedule()
    this.deliver(topic, publication)
    return { position: publication.position, isDuplicate: false }
  }

  position(name: string): Position | TooManyTopics {
    const topic = this.topic(name)
    return topic === tooManyTopics ? topic : topic.history.newest
  }

  history(name: string, since: Position | undefined, limit: number): HistoryPage | TooManyTopics {
    const topic = this.topic(name)
    if (topic === tooManyTopics) return topic
    const { now } = this.timers
    return since === undefined ? topic.history.last(limit, now) : topic.history.after(since, limit, now)
  }

  /** Calls `listener` for each publication behind `position`, until `end` is called. */
  subscribe(name: string, listener: Listener): Subscription | TooManyTopics {
    const topic = this.topic(name)
    if (topic === tooManyTopics) return topic
    // The same function may be given twice.
    const own: Listener = (event) => listener(event)
    topic.listeners.add(own)
    this.unused.delete(topic)
    topic.schedule()
    const end = (): void => {
      if (topic.listeners.delete(own) && topic.listeners.size === 0) this.touch(topic)
    }
    return { position: topic.history.newest, end }
  }

  /** Forgets a topic with its history. Subscriptions go on with a new epoch. */
  remove(name: string): void {
    const topic = this.topics.get(name)
    if (topic === undefined) return
    if (topic.listeners.size === 0) {
      this.forget(topic)
      return
    }
    topic.clear(this.makeEpoch())
    this.deliver(topic, interrupted)
  }

  /** Ends all timers. */
  stop(): void {
    for (const topic of this.topics.values()) this.timers.clear(topic)
  }

  forget(topic: MemoryTopic): void {
    this.timers.clear(topic)
    this.unused.delete(topic)
    this.published.delete(topic)
    this.topics.delete(topic.name)
    topic.history.clear()
  }

  /** A topic has a new publication. The histories of those without one for the longest time give way to it. */
  private bound(topic: MemoryTopic): void {
    this.published.delete(topic)
    this.published.add(topic)
    for (const oldest of this.published) {
      if (this.usage.bytes <= this.settings.history.maxTotalBytes) return
      this.published.delete(oldest)
      oldest.history.clear()
    }
  }

  private topic(name: string): MemoryTopic | TooManyTopics {
    const known = this.topics.get(name)
    if (known !== undefined) {
      if (known.listeners.size === 0) this.touch(known)
      return known
    }
    if (this.topics.size >= this.settings.maxTopics) {
      const [oldest] = this.unused
      if (oldest === undefined) return tooManyTopics
      this.forget(oldest)
    }
    const topic = new MemoryTopic(this, name, this.makeEpoch())
    this.topics.set(name, topic)
    this.touch(topic)
    return topic
  }

  /** A topic without subscriptions is used. */
  private touch(topic: MemoryTopic): void {
    this.unused.delete(topic)
    this.unused.add(topic)
    topic.usedAt = this.timers.now
    topic.schedule()
  }

  private deliver(topic: MemoryTopic, event: Publication | typeof interrupted): void {
    const delivery = (): void => {
      for (const listener of topic.listeners) listener(event)
    }
    if (this.deliveries !== undefined) {
      this.deliveries.push(delivery)
      return
    }
    const deliveries = [delivery]
    this.deliveries = deliveries
    for (const next of deliveries) next()
    this.deliveries = undefined
  }
}

/** One topic, and the alarm for whatever of it ends next. */
export class MemoryTopic implements Alarm {
  readonly name: string
  readonly listeners = new Set<Listener>()
  history: History
  keys: Idempotency<Position> | undefined = undefined
  usedAt = 0
  alarmTime = 0
  alarmIndex = notSet
  private readonly owner: MemoryTopics

  constructor(owner: MemoryTopics, name: string, epoch: string) {
    this.owner = owner
    this.name = name
    this.history = new History(epoch, owner.settings.history, owner.usage)
  }

  remember(key: string, position: Position, now: number): void {
    this.keys ??= new Idempotency(this.owner.settings.idempotency)
    this.keys.set(key, position, now)
  }

  clear(epoch: string): void {
    this.history.clear()
    this.history = new History(epoch, this.owner.settings.history, this.owner.usage)
    this.keys = undefined
  }

  /** When the topic would be forgotten, and when its oldest publication expires: an alarm that is too early is set again. */
  schedule(): void {
    const time = this.nextTime
    const { timers } = this.owner
    if (time === Number.POSITIVE_INFINITY) timers.clear(this)
    else if (this.alarmIndex === notSet || time < this.alarmTime) timers.set(this, time)
  }

  private get nextTime(): number {
    const { settings } = this.owner
    const forgetAt = this.listeners.size === 0 ? this.usedAt + settings.unusedAge : Number.POSITIVE_INFINITY
    return Math.min(forgetAt, this.history.expiresAt ?? Number.POSITIVE_INFINITY)
  }

  fire(): void {
    const { settings, timers } = this.owner
    const { now } = timers
    if (this.listeners.size === 0 && this.usedAt + settings.unusedAge <= now) {
      this.owner.forget(this)
      return
    }
    this.history.trim(now)
    this.keys?.trim(now)
    this.schedule()
  }
}
