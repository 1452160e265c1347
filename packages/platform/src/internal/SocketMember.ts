import { share, type Message } from "@effect-websocket/protocol/Message"
import type * as Scope from "effect/Scope"
import type { Owner } from "../engine/connection/Closables.js"
import type { Link } from "../engine/connection/Link.js"
import type { MessageSender, Slow } from "../engine/connection/MessageSender.js"
import { internalError, policyViolation, tryAgainLater } from "../engine/connection/closeCodes.js"
import { toMessage, type Data } from "../engine/connection/sendable.js"
import { Wait, type Sent } from "../engine/connection/Wait.js"
import type { Delivery, LocalTopic, Member } from "../engine/topics/LocalTopic.js"
import type { Position, Publication } from "../engine/topics/Publication.js"
import type { SendOptions } from "../Options.js"
import { ScopePlace, type ScopePlaceOwner } from "./ScopePlace.js"
import { gap, type Started, type TopicEvent } from "./topicEvents.js"

type Encode = (event: TopicEvent, topic: string) => Data | undefined

/** How a member of a topic is sent what is published. The members that share it share the encoded messages. */
export interface MemberSettings {
  readonly slow: Slow
  readonly sendOptions: SendOptions | undefined
  /** `undefined` if publications are sent as they are. */
  readonly encode: Encode | undefined
}

export interface TopicConnectionOwner {
  /** Makes a name for a connection that no other one has, in no process. */
  makeId(): string
  /** The connection is over. */
  forget(connection: TopicConnection): void
  /** Code of the app threw an error while something was sent. */
  report(defect: unknown): void
}

/** The memberships of one connection. They end with it. */
export class TopicConnection implements Owner, ScopePlaceOwner {
  // Made for the first publication that is not for this connection.
  private idOrNone: string | undefined = undefined
  readonly link: Link
  readonly sender: MessageSender
  private readonly owner: TopicConnectionOwner
  /** How many topics it is in. */
  size = 0
  // Its members, the newest first. A map of few would take more memory than this list.
  private newest: SocketMember | undefined = undefined
  // All members, once there have been more than `maxListed`. The list is empty then.
  private byName: Map<string, SocketMember> | undefined = undefined

  constructor(link: Link, sender: MessageSender, owner: TopicConnectionOwner) {
    this.link = link
    this.sender = sender
    this.owner = owner
  }

  /** The name of this connection as a publisher. */
  get id(): string {
    return (this.idOrNone ??= this.owner.makeId())
  }

  /** Whether a publication is not for this connection. */
  isPublisher(publisher: string | undefined): boolean {
    return publisher !== undefined && publisher === this.idOrNone
  }

  /** Reports an error that code of the app threw. */
  report(defect: unknown): void {
    this.owner.report(defect)
  }

  /** The place of the next member in the scope. */
  placeIn(scope: Scope.Scope): ScopePlace {
    // Nearly always all members of a connection are in one scope.
    for (const { place } of this.members()) if (place.scope === scope) return place
    return new ScopePlace(scope, this)
  }

  endOf(place: ScopePlace): void {
    for (const member of this.members()) if (member.place === place) member.end()
  }

  /** Its member in a topic. */
  memberIn(topic: string): SocketMember | undefined {
    if (this.byName !== undefined) return this.byName.get(topic)
    let member = this.newest
    while (member !== undefined && member.name !== topic) member = member.older
    return member
  }

  /** Adds a member in a topic that has none. */
  join(member: SocketMember): void {
    if (this.byName === undefined && this.size >= maxListed) {
      this.byName = new Map(Array.from(this.members(), (listed) => [listed.name, listed]))
      this.newest = undefined
    }
    this.size++
    if (this.byName === undefined) {
      member.older = this.newest
      this.newest = member
    } else this.byName.set(member.name, member)
  }

  /** Removes a member that it has. A place without members is given up. */
  leave(member: SocketMember): void {
    this.size--
    if (this.byName !== undefined) this.byName.delete(member.name)
    else if (this.newest === member) this.newest = member.older
    else for (const newer of this.members()) if (newer.older === member) newer.older = member.older
    for (const { place } of this.members()) if (place === member.place) return
    member.place.delete()
  }

  /** The members, also while some of them leave. */
  private *members(): Generator<SocketMember> {
    if (this.byName !== undefined) yield* this.byName.values()
    for (let member = this.newest; member !== undefined; member = member.older) yield member
  }

  /** The connection is not closed for the sake of its topics. */
  add(): void {}

  /** The connection is over. */
  delete(): void {
    this.owner.forget(this)
    for (const member of this.members()) member.end()
  }
}

