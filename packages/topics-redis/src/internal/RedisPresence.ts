import type { PresenceChange, PresenceEntry } from "@effect-websocket/platform/TopicBroker"
import type { Channels, ChannelSubscription } from "./Channels.js"
import { decodeChange, decodeSession, encodeSession } from "./encoding.js"
import { keyOf } from "./keys.js"
import type { ScriptRunner } from "./ScriptRunner.js"
import * as scripts from "./presenceScripts.js"
import type { Script } from "./Script.js"
import { delay } from "./settings.js"

/** The generation of the sessions, and the milliseconds until the next one expires. */
interface Swept {
  readonly generation: string
  readonly next: number | undefined
}

export type ChangeListener = (change: PresenceChange) => void

/**
 * Who is present, for all processes. Whoever reads or changes a topic removes the sessions that have expired, and so does
 * everybody who listens, when the next one expires. The script that removes a session tells so, so it is told once.
 */
export class RedisPresence {
  private readonly runner: ScriptRunner
  private readonly channels: Channels
  private readonly prefix: string

  constructor(runner: ScriptRunner, channels: Channels, prefix: string) {
    this.runner = runner
    this.channels = channels
    this.prefix = prefix
  }

  /** Adds or renews a session for `millis` milliseconds. After `signal` aborts it is not sent, so that it cannot follow a `remove`. */
  async set(topic: string, { key, meta, session }: PresenceEntry, millis: number, signal: AbortSignal): Promise<void> {
    await this.run(scripts.setPresence, topic, [encodeSession(key, session), meta, String(millis)], signal)
  }

  async remove(topic: string, key: string, session: string): Promise<void> {
    await this.run(scripts.removePresence, topic, [encodeSession(key, session)])
  }

  async list(topic: string): Promise<ReadonlyArray<PresenceEntry>> {
    const reply = await this.run(scripts.listPresence, topic, [])
    const entries: Array<PresenceEntry> = []
    for (let index = 0; index + 1 < reply.length; index += 2) {
      const id = decodeSession(reply[index]!)
      if (id !== undefined) entries.push({ ...id, meta: reply[index + 1]!.toString() })
    }
    return entries
  }

  /** Removes what has expired. */
  async sweep(topic: string): Promise<Swept> {
    const [generation = "", next = ""] = (await this.run(scripts.sweepPresence, topic, [])).map(String)
    return { generation, next: next === "" ? undefined : Number(next) }
  }

  /** Calls `listener` for each change, until `end` is called. */
  listen(topic: string, listener: ChangeListener): PresenceSubscription {
    return new PresenceSubscription(this, this.channels, topic, this.channel(topic), listener)
  }

  private run(
    script: Script,
    topic: string,
    args: ReadonlyArray<string>,
    signal?: AbortSignal
  ): Promise<ReadonlyArray<Buffer>> {
    const keys = ["metas", "expiries"].map((name) => keyOf(this.prefix, topic, name))
    return this.runner.run(script, keys, [this.channel(topic), ...args], signal)
  }

  private channel(topic: string): string {
    return keyOf(this.prefix, topic, "presence")
  }
}

// How long to wait after a sweep that failed.
const retryDelay = 1_000

/** Listens to the changes of a topic, and removes sessions when they expire. */
export class PresenceSubscription {
  private readonly presence: RedisPresence
  private readonly topic: string
  private readonly listener: ChangeListener
  private readonly subscription: ChannelSubscription
  private timer: NodeJS.Timeout | undefined = undefined
  private sweepAt = Number.POSITIVE_INFINITY
  private generation = ""
  private hasEnded = false

  constructor(presence: RedisPresence, channels: Channels, topic: string, channel: string, listener: ChangeListener) {
    this.presence = presence
    this.topic = topic
    this.listener = listener
    this.subscription = channels.subscribe(channel, (message) => this.receive(message))
  }

  /** Succeeds once it is active. */
  async start(): Promise<void> {
    await this.subscription.active()
    const { generation, next } = await this.presence.sweep(this.topic)
    this.generation = generation
    this.sweepIn(next)
  }

  end(): void {
    this.hasEnded = true
    clearTimeout(this.timer)
    this.subscription.end()
  }

  private receive(message: Buffer | undefined): void {
    if (this.hasEnded) return
    const change = message === undefined ? undefined : decodeChange(message)
    if (change === undefined) {
      this.sweepIn(0)
      this.listener({ _tag: "Interrupted" })
      return
    }
    const { _tag, entry, expiry } = change
    if (_tag === "Entered") this.sweepIn(expiry)
    this.listener({ _tag, entry })
  }

  private swept({ generation, next }: Swept): void {
    if (this.hasEnded) return
    const isSame = this.generation === generation
    this.generation = generation
    this.sweepIn(next)
    // The server has lost the sessions, and has told nobody. Or there are the first ones since nobody was there.
    if (!isSame) this.listener({ _tag: "Interrupted" })
  }

  /** Sweeps in so many milliseconds, or earlier if that is planned. */
  private sweepIn(millis: number | undefined): void {
    if (this.hasEnded || millis === undefined) return
    const at = performance.now() + millis
    if (at >= this.sweepAt) return
    this.sweepAt = at
    clearTimeout(this.timer)
    this.timer = setTimeout(() => {
      this.sweepAt = Number.POSITIVE_INFINITY
      this.presence.sweep(this.topic).then(
        (swept) => this.swept(swept),
        () => this.sweepIn(retryDelay)
      )
    }, delay(millis))
  }
}
