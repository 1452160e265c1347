import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { LocalTopic, readMore, type LocalTopicHost, type Member } from "../engine/topics/LocalTopic.js"
import { interrupted, isSame, type Position, type Publication } from "../engine/topics/Publication.js"
import { toMessage, type Data } from "../engine/connection/sendable.js"
import { randomToken } from "../engine/random.js"
import type { SendStrategy } from "../engine/Settings.js"
import type * as TopicBroker from "../TopicBroker.js"
import type { AnyWebSocket } from "../WebSocket.js"
import { BaseWebSocket } from "./BaseWebSocket.js"
import {
  awaitCallback,
  capDelays,
  findErrorOption,
  interruptUnsafe,
  observeFiber,
  runForkWith,
  scopeCloseUnsafe,
  scopeMakeUnsafe,
  scopeProvide,
  streamOfReads,
  type Closeable,
  type Fiber,
  type Runtime
} from "./effect.js"
import { meteredBroker } from "./meteredBroker.js"
import type { Metering } from "./Metering.js"
import { SendingWebSocket } from "./SendingWebSocket.js"
import { sentEffect } from "./sending.js"
import { SocketMember, TopicConnection, type MemberSettings, type TopicConnectionOwner } from "./SocketMember.js"
import { StreamMember, tooSlow } from "./StreamMember.js"
import type { Started, TopicEvent } from "./topicEvents.js"
import { TopicError } from "./TopicError.js"

/** Where a subscriber begins. */
export interface Beginning {
  readonly since: Position | undefined
  readonly last: number
}

interface Attached {
  readonly member: SocketMember
  readonly topic: LocalTopic
}

/** The subscription of a local topic at the broker. */
interface Subscription {
  readonly scope: Closeable
  readonly fibers: Set<Fiber>
}

// How many publications of the history are read at once.
const pageSize = 256
const joined = "joined"
const retries = capDelays("5 seconds")(Schedule.exponential("100 millis"))

/** How a member begins, which it has been told. It has joined if there is no `past`. */
interface Start {
  readonly started: Started
  readonly past: Past | undefined
}

/** Publications of the past, and the position behind them. */
interface Past {
  readonly _tag: "Past"
  readonly publications: ReadonlyArray<Publication>
  readonly position: Position
}

const pastOf = (publications: ReadonlyArray<Publication>, since: Position): Past => ({
  _tag: "Past",
  publications,
  position: publications.at(-1)?.position ?? since
})

/** Sends what a member has missed. Waits for a slow peer, whatever its strategy is: this makes nobody else wait. */
const sendPast = (member: SocketMember, publication: Publication): Effect.Effect<void, ConnectionError | TopicError> =>
  Effect.suspend(() => sentEffect(member.sendPast(publication)))

/** Sums a number of all topics. */
const sumOf = (topics: Iterable<LocalTopic>, name: "memberCount" | "behindCount"): number => {
  let sum = 0
  for (const topic of topics) sum += topic[name]
  return sum
}

const startNames = { New: "new", Recovered: "recovered", Gap: "gap" } as const

/** A member that is told how it begins. */
interface Beginner extends Member {
  tell(event: Started): void
}

/**
 * Joins behind everything that has been delivered, and is told so in the same step, before any publication. The subscription
 * must have begun.
 */
const joinNow = (
  topic: LocalTopic,
  member: Beginner,
  tag: "New" | "Gap",
  metering: Metering | undefined
): Effect.Effect<Started, TopicError> =>
  Effect.suspend(() => {
    topic.join(member, undefined)
    const { position } = topic
    if (position === undefined) return Effect.fail(toError(topic.name, "not subscribed"))
    const started: Started = { _tag: tag, position }
    metering?.topicStarted(startNames[tag])
    member.tell(started)
    return Effect.succeed(started)
  })

/**
 * Whether the subscription is in the epoch that the history is in. Otherwise a gap would name a position in an epoch that has ended:
 * the subscription has yet to hear of the new one, and looks for it.
 */
const hasHeard = (topic: LocalTopic, { epoch }: Position): boolean => {
  if (topic.position?.epoch === epoch) return true
  topic.receive(interrupted)
  return false
}

const failureOf = (topic: string, cause: unknown, max: number): TopicError =>
  cause === tooSlow ? new TopicError({ reason: "TooSlow", topic, max }) : toError(topic, cause)

const unlessFailed = (topic: LocalTopic): Effect.Effect<void, TopicError> =>
  Effect.suspend(() =>
    topic.failure === undefined ? Effect.void : Effect.fail(toError(topic.name, topic.failure.cause))
  )