// How many members are looked through, one after another, to find one.
const maxListed = 16
// Publications that wait for one member because it makes publishers wait. A publisher in another process does not.
const maxWaiting = 1024
// The `ahead` of a member that has lost publications since the last one that it got. A field of its own would take memory.
const lossAhead = -1
const patient: Slow = { sendStrategy: "suspend" }

/** A connection that is attached to a topic. */
export class SocketMember implements Member {
  index = -1
  ahead = 0
  private waiting = 0
  private readonly connection: TopicConnection
  private readonly topic: LocalTopic
  private readonly settings: MemberSettings
  readonly place: ScopePlace
  /** The member of the connection that had joined before. */
  older: SocketMember | undefined = undefined

  constructor(connection: TopicConnection, topic: LocalTopic, settings: MemberSettings, place: ScopePlace) {
    this.connection = connection
    this.topic = topic
    this.settings = settings
    this.place = place
  }

  get isOver(): boolean {
    return this.connection.memberIn(this.name) !== this
  }

  /** The name of its topic. */
  get name(): string {
    return this.topic.name
  }

  deliver(delivery: Delivery): void {
    const { publication } = delivery
    if (publication.position.offset <= this.ahead) return
    if (this.connection.isPublisher(publication.publisher)) return
    const { encode, slow } = this.settings
    const { sender } = this.connection
    // Here, so that the peer can be told what it did not get.
    if (slow.sendStrategy === "dropping" && !sender.isFree) {
      this.ahead = lossAhead
      return
    }
    try {
      const message = encode === undefined ? delivery.message : delivery.encoded(encode, encodeOnce)
      if (message === undefined) return
      if (this.ahead === lossAhead) this.tellLoss(publication.position)
      const sent = sender.sendNow(message, this.options, slow)
      if (sent instanceof Wait) this.wait(sent, delivery)
    } catch (defect) {
      this.die(defect)
    }
  }

  private tellLoss({ epoch, offset }: Position): void {
    this.ahead = 0
    // Without an encoding, the app has chosen that its peers do not learn of it.
    if (this.settings.encode !== undefined) this.tell(gap({ epoch, offset: offset - 1 }))
  }

  /** A publication waits for its turn. It takes its place in this step, so that later ones stay behind it. */
  private wait(sent: Wait, delivery: Delivery): void {
    const release = this.settings.slow.sendStrategy === "suspend" ? delivery.wait() : undefined
    this.waiting++
    sent.start(() => {
      this.waiting--
      release?.()
    })
    if (this.waiting > maxWaiting) this.connection.link.startClosing(policyViolation, "too slow")
  }

  gap(position: Position): void {
    this.tell(gap(position))
  }

  /** Sends how it begins, or a gap. Without an encoding, a peer that missed something can only begin again. */
  tell(event: Started): void {
    const { encode } = this.settings
    if (encode === undefined) {
      if (event._tag === "Gap") this.connection.link.startClosing(tryAgainLater, "publications are missing")
      return
    }
    try {
      const data = encode(event, this.topic.name)
      if (data === undefined) return
      // Whatever the strategy is, the peer has to get it.
      const sent = this.connection.sender.sendNow(data, this.options, patient)
      if (sent instanceof Wait) sent.start(ignore)
    } catch (defect) {
      this.die(defect)
    }
  }

  /** Sends a publication of the past. */
  sendPast(publication: Publication): Sent {
    const { connection, settings } = this
    if (this.isOver || connection.isPublisher(publication.publisher)) return undefined
    try {
      const data = settings.encode === undefined ? publication.message : settings.encode(publication, this.topic.name)
      return data === undefined ? undefined : connection.sender.sendNow(data, this.options, patient)
    } catch (defect) {
      this.die(defect)
      return connection.link.terminalError("local")
    }
  }

  fail(): void {
    this.connection.link.startClosing(tryAgainLater, "the topic has ended")
  }

  private get options(): SendOptions | undefined {
    return this.settings.sendOptions
  }

  /** `encode`, or the filter of compression, is code of the app. */
  private die(defect: unknown): void {
    this.connection.report(defect)
    this.connection.link.startClosing(internalError)
  }

  /** Ends the membership. Idempotent. */
  end(): void {
    if (this.isOver) return
    this.connection.leave(this)
    this.topic.leave(this)
  }
}

const ignore = (): void => {}

const encodeOnce = (encode: Encode, publication: Publication, topic: string): Message | undefined => {
  const data = encode(publication, topic)
  return data === undefined ? undefined : share(toMessage(data))
}
