import type { Message } from "@effect-websocket/protocol/Message"
import type { Closable, Owner } from "../engine/connection/Closables.js"
import type { Link } from "../engine/connection/Link.js"
import type { MessageSender, Slow } from "../engine/connection/MessageSender.js"
import { toMessage, type Data } from "../engine/connection/sendable.js"
import { Wait } from "../engine/connection/Wait.js"
import type { Delivery, LocalTopic, Member } from "../engine/topics/LocalTopic.js"
import type { Position, Publication } from "../engine/topics/Publication.js"
import { gap, type TopicEvent } from "./topicEvents.js"

const internalError = 1011
const tryAgainLater = 1013

/** How a member of a topic is sent what is published. The members that share it share the encoded messages. */
export interface MemberSettings {
  readonly slow: Slow
  readonly compress: boolean | undefined
  /** `undefined` if publications are sent as they are. */
  readonly encode: ((event: TopicEvent) => Data | undefined) | undefined
}

/** The memberships of one connection. They end with it. */
export class TopicConnection implements Owner {
  readonly id: string
  readonly link: Link
  readonly sender: MessageSender
  readonly members = new Map<string, SocketMember>()
  private readonly forget: () => void

  constructor(id: string, link: Link, sender: MessageSender, forget: () => void) {
    this.id = id
    this.link = link
    this.sender = sender
    this.forget = forget
  }

  /** The connection is not closed for the sake of its topics. */
  add(): void {}

  /** The connection is over. */
  delete(_member: Closable): void {
    this.forget()
    for (const member of [...this.members.values()]) member.end()
  }
}

/** A connection that is attached to a topic. */
export class SocketMember implements Member {
  index = -1
  ahead = 0
  private readonly connection: TopicConnection
  private readonly topic: LocalTopic
  private readonly settings: MemberSettings

  constructor(connection: TopicConnection, topic: LocalTopic, settings: MemberSettings) {
    this.connection = connection
    this.topic = topic
    this.settings = settings
  }

  deliver(delivery: Delivery): void {
    const { publication } = delivery
    if (publication.position.offset <= this.ahead) return
    if (publication.publisher !== undefined && publication.publisher === this.connection.id) return
    const { encode } = this.settings
    try {
      const message = encode === undefined ? publication.message : delivery.encoded(encode, encodeOnce)
      if (message !== undefined) this.send(message, delivery)
    } catch {
      // `encode`, or the filter of compression, is code of the app.
      this.connection.link.startClosing(internalError)
    }
  }

  gap(position: Position): void {
    this.tell(gap(position))
  }

  /** Sends how it begins, or a gap. Without an encoding, a peer that missed something can only begin again. */
  tell(event: TopicEvent): void {
    const { encode } = this.settings
    try {
      if (encode !== undefined) {
        const data = encode(event)
        if (data !== undefined) this.send(toMessage(data), undefined)
      } else if (event._tag === "Gap") this.connection.link.startClosing(tryAgainLater, "publications are missing")
    } catch {
      this.connection.link.startClosing(internalError)
    }
  }

  /** What to send for a publication of the history, or nothing. */
  messageOf(publication: Publication): Data | undefined {
    if (publication.publisher === this.connection.id) return undefined
    return this.settings.encode === undefined ? publication.message : this.settings.encode(publication)
  }

  fail(): void {
    this.connection.link.startClosing(tryAgainLater, "the topic has ended")
  }

  private send(message: Message, delivery: Delivery | undefined): void {
    const { compress, slow } = this.settings
    const sent = this.connection.sender.sendNow(message, compress === undefined ? undefined : { compress }, slow)
    if (!(sent instanceof Wait)) return
    const isAwaited = delivery !== undefined && slow.sendStrategy === "suspend"
    // It takes its place in this step, so that later messages stay behind it.
    sent.start(isAwaited ? delivery.wait() : () => {})
  }

  /** Ends the membership. Idempotent. */
  end(): void {
    const { members } = this.connection
    if (members.get(this.topic.name) !== this) return
    members.delete(this.topic.name)
    this.topic.leave(this)
  }
}

const encodeOnce = (encode: (event: TopicEvent) => Data | undefined, publication: Publication): Message | undefined => {
  const data = encode(publication)
  return data === undefined ? undefined : toMessage(data)
}
