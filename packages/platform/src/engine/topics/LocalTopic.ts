import { share, type Message } from "@effect-websocket/protocol/Message"
import { Waiters } from "../Waiters.js"
import { Flow, type FlowHost } from "./Flow.js"
import { interrupted, type HistoryPage, type Interrupted, type Position, type Publication } from "./Publication.js"

/** One subscriber of a topic. None of its methods throws. */
export interface Member {
  /** Its place among the members of its topic. -1 while it has none. */
  index: number
  /** The last offset that it got from the history. It does not get these publications again. */
  ahead: number
  /** It has left its topic, so it gets nothing any more. */
  readonly isOver: boolean
  deliver(delivery: Delivery): void
  /** Publications are missing. The next one follows `position`. */
  gap(position: Position): void
  /** Nothing more comes. */
  fail(cause: unknown): void
}

/** One publication on its way to the members of a topic. */
export class Delivery {
  readonly publication: Publication
  readonly topic: string
  private encodings: Map<unknown, Message | undefined> | undefined = undefined
  private shared: Message | undefined = undefined
  private pending = 0
  private readonly waiters = new Waiters()

  constructor(publication: Publication, topic: string) {
    this.publication = publication
    this.topic = topic
  }

  /** The message, as all members share it. */
  get message(): Message {
    return (this.shared ??= share(this.publication.message))
  }

  /** The result of `call` for `encode`. It is called once for all members that share `encode`. */
  encoded<Encode>(
    encode: Encode,
    call: (encode: Encode, publication: Publication, topic: string) => Message | undefined
  ): Message | undefined {
    this.encodings ??= new Map()
    if (this.encodings.has(encode)) return this.encodings.get(encode)
    const message = call(encode, this.publication, this.topic)
    this.encodings.set(encode, message)
    return message
  }

  get isPending(): boolean {
    return this.pending > 0
  }

  /** A member makes the publisher wait. Returns the function that ends this. */
  wait(): () => void {
    this.pending++
    return () => {
      if (--this.pending === 0) this.waiters.wakeAll()
    }
  }

  /** Calls `done` once no member makes the publisher wait. Returns a function that removes the callback. */
  whenDone(done: () => void): () => void {
    if (this.isPending) return this.waiters.add(done)
    done()
    return () => {}
  }
}

/** What a local topic asks of its hub. */
export interface LocalTopicHost {
  /** Reads the history of a topic, and passes the page to `LocalTopic.read`. */
  read(topic: LocalTopic, since: Position): void
  /** Nobody uses the topic any more. */
  release(topic: LocalTopic): void
  /** So many members have been told that publications are missing. */
  gapped?(members: number): void
}

// Publications that are kept for members that read the history.
const maxRecent = 1024

/** What `LocalTopic.join` returns if the history has to be read. */
export const readMore = "readMore"

/** A topic as one process sees it: its members, and what arrives from the broker. */
export class LocalTopic implements FlowHost {
  readonly name: string
  readonly ready = new Waiters()
  /** Why the subscription could not begin, or has ended. */
  failure: { readonly cause: unknown } | undefined = undefined
  /** The last publication for which a member makes publishers wait. */
  lastPending: Delivery | undefined = undefined
  private readonly flow = new Flow(this)
  private readonly host: LocalTopicHost
  private readonly members: Array<Member | undefined> = []
  private size = 0
  private users = 0
  private delivering = false
  private epoch: string | undefined = undefined
  // Members that read the history, and the newest publications for them.
  private readonly behind = new Set<Member>()
  private recent: Array<Publication> = []

  constructor(name: string, host: LocalTopicHost) {
    this.name = name
    this.host = host
  }

  /** The position behind everything that was delivered. `undefined` until the subscription is active. */
  get position(): Position | undefined {
    return this.flow.position
  }

  /** How many members get publications. */
  get memberCount(): number {
    return this.size
  }

  /** How many members read the history. */
  get behindCount(): number {
    return this.behind.size
  }

  // The broker