const toError = (topic: string, cause: unknown): TopicError =>
  cause instanceof TopicError ? cause : new TopicError({ reason: "Unavailable", topic, cause })

/** The topics of one process, over a broker. */
export class TopicHub implements LocalTopicHost, TopicConnectionOwner {
  private readonly broker: TopicBroker.Service
  private readonly runtime: Runtime<never>
  private readonly metering: Metering | undefined
  private readonly id = randomToken()
  private readonly topics = new Map<string, LocalTopic>()
  private readonly subscriptions = new Map<LocalTopic, Subscription>()
  private readonly connections = new Map<object, TopicConnection>()
  private lastConnection = 0

  constructor(broker: TopicBroker.Service, runtime: Runtime<never>, metering?: Metering) {
    this.metering = metering
    this.broker = metering === undefined ? broker : meteredBroker(broker, metering)
    this.runtime = runtime
  }

  /** How many members all topics have. */
  get members(): number {
    return sumOf(this.topics.values(), "memberCount")
  }

  /** How many members of all topics read the history. */
  get lagging(): number {
    return sumOf(this.topics.values(), "behindCount")
  }

  /** How many members of this process a topic has. */
  memberCount(name: string): number {
    return this.topics.get(name)?.memberCount ?? 0
  }

  // Publishing

  publish(
    name: string,
    data: Data,
    idempotencyKey: string | undefined,
    except: AnyWebSocket | undefined
  ): Effect.Effect<Position, TopicError> {
    return Effect.suspend(() => {
      const publisher = except instanceof BaseWebSocket ? this.connections.get(except.link)?.id : undefined
      const published = this.broker.publish(name, toMessage(data), { idempotencyKey, publisher })
      return Effect.flatMap(published, ({ position }) => this.delivered(name, position))
    })
  }

  /** Waits for the members that make publishers wait. */
  private delivered(name: string, position: Position): Effect.Effect<Position> {
    const delivery = this.topics.get(name)?.lastPending
    if (delivery?.isPending !== true) return Effect.succeed(position)
    return awaitCallback<Position>((resume) => delivery.whenDone(() => resume(Effect.succeed(position))))
  }

  // The broker

  read(topic: LocalTopic, since: Position): void {
    const subscription = this.subscriptions.get(topic)
    if (subscription === undefined) return
    const read = Effect.retry(this.broker.history(topic.name, { since, limit: pageSize }), retries)
    this.fork(
      subscription,
      Effect.map(read, (page) => topic.readPage(page))
    )
  }

  /** Compares the positions of all topics with those of the broker, and reads what is missing. */
  get check(): Effect.Effect<void> {
    return Effect.suspend(() =>
      Effect.forEach(
        [...this.topics.values()],
        (topic) =>
          Effect.ignore(
            Effect.map(this.broker.position(topic.name), (newest) => {
              if (topic.position !== undefined && !isSame(topic.position, newest)) topic.receive(interrupted)
            })
          ),
        { discard: true }
      )
    )
  }

  private fork(subscription: Subscription, effect: Effect.Effect<void, TopicError>): void {
    const { fibers } = subscription
    const fiber: Fiber = runForkWith(this.runtime)(Effect.ignore(effect))
    fibers.add(fiber)
    observeFiber(fiber, () => fibers.delete(fiber))
  }

  private enter(name: string): LocalTopic {
    const known = this.topics.get(name)
    if (known !== undefined) {
      known.enter()
      return known
    }
    const topic = new LocalTopic(name, this)
    this.topics.set(name, topic)
    topic.enter()
    const subscription = { scope: scopeMakeUnsafe(), fibers: new Set<Fiber>() }
    this.subscriptions.set(topic, subscription)
    const subscribed = scopeProvide(
      this.broker.subscribe(name, (event) => topic.receive(event)),
      subscription.scope
    )
    this.fork(
      subscription,
      Effect.matchCause(subscribed, {
        onFailure: (cause) =>
          this.fail(
            topic,
            Option.getOrElse(findErrorOption(cause), () => cause)
          ),
        onSuccess: (position) => topic.begin(position)
      })
    )
    return topic
  }

  private fail(topic: LocalTopic, cause: unknown): void {
    if (this.topics.get(topic.name) === topic) this.topics.delete(topic.name)
    topic.fail(cause)
  }

  gapped(members: number): void {
    this.metering?.topicStarted("gap", members)
  }

