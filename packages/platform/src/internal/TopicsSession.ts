import { Binary, type Message } from "@effect-websocket/protocol/Message"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { toMessage, type Data } from "../engine/connection/sendable.js"
import { randomToken } from "../engine/random.js"
import type { Position } from "../engine/topics/Publication.js"
import { binary, json, type Form } from "../engine/topics/wire/Form.js"
import type { Answer, Request } from "../engine/topics/wire/TopicsMessage.js"
import { Waiters } from "../engine/Waiters.js"
import type * as WebSocket from "../WebSocket.js"
import { ClientPresence, unavailable, type Done } from "./ClientPresence.js"
import { ClientTopic, type Beginning } from "./ClientTopic.js"
import { awaitCallback, catch_, deferredDoneUnsafe, deferredMakeUnsafe, forever } from "./effect.js"
import type { StreamMember } from "./StreamMember.js"
import { isReason, TopicError } from "./TopicError.js"
import { gap, type Started } from "./topicEvents.js"
import { waitUntil } from "./waiting.js"

/** A request that has no answer yet. */
interface Pending {
  readonly request: Request
  readonly topic: string
  readonly done: Done
}

/**
 * What a client wants of its topics: it is the same for all connections, and each new connection is told. `connected` takes
 * a connection, `receive` what arrives, and `send` sends what there is to send.
 */
export class TopicsSession {
  private readonly maxPublishes: number
  private readonly topics = new Map<string, ClientTopic>()
  readonly presence = new ClientPresence((topic, make, done) => this.request(topic, make, done))
  private readonly pending = new Map<number, Pending>()
  private readonly wakes = new Waiters()
  private queue: Array<Request> = []
  private socket: WebSocket.WebSocket | undefined = undefined
  private form: Form | undefined = undefined
  private lastId = 0
  private publishes = 0
  private failure: { readonly cause: unknown } | undefined = undefined
  /** Something was received since the last ping. */
  private isAlive = true
  private nextChecked = 0

  constructor(maxPublishes: number) {
    this.maxPublishes = maxPublishes
  }

  // The connection

  /** A new connection. In one step it is to be told everything. */
  connected(socket: WebSocket.WebSocket, form: Form): void {
    this.socket = socket
    this.form = form
    this.queue = []
    this.isAlive = true
    for (const topic of this.topics.values()) {
      topic.phase = "idle"
    }
    // Publishes come first. As requests are answered in order, their positions are known before the subscriptions go on, so
    // that their publications do not look like those of others. All other requests are made anew.
    for (const [id, { request }] of this.pending) {
      if (request.type === "publish") this.queue.push(request)
      else this.pending.delete(id)
    }
    this.presence.connected()
    for (const topic of this.topics.values()) this.sync(topic)
    this.wakes.wakeAll()
  }

  /** Sends what there is to send, one message after another, until it is interrupted. */
  readonly send: Effect.Effect<never> = forever(
    Effect.andThen(
      waitUntil(this.wakes, () => this.queue.length > 0),
      Effect.suspend(() => {
        const { form, socket } = this
        const request = this.queue.shift()
        if (request === undefined || socket === undefined || form === undefined) return Effect.void
        return catch_(socket.send(form.encode(request)), (error) =>
          Effect.sync(() => {
            // If the connection has ended, the next one is told everything.
            if (error._tag === "Payload_too_large" && error.direction === "outbound" && "id" in request) {
              this.settle(request.id, { reason: "TooLarge", max: error.max })
            }
          })
        )
      })
    )
  )

  private request(topic: string, make: (id: number) => Request, done: Done): number {
    const id = ++this.lastId
    const request = make(id)
    this.pending.set(id, { request, topic, done })
    if (this.socket !== undefined) {
      this.queue.push(request)
      this.wakes.wakeAll()
    }
    return id
  }

  /** There will be no other connection. */
  end(cause: unknown): void {
    if (this.failure !== undefined) return
    this.failure = { cause }
    const pending = [...this.pending.values()]
    this.pending.clear()
    for (const { done, topic } of pending) done(unavailable(topic, cause))
    for (const topic of this.topics.values()) topic.fail(unavailable(topic.name, cause))
    this.topics.clear()
    this.presence.end(cause)
  }

  // What arrives

  /**
   * Returns `undefined` for data that is not a message of a server. The effect waits if a subscriber makes the connection wait.
   * Messages of an earlier connection may come behind the beginning of the next one.
   */
  receive(message: Message): Effect.Effect<void> | undefined {
    const answer = (message._tag === "Text" ? json : binary).decodeAnswer(message)
    if (answer === undefined) return undefined
    this.isAlive = true
    return this.take(answer) ?? Effect.void
  }

  private take(answer: Answer): Effect.Effect<void> | undefined {
    switch (answer.type) {
      case "ok":
        this.settle(answer.id, answer.position)
        return undefined
      case "error":
        this.settle(answer.id, { reason: answer.reason, max: answer.max })
        return undefined
      case "started":
        this.topics.get(answer.topic)?.started(startedOf(answer))
        return undefined
      case "publication": {
        const delivery = this.topics.get(answer.topic)?.publication(answer.position, answer.data)
        return delivery && awaitCallback((resume) => delivery.whenDone(() => resume(Effect.void)))
      }
      default:
        this.presence.take(answer)
        return undefined
    }
  }

  private settle(id: number, answer: Position | undefined | Refusal): void {
    const pending = this.pending.get(id)
    if (pending === undefined) return
    this.pending.delete(id)
    const { done, topic } = pending
    done(isRefusal(answer) ? errorOf(topic, answer) : answer)
  }

