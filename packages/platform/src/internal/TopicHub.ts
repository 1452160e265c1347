import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { LocalTopic, readMore, type LocalTopicHost, type Member } from "../engine/topics/LocalTopic.js"
import type { HistoryPage, Position, Publication } from "../engine/topics/Publication.js"
import { toMessage, type Data } from "../engine/connection/sendable.js"
import { randomToken } from "../engine/random.js"
import type * as TopicBroker from "../TopicBroker.js"
import type { AnyWebSocket } from "../WebSocket.js"
import { BaseWebSocket } from "./BaseWebSocket.js"
import {
  awaitCallback,
  capDelays,
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
import { SendingWebSocket } from "./SendingWebSocket.js"
import { sentEffect } from "./sending.js"
import { SocketMember, TopicConnection, type MemberSettings } from "./SocketMember.js"
import { StreamMember, tooSlow } from "./StreamMember.js"
import { gap, type Started, type TopicEvent } from "./topicEvents.js"
import { TopicError } from "./TopicError.js"

/** Where a subscriber begins. */
export interface Beginning {
  readonly since: Position | undefined
  readonly last: number
}

interface Attached {
  readonly connection: TopicConnection
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
const suspending = { sendStrategy: "suspend" } as const
const retries = capDelays("5 seconds")(Schedule.exponential("100 millis"))

const isFailed = (topic: LocalTopic): Effect.Effect<void, TopicError> =>
  Effect.suspend(() =>
    topic.failure === undefined ? Effect.void : Effect.fail(toError(topic.name, topic.failure.cause))
  )

const toError = (topic: string, cause: unknown): TopicError =>
  cause instanceof TopicError ? cause : new TopicError({ reason: "Unavailable", topic, cause })

/** The topics of one process, over a broker. */
export class TopicHub implements LocalTopicHost {
  private readonly broker: TopicBroker.Service
  private readonly runtime: Runtime<never>
  private readonly id = randomToken()
  private readonly topics = new Map<string, LocalTopic>()
  private readonly subscriptions = new Map<LocalTopic, Subscription>()
  private readonly connections = new Map<object, TopicConnection>()
  private lastConnection = 0

  constructor(broker: TopicBroker.Service, runtime: Runtime<never>) {
    this.broker = broker
    this.runtime = runtime
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
        onFailure: (cause) => this.fail(topic, cause),
        onSuccess: (position) => topic.begin(position)
      })
    )
    return topic
  }

  private fail(topic: LocalTopic, cause: unknown): void {
    if (this.topics.get(topic.name) === topic) this.topics.delete(topic.name)
    topic.fail(cause)
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
    beginning: Beginning
  ): Effect.Effect<Started, TopicError | ConnectionError, Scope.Scope> {
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        Effect.acquireRelease(
          Effect.suspend(() => this.addMember(socket, name, settings)),
          ({ member }) => Effect.sync(() => member.end())
        ),
        ({ connection, member, topic }) =>
          Effect.onError(restore(this.begin(connection, member, topic, beginning)), () =>
            Effect.sync(() => member.end())
          )
      )
    )
  }

  private addMember(
    socket: AnyWebSocket,
    name: string,
    settings: MemberSettings
  ): Effect.Effect<Attached, TopicError | ConnectionError> {
    if (!(socket instanceof SendingWebSocket))
      return Effect.die(new TypeError("attach needs a WebSocket of this library"))
    const { link, sender } = socket
    if (sender.isOver) return Effect.fail(link.terminalError("local"))
    let connection = this.connections.get(link)
    if (connection === undefined) {
      connection = new TopicConnection(`${this.id}:${++this.lastConnection}`, link, sender, () => {
        this.connections.delete(link)
      })
      this.connections.set(link, connection)
      link.addOwner(connection)
    }
    if (connection.members.has(name)) return Effect.fail(new TopicError({ reason: "AlreadyAttached", topic: name }))
    const topic = this.enter(name)
    const member = new SocketMember(connection, topic, settings)
    connection.members.set(name, member)
    return Effect.succeed({ connection, member, topic })
  }

  /** Ends the membership of a connection in a topic. Does nothing if there is none. */
  detach(socket: AnyWebSocket, name: string): void {
    if (socket instanceof BaseWebSocket) this.connections.get(socket.link)?.members.get(name)?.end()
  }

  private begin(
    { sender }: TopicConnection,
    member: SocketMember,
    topic: LocalTopic,
    beginning: Beginning
  ): Effect.Effect<Started, TopicError | ConnectionError> {
    let started: Started | undefined
    const emit = (event: TopicEvent): Effect.Effect<void, ConnectionError> =>
      Effect.suspend(() => {
        if (event._tag !== "Publication") {
          started ??= event
          member.tell(event)
          return Effect.void
        }
        const data = member.messageOf(event)
        return data === undefined ? Effect.void : sentEffect(sender.sendNow(data, undefined, suspending))
      })
    return Effect.flatMap(this.catchUp(topic, member, beginning, emit), () =>
      started === undefined
        ? Effect.fail(new TopicError({ reason: "Unavailable", topic: topic.name }))
        : Effect.succeed(started)
    )
  }

  private awaitReady(topic: LocalTopic): Effect.Effect<void, TopicError> {
    const wait = awaitCallback<void>((resume) => topic.ready.add(() => resume(Effect.void)))
    return Effect.suspend(() =>
      topic.position === undefined && topic.failure === undefined
        ? Effect.andThen(wait, isFailed(topic))
        : isFailed(topic)
    )
  }

  /**
   * Emits how a member begins, and what it has missed. Then adds it to its topic, in the step in which nothing is missing.
   */
  private catchUp<E>(
    topic: LocalTopic,
    member: Member,
    { last, since }: Beginning,
    emit: (event: TopicEvent) => Effect.Effect<void, E>
  ): Effect.Effect<void, E | TopicError> {
    /** Begins now, with this element. */
    const beginNow = (make: (position: Position) => Started): Effect.Effect<void, E | TopicError> =>
      Effect.suspend((): Effect.Effect<void, E | TopicError> => {
        topic.join(member, undefined)
        // It has a position, because the subscription is active.
        return topic.position === undefined ? isFailed(topic) : emit(make(topic.position))
      })
    const history = (from: Position | undefined, limit: number) =>
      this.broker.history(topic.name, { since: from, limit })
    const emitAll = (publications: ReadonlyArray<Publication>, from: Position): Effect.Effect<void, E | TopicError> =>
      Effect.flatMap(Effect.forEach(publications, emit, { discard: true }), () =>
        joinAt(publications.at(-1)?.position ?? from)
      )
    const joinAt = (position: Position): Effect.Effect<void, E | TopicError> =>
      Effect.suspend(() => {
        const missing = topic.join(member, position)
        if (missing === undefined) return Effect.void
        if (missing !== readMore) return emitAll(missing, position)
        return Effect.flatMap(history(position, pageSize), ({ isComplete, publications }) =>
          isComplete ? emitAll(publications, position) : beginNow(gap)
        )
      })
    const first = (page: HistoryPage): Effect.Effect<void, E | TopicError> => {
      if (!page.isComplete) return beginNow(gap)
      const { newest, publications } = page
      const position = since ?? { epoch: newest.epoch, offset: newest.offset - publications.length }
      const started: Started =
        since === undefined
          ? { _tag: "New", position }
          : { _tag: "Recovered", position, missed: newest.offset - position.offset }
      return Effect.flatMap(emit(started), () => emitAll(publications, position))
    }
    const began =
      since === undefined && last === 0
        ? beginNow((position) => ({ _tag: "New", position }))
        : Effect.suspend(() => {
            topic.fallBehind()
            return Effect.ensuring(
              Effect.flatMap(history(since, since === undefined ? last : pageSize), first),
              Effect.sync(() => topic.catchUp())
            )
          })
    return Effect.andThen(this.awaitReady(topic), began)
  }

  // Streams

  stream(
    name: string,
    strategy: MemberSettings["slow"]["sendStrategy"],
    maxWaitingBytes: number,
    beginning: Beginning
  ): Stream.Stream<TopicEvent, TopicError> {
    return Stream.suspend(() => {
      let topic: LocalTopic | undefined
      const member: StreamMember = new StreamMember(strategy, maxWaitingBytes, () => topic?.remove(member))
      const emit = (event: TopicEvent): Effect.Effect<void> =>
        Effect.sync(() => {
          member.add(event)
        })
      const start = (entered: LocalTopic, from: Beginning): Effect.Effect<void, TopicError> =>
        this.catchUp(entered, member, from, emit)
      const more: Effect.Effect<void, TopicError> = Effect.suspend(() => {
        if (member.isReady) return Effect.void
        const { behind, failure } = member
        if (failure !== undefined) {
          const { cause } = failure
          return Effect.fail(
            cause === tooSlow
              ? new TopicError({ reason: "TooSlow", topic: name, max: maxWaitingBytes })
              : toError(name, cause)
          )
        }
        if (topic === undefined) {
          topic = this.enter(name)
          return Effect.andThen(start(topic, beginning), more)
        }
        if (behind !== undefined) {
          member.behind = undefined
          return Effect.andThen(start(topic, { since: behind, last: 0 }), more)
        }
        return Effect.andThen(
          awaitCallback<void>((resume) => member.wakes.add(() => resume(Effect.void))),
          more
        )
      })
      const reads = <B>(taken: Effect.Effect<B>): Effect.Effect<B, TopicError> => Effect.andThen(more, taken)
      const release = Effect.sync(() => {
        member.fail(undefined)
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
    for (const topic of [...this.topics.values()]) {
      this.fail(topic, new TopicError({ reason: "Unavailable", topic: topic.name, cause: "the topics have ended" }))
      this.release(topic)
    }
  }
}
