import type { Message } from "@effect-websocket/protocol/Message"
import { Delivery } from "../engine/topics/LocalTopic.js"
import type { Position } from "../engine/topics/Publication.js"
import type { StreamMember } from "./StreamMember.js"
import type { Started } from "./topicEvents.js"

/** Where a subscriber begins. */
export interface Beginning {
  readonly since: Position | undefined
  readonly last: number
}

// Own publications that are acknowledged before earlier ones have arrived.
const maxOwn = 1024

/** How far the subscription of a connection is. */
export type Phase = "idle" | "subscribing" | "subscribed" | "unsubscribing"

/** A topic of a client, whose subscribers share one subscription. */
export class ClientTopic {
  readonly name: string
  /** The subscribers. The value says where one wants to begin, until it has begun. */
  readonly members = new Map<StreamMember, Beginning | undefined>()
  phase: Phase = "idle"
  /** Behind everything that the subscribers got. `undefined` before they begin. */
  position: Position | undefined = undefined
  /** Where the topic should be, because the server has said so. */
  expected: Position | undefined = undefined
  /** The subscription is to begin again at `position`. */
  isStale = false
  // Nobody is left of those for whom the subscription was asked for.
  private isAbandoned = false
  private asked: StreamMember | undefined = undefined
  // Offsets in an epoch, which may be one that the subscribers have yet to hear of.
  private readonly own = new Set<number>()
  private ownEpoch: string | undefined = undefined

  constructor(name: string) {
    this.name = name
  }

  add(member: StreamMember, beginning: Beginning): void {
    const { position } = this
    this.members.set(member, position === undefined ? beginning : undefined)
    if (position !== undefined) member.add(late(beginning, position))
  }

  /** Where a subscription begins that is asked for now. */
  begin(): Beginning {
    this.isStale = false
    this.isAbandoned = false
    if (this.position !== undefined) return { since: this.position, last: 0 }
    for (const [member, beginning] of this.members) {
      this.asked = member
      return beginning ?? { since: undefined, last: 0 }
    }
    return { since: undefined, last: 0 }
  }

  /**
   * There are no subscribers any more. Later ones begin anew: where a subscription was asked to begin is not where they want to
   * begin, so one that is under way is ended once it has begun.
   */
  abandon(): void {
    if (this.phase === "subscribing") {
      this.isStale = true
      this.isAbandoned = true
    }
    this.position = undefined
    this.expected = undefined
    this.own.clear()
  }

  started(event: Started): void {
    if (this.isAbandoned) return
    const { position } = this
    for (const [member, beginning] of this.members) {
      if (beginning === undefined) continue
      this.members.set(member, undefined)
      member.add(member === this.asked ? event : late(beginning, event.position))
    }
    const continues =
      position === undefined ||
      event._tag === "Recovered" ||
      (event._tag === "New" && position.epoch === event.position.epoch && position.offset === event.position.offset)
    if (position === undefined || !continues) this.moveTo(event.position)
    if (!continues) for (const member of this.members.keys()) member.gap(event.position)
  }

  /** Returns a delivery if a subscriber makes the connection wait. */
  publication(position: Position, message: Message): Delivery | undefined {
    const { position: current } = this
    if (current === undefined) return undefined
    if (current.epoch === position.epoch && position.offset <= current.offset) return undefined
    this.position = position
    const isOwn = this.ownEpoch === position.epoch && this.own.has(position.offset)
    this.skipOwn()
    if (isOwn) return undefined
    const delivery = new Delivery({ _tag: "Publication", position, message, publisher: undefined }, this.name)
    for (const member of this.members.keys()) member.deliver(delivery)
    return delivery.isPending ? delivery : undefined
  }

  /** A publication of this client was acknowledged. Its subscribers do not get it. */
  published(position: Position): void {
    const { own, position: current } = this
    if (current === undefined) return
    if (current.epoch === position.epoch && position.offset <= current.offset) return
    if (this.ownEpoch !== position.epoch || own.size >= maxOwn) own.clear()
    this.ownEpoch = position.epoch
    own.add(position.offset)
    this.skipOwn()
  }

  /** Whether the topic is where the server said that it would be. */
  get hasArrived(): boolean {
    const { expected, position } = this
    return (
      expected === undefined ||
      position === undefined ||
      (position.epoch === expected.epoch && position.offset >= expected.offset)
    )
  }

  fail(cause: unknown): void {
    for (const member of this.members.keys()) member.fail(cause)
  }

  private moveTo(position: Position): void {
    this.position = position
    this.skipOwn()
  }

  /** Own publications that follow are done. */
  private skipOwn(): void {
    const { own, position } = this
    if (position === undefined || own.size === 0 || position.epoch !== this.ownEpoch) return
    let { offset } = position
    for (const each of own) if (each <= offset) own.delete(each)
    while (own.delete(offset + 1)) offset++
    if (offset > position.offset) this.position = { epoch: position.epoch, offset }
  }
}

/** How a subscriber begins in a topic that others have begun. */
const late = ({ since }: Beginning, position: Position): Started => {
  if (since === undefined) return { _tag: "New", position }
  return since.epoch === position.epoch && since.offset === position.offset
    ? { _tag: "Recovered", position, missed: 0 }
    : { _tag: "Gap", position }
}