  begin(position: Position): void {
    this.epoch = position.epoch
    this.flow.begin(position)
    this.ready.wakeAll()
  }

  receive(event: Publication | Interrupted): void {
    this.flow.receive(event)
  }

  readPage(page: HistoryPage): void {
    this.flow.read(page)
  }

  /** The subscription failed. All members are told. */
  fail(cause: unknown): void {
    if (this.failure !== undefined) return
    this.failure = { cause }
    this.each((member) => member.fail(cause))
    this.ready.wakeAll()
  }

  // Members

  /** Somebody is about to join. `leave` undoes this. */
  enter(): void {
    this.users++
  }

  /** Keeps what is published from now on, because a member reads the history. It ends when the member joins or leaves. */
  fallBehind(member: Member): void {
    this.behind.add(member)
  }

  private catchUp(member: Member): void {
    if (this.behind.delete(member) && this.behind.size === 0) this.recent = []
  }

  /**
   * Adds a member that has everything up to `since`, or begins now if that is `undefined`. If something is missing, does not
   * add it, and returns what is missing, or that the history has to be read.
   */
  join(member: Member, since: Position | undefined): ReadonlyArray<Publication> | typeof readMore | undefined {
    const { position } = this
    if (member.isOver) return undefined
    if (position === undefined) return readMore
    if (since !== undefined) {
      // The one or the other has not heard yet that the topic began again.
      if (since.epoch !== position.epoch) {
        this.flow.receive(interrupted)
        return readMore
      }
      if (since.offset < position.offset) return this.between(since, position)
    }
    this.catchUp(member)
    member.ahead = since?.offset ?? 0
    member.index = this.members.push(member) - 1
    this.size++
    return undefined
  }

  private between({ offset }: Position, end: Position): ReadonlyArray<Publication> | typeof readMore {
    const { recent } = this
    const first = recent[0]?.position.offset
    const isKept = first !== undefined && first <= offset + 1 && recent.at(-1)?.position.offset === end.offset
    return isKept ? recent.slice(offset + 1 - first) : readMore
  }

  /** Undoes `enter` and `join`. Call it once. */
  leave(member: Member): void {
    this.remove(member)
    this.catchUp(member)
    if (--this.users === 0) this.host.release(this)
  }

  /** The member gets no more publications, until it joins again. */
  remove(member: Member): void {
    const { index } = member
    if (index < 0) return
    member.index = -1
    this.size--
    // While publications are delivered, no other member may change its place.
    this.members[index] = undefined
    if (this.delivering) return
    const last = this.members.pop()
    if (last === undefined || index === this.members.length) return
    this.members[index] = last
    last.index = index
  }

  // The flow

  deliver(publication: Publication): void {
    if (this.behind.size > 0) {
      this.recent.push(publication)
      if (this.recent.length > maxRecent) this.recent.splice(0, maxRecent / 2)
    }
    const delivery = new Delivery(publication, this.name)
    this.each((member) => member.deliver(delivery))
    if (delivery.isPending) this.lastPending = delivery
  }

  gap(position: Position): void {
    const isSameEpoch = this.epoch === position.epoch
    this.epoch = position.epoch
    this.recent = []
    let told = 0
    this.each((member) => {
      if (isSameEpoch && member.ahead >= position.offset) return
      member.ahead = 0
      told++
      member.gap(position)
    })
    this.host.gapped?.(told)
  }

  read(since: Position): void {
    this.host.read(this, since)
  }

  private each(call: (member: Member) => void): void {
    const { members } = this
    // Members that join meanwhile have everything up to here.
    const { length } = members
    this.delivering = true
    for (let index = 0; index < length; index++) {
      const member = members[index]
      if (member !== undefined) call(member)
    }
    this.delivering = false
    if (members.length > this.size) this.compact()
  }

  private compact(): void {
    const { members } = this
    let next = 0
    for (const member of members) {
      if (member === undefined) continue
      members[next] = member
      member.index = next++
    }
    members.length = next
  }
}