  // Publishing

  publish(topic: string, data: Data, key: string = randomToken(), echo = false): Effect.Effect<Position, TopicError> {
    return Effect.suspend(() => {
      if (this.failure !== undefined) return Effect.fail(unavailable(topic, this.failure.cause))
      if (this.publishes >= this.maxPublishes) {
        return Effect.fail(unavailable(topic, `${this.publishes} publications wait for their acknowledgement`))
      }
      // Bytes may be sent again later.
      const message = copied(toMessage(data))
      const acknowledged = deferredMakeUnsafe<Position, TopicError>()
      return Effect.acquireUseRelease(
        Effect.sync(() => {
          this.publishes++
          return this.request(
            topic,
            (id) => ({ type: "publish", id, topic, key, echo, data: message }),
            (outcome) => {
              const isDone = outcome !== undefined && !(outcome instanceof TopicError)
              if (isDone && !echo) this.topics.get(topic)?.published(outcome)
              const error = outcome ?? unavailable(topic, "the server named no position")
              deferredDoneUnsafe(acknowledged, error instanceof TopicError ? Exit.fail(error) : Exit.succeed(error))
            }
          )
        }),
        () => Deferred.await(acknowledged),
        (id) =>
          Effect.sync(() => {
            this.publishes--
            const pending = this.pending.get(id)
            if (pending === undefined) return
            this.pending.delete(id)
            // It was sent, or it is not to be sent any more.
            this.queue = this.queue.filter((request) => request !== pending.request)
          })
      )
    })
  }

  // Subscriptions

  /** Adds a subscriber. Returns what removes it. */
  enter(name: string, member: StreamMember, beginning: Beginning): () => void {
    if (this.failure !== undefined) {
      member.fail(unavailable(name, this.failure.cause))
      return ignore
    }
    let topic = this.topics.get(name)
    if (topic === undefined) {
      topic = new ClientTopic(name)
      this.topics.set(name, topic)
    }
    topic.add(member, beginning)
    this.sync(topic)
    const entered = topic
    return () => {
      entered.members.delete(member)
      if (entered.members.size === 0) entered.abandon()
      this.sync(entered)
    }
  }

  /** Asks for the next step towards what the subscribers of a topic want. */
  private sync(topic: ClientTopic): void {
    if (this.failure !== undefined) return
    const isWanted = topic.members.size > 0
    if (topic.phase === "subscribed" && (!isWanted || topic.isStale)) this.unsubscribe(topic)
    else if (topic.phase === "idle") {
      if (!isWanted) this.topics.delete(topic.name)
      else if (this.socket !== undefined) this.subscribe(topic)
    }
  }

  private subscribe(topic: ClientTopic): void {
    topic.phase = "subscribing"
    const { last, since } = topic.begin()
    this.request(
      topic.name,
      (id) => ({ type: "subscribe", id, topic: topic.name, since, last }),
      (outcome) => {
        const isRefused = outcome instanceof TopicError
        topic.phase = isRefused ? "idle" : "subscribed"
        if (isRefused) this.refused(topic, outcome)
        else this.sync(topic)
      }
    )
  }

  /** A server that is not available now is asked again with the next ping. */
  private refused(topic: ClientTopic, error: TopicError): void {
    if (error.reason === "Unavailable") return
    this.topics.delete(topic.name)
    topic.fail(error)
  }

  private unsubscribe(topic: ClientTopic): void {
    topic.phase = "unsubscribing"
    topic.isStale = false
    topic.expected = undefined
    this.request(
      topic.name,
      (id) => ({ type: "unsubscribe", id, topic: topic.name }),
      () => {
        topic.phase = "idle"
        this.sync(topic)
      }
    )
  }

  /**
   * Asks whether the connection is alive, and whether one of the topics has everything. Returns `false` if nothing has
   * arrived since the last call.
   */
  check(): boolean {
    if (this.socket === undefined) return true
    if (!this.isAlive) return false
    this.isAlive = false
    const topics = [...this.topics.values()]
    for (const each of topics) this.sync(each)
    this.presence.check()
    const topic = topics.length === 0 ? undefined : topics[this.nextChecked++ % topics.length]
    if (topic !== undefined && !topic.hasArrived) {
      topic.isStale = true
      this.sync(topic)
    }
    const name = topic?.phase === "subscribed" ? topic.name : undefined
    this.request(
      name ?? "",
      (id) => ({ type: "ping", id, topic: name }),
      (outcome) => {
        if (topic !== undefined && !(outcome instanceof TopicError)) topic.expected = outcome
      }
    )
    return true
  }
}

const ignore = (): void => {}

/** The message with bytes that nobody changes. */
const copied = (message: Message): Message => (message._tag === "Text" ? message : new Binary(message.data.slice()))

interface Refusal {
  readonly reason: string
  readonly max: number | undefined
}

const isRefusal = (answer: Position | undefined | Refusal): answer is Refusal =>
  answer !== undefined && "reason" in answer

/** A reason that a later version of the protocol has, and this one does not know, is none that the client could act on. */
const errorOf = (topic: string, { max, reason }: Refusal): TopicError =>
  isReason(reason)
    ? new TopicError({ reason, topic, max, cause: reason === "Unavailable" ? "the server says so" : undefined })
    : unavailable(topic, reason)

const startedOf = ({ how, missed, position }: Extract<Answer, { readonly type: "started" }>): Started => {
  switch (how) {
    case "new":
      return { _tag: "New", position }
    case "recovered":
      return { _tag: "Recovered", position, missed }
    case "gap":
      return gap(position)
  }
}