  release(topic: LocalTopic): void {
    if (this.topics.get(topic.name) === topic) this.topics.delete(topic.name)
    const subscription = this.subscriptions.get(topic)
    if (subscription === undefined) return
    this.subscriptions.delete(topic)
    for (const fiber of subscription.fibers) interruptUnsafe(fiber)
    const closing = scopeCloseUnsafe(subscription.scope, Exit.void)
    if (closing !== undefined) runForkWith(this.runtime)(closing)
  }

  // Members

  /** Attaches a connection to a topic. The membership ends with the scope, and with the connection. */
  attach(
    socket: AnyWebSocket,
    name: string,
    settings: MemberSettings,
    beginning: Beginning,
    maxTopics = Number.POSITIVE_INFINITY
  ): Effect.Effect<Started, TopicError | ConnectionError, Scope.Scope> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        Effect.flatMap(Effect.scope, (scope) => this.addMember(socket, name, settings, maxTopics, scope)),
        // In this step it has an owner: the scope, and the connection.
        (attached) =>
          Effect.onError(restore(this.begin(attached, beginning)), () => Effect.sync(() => attached.member.end()))
      )
    )
  }

  private addMember(
    socket: AnyWebSocket,
    name: string,
    settings: MemberSettings,
    maxTopics: number,
    scope: Scope.Scope
  ): Effect.Effect<Attached, TopicError | ConnectionError> {
    if (!(socket instanceof SendingWebSocket))
      return Effect.die(new TypeError("attach needs a WebSocket of this library"))
    const { link, sender } = socket
    if (sender.isOver) return Effect.fail(link.terminalError("local"))
    let connection = this.connections.get(link)
    if (connection === undefined) {
      connection = new TopicConnection(link, sender, this)
      this.connections.set(link, connection)
      link.addOwner(connection)
    }
    if (connection.memberIn(name) !== undefined)
      return Effect.fail(new TopicError({ reason: "AlreadyAttached", topic: name }))
    if (connection.size >= maxTopics) {
      return Effect.fail(new TopicError({ reason: "TooManyTopics", topic: name, max: maxTopics }))
    }
    const place = connection.placeIn(scope)
    if (place.isClosed) return Effect.fail(new TopicError({ reason: "Detached", topic: name }))
    const topic = this.enter(name)
    const member = new SocketMember(connection, topic, settings, place)
    connection.join(member)
    return Effect.succeed({ member, topic })
  }

  makeId(): string {
    return `${this.id}:${++this.lastConnection}`
  }

  forget({ link }: TopicConnection): void {
    this.connections.delete(link)
  }

  report(defect: unknown): void {
    runForkWith(this.runtime)(Effect.logError("A topic could not send a publication", defect))
  }

  /** Ends the membership of a connection in a topic. Does nothing if there is none. */
  detach(socket: AnyWebSocket, name: string): void {
    if (socket instanceof BaseWebSocket) this.connections.get(socket.link)?.memberIn(name)?.end()
  }

  /** Tells how it begins, and sends what was missed. Fails if the membership ends meanwhile. */
  private begin(
    { member, topic }: Attached,
    beginning: Beginning
  ): Effect.Effect<Started, TopicError | ConnectionError> {
    const goOn = ({ position, publications }: Past): Effect.Effect<void, TopicError | ConnectionError> =>
      Effect.andThen(
        Effect.forEach(publications, (publication) => sendPast(member, publication), { discard: true }),
        Effect.flatMap(this.advance(topic, member, position), (next) => (next === joined ? Effect.void : goOn(next)))
      )
    const unlessOver = Effect.suspend(() =>
      member.isOver ? Effect.fail(new TopicError({ reason: "Detached", topic: topic.name })) : Effect.void
    )
    return Effect.flatMap(this.start(topic, member, beginning), ({ past, started }) =>
      Effect.as(Effect.andThen(past === undefined ? Effect.void : goOn(past), unlessOver), started)
    )
  }

  private awaitReady(topic: LocalTopic): Effect.Effect<void, TopicError> {
    const wait = awaitCallback<void>((resume) => topic.ready.add(() => resume(Effect.void)))
    return Effect.suspend(() =>
      topic.position === undefined && topic.failure === undefined
        ? Effect.andThen(wait, unlessFailed(topic))
        : unlessFailed(topic)
    )
  }

  /** Tells a member how it begins. It has joined, or goes on with `advance` from `position`. */
  private start(topic: LocalTopic, member: Beginner, { last, since }: Beginning): Effect.Effect<Start, TopicError> {
    const began: Effect.Effect<Start, TopicError> = Effect.suspend((): Effect.Effect<Start, TopicError> => {
      if (since === undefined && last === 0) {
        return Effect.map(joinNow(topic, member, "New", this.metering), (started) => ({ started, past: undefined }))
      }
      topic.fallBehind(member)
      return Effect.flatMap(
        this.broker.history(topic.name, { since, limit: since === undefined ? last : pageSize }),
        ({ isComplete, newest, publications }): Effect.Effect<Start, TopicError> => {
          if (!isComplete) {
            return hasHeard(topic, newest)
              ? Effect.map(joinNow(topic, member, "Gap", this.metering), (started) => ({ started, past: undefined }))
              : Effect.delay(began, "10 millis")
          }
          const position = since ?? { epoch: newest.epoch, offset: newest.offset - publications.length }
          const started: Started =
            since === undefined
              ? { _tag: "New", position }
              : { _tag: "Recovered", position, missed: newest.offset - position.offset }
          this.metering?.topicStarted(startNames[started._tag])
          member.tell(started)
          return Effect.succeed({ started, past: pastOf(publications, position) })
        }
      )
    })
    return Effect.andThen(this.awaitReady(topic), began)
  }

  /** Joins if nothing is missing behind `since`, or with a gap. Otherwise succeeds with what follows. */
  private advance(
    topic: LocalTopic,
    member: Beginner,
    since: Position
  ): Effect.Effect<typeof joined | Past, TopicError> {
    return Effect.suspend((): Effect.Effect<typeof joined | Past, TopicError> => {
      const missing = topic.join(member, since)
      if (missing === undefined) return Effect.succeed(joined)
      if (missing !== readMore) return Effect.succeed(pastOf(missing, since))
      return Effect.flatMap(
        this.broker.history(topic.name, { since, limit: pageSize }),
        ({ isComplete, newest, publications }): Effect.Effect<typeof joined | Past, TopicError> => {
          if (!isComplete && hasHeard(topic, newest))
            return Effect.as(joinNow(topic, member, "Gap", this.metering), joined)
          if (publications.length > 0) return Effect.succeed(pastOf(publications, since))
          // The subscription has not heard yet that the topic began again.
          return Effect.delay(this.advance(topic, member, since), "10 millis")
        }
      )
    })
  }

  // Streams

  stream(
    name: string,
    strategy: SendStrategy,
    maxWaitingBytes: number,
    beginning: Beginning
  ): Stream.Stream<TopicEvent, TopicError> {
    return Stream.suspend(() => {
      let topic: LocalTopic | undefined
      const member: StreamMember = new StreamMember(strategy, maxWaitingBytes, () => {
        topic?.remove(member)
        topic?.fallBehind(member)
      })
      const addPast = (past: Past | undefined) => {
        if (past === undefined) return
        member.behind = past.position
        for (const publication of past.publications) member.add(publication)
      }
      const begin = (entered: LocalTopic) =>
        Effect.map(this.start(entered, member, beginning), ({ past }) => addPast(past))
      const goOn = (entered: LocalTopic, position: Position) =>
        Effect.suspend(() => {
          // From the step in which it joins, it may fall behind again.
          member.behind = undefined
          return Effect.map(this.advance(entered, member, position), (next) =>
            addPast(next === joined ? undefined : next)
          )
        })
      const wait = awaitCallback<void>((resume) => member.wakes.add(() => resume(Effect.void)))
      // The topic is left at the end of the stream, which is certain before this begins.
      const more: Effect.Effect<void, TopicError> = Effect.suspend(() => {
        if (member.isReady) return Effect.void
        if (member.failure !== undefined) return Effect.fail(failureOf(name, member.failure.cause, maxWaitingBytes))
        if (topic === undefined) {
          topic = this.enter(name)
          return Effect.andThen(begin(topic), more)
        }
        return Effect.andThen(member.behind === undefined ? wait : goOn(topic, member.behind), more)
      })
      const reads = <B>(taken: Effect.Effect<B>): Effect.Effect<B, TopicError> => Effect.andThen(more, taken)
      const release = Effect.sync(() => {
        member.end()
        topic?.leave(member)
      })
      return Stream.ensuring(
        streamOfReads<TopicEvent, TopicError>(reads, () => member.take()),
        release
      )
    })
  }

  /** The hub has ended, and so does everything that it has. */
  end(): void {
    for (const topic of this.topics.values()) {
      this.fail(topic, new TopicError({ reason: "Unavailable", topic: topic.name, cause: "the topics have ended" }))
      this.release(topic)
    }
  }
}
