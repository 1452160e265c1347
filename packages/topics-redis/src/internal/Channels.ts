import { RedisLink, type Client } from "./RedisLink.js"
import type { Outages } from "./Outages.js"
import type { LinkSettings } from "./settings.js"
import { withDeadline, type Outcome } from "./withDeadline.js"

/** Gets each message of a channel, and `undefined` after messages may have been missed. */
export type ChannelListener = (message: Buffer | undefined) => void

interface Channel {
  readonly name: string
  readonly listeners: Set<ChannelListener>
  readonly waiting: Set<Outcome<void>>
  isActive: boolean
  /** It has been active before, on another connection. */
  wasActive: boolean
}

export interface ChannelSubscription {
  /** Succeeds once messages arrive. Fails if that takes too long. */
  active(): Promise<void>
  end(): void
}

// How many channels one command names.
const maxNames = 500

/** The channels of one process. They share a connection, on which nothing else is done. */
export class Channels {
  readonly link: RedisLink
  private readonly channels = new Map<string, Channel>()
  private client: Client | undefined = undefined

  constructor(settings: LinkSettings, outages: Outages) {
    this.link = new RedisLink(
      settings,
      outages,
      (client) => this.resume(client),
      () => {}
    )
  }

  /** Calls `listener` for the messages of a channel, until `end` is called. */
  subscribe(name: string, listener: ChannelListener): ChannelSubscription {
    const known = this.channels.get(name)
    const channel = known ?? {
      name,
      listeners: new Set(),
      waiting: new Set(),
      isActive: false,
      wasActive: false
    }
    // The same function may be given twice.
    const own: ChannelListener = (message) => listener(message)
    channel.listeners.add(own)
    if (known === undefined) {
      this.channels.set(name, channel)
      if (this.client !== undefined) this.activate(this.client, [channel])
    }
    return {
      active: () => this.active(channel),
      end: () => {
        if (!channel.listeners.delete(own) || channel.listeners.size > 0) return
        this.channels.delete(name)
        for (const { fail } of channel.waiting) fail(new Error("The subscription has ended"))
        // The client loses a subscription that begins between the replies to these two, so the one waits for the other.
        if (channel.isActive && this.client !== undefined) this.unsubscribe(this.client, name)
      }
    }
  }

  private active(channel: Channel): Promise<void> {
    if (channel.isActive) return Promise.resolve()
    let waiter: Outcome<void> | undefined
    const active = withDeadline<void>(
      this.link.timeout,
      (outcome) => {
        waiter = outcome
        channel.waiting.add(outcome)
      },
      () => this.link.cause
    )
    return active.finally(() => waiter !== undefined && channel.waiting.delete(waiter))
  }

  /** There is another connection. */
  private resume(client: Client): void {
    this.client = client
    const channels = [...this.channels.values()]
    for (const channel of channels) channel.isActive = false
    for (let start = 0; start < channels.length; start += maxNames) {
      this.activate(client, channels.slice(start, start + maxNames))
    }
  }

  private activate(client: Client, channels: ReadonlyArray<Channel>): void {
    const succeed = (): void => {
      if (this.client !== client) return
      for (const channel of channels) {
        if (this.channels.get(channel.name) === channel) wake(channel)
        else if (!this.channels.has(channel.name)) this.unsubscribe(client, channel.name)
      }
    }
    const fail = (cause: unknown): void => {
      if (this.client !== client) return
      for (const { waiting } of channels) for (const { fail } of waiting) fail(cause)
      // Not to be left without messages.
      this.link.restart(client, cause)
    }
    const names = channels.map(({ name }) => name)
    client.subscribe(names, this.receive, true).then(succeed, fail)
  }

  private unsubscribe(client: Client, name: string): void {
    // If it fails, the connection has ended, and the channel with it.
    client.unsubscribe([name], this.receive, true).catch(() => {})
  }

  private readonly receive = (message: Buffer, name: Buffer): void => {
    const channel = this.channels.get(name.toString())
    if (channel === undefined) return
    // The client has read the reply to `SUBSCRIBE` in the same chunk, and tells of it later.
    wake(channel)
    for (const listener of channel.listeners) listener(message)
  }
}

/** Messages arrive from now on. */
const wake = (channel: Channel): void => {
  const { isActive, wasActive } = channel
  if (isActive) return
  channel.isActive = true
  channel.wasActive = true
  for (const { succeed } of channel.waiting) succeed()
  if (wasActive) for (const listener of channel.listeners) listener(undefined)
}
