import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import { share, type Message } from "@effect-websocket/protocol/Message"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { invalidPayload, tryAgainLater } from "../engine/connection/closeCodes.js"
import { toMessage, type Data } from "../engine/connection/sendable.js"
import type { Position } from "../engine/topics/Publication.js"
import type { Form } from "../engine/topics/wire/Form.js"
import type { Answer, Request } from "../engine/topics/wire/TopicsMessage.js"
import type * as Presence from "../Presence.js"
import type { ConnectionTopics } from "../Topics.js"
import type * as WebSocket from "../WebSocket.js"
import { catch_, scopeMakeUnsafe, scopeProvide, type Closeable, type Fiber as AnyFiber } from "./effect.js"
import { tooLarge, TopicError } from "./TopicError.js"
import type { TopicEvent } from "./topicEvents.js"

/** A form, and its encodings of what many connections are told. */
export class SharedForm {
  readonly form: Form
  private readonly encoded = new WeakMap<object, Message>()

  constructor(form: Form) {
    this.form = form
  }

  readonly encodeEvent = (event: TopicEvent, topic: string): Data => {
    const { position } = event
    switch (event._tag) {
      case "Publication":
        return this.form.encode({ type: "publication", topic, position, data: event.message })
      case "Recovered":
        return this.form.encode({ type: "started", topic, how: "recovered", position, missed: event.missed })
      case "New":
        return this.form.encode({ type: "started", topic, how: "new", position, missed: 0 })
      case "Gap":
        return this.form.encode({ type: "started", topic, how: "gap", position, missed: 0 })
    }
  }

  /** An element belongs to one topic. */
  encodePresence(event: Presence.PresenceEvent, topic: string): Message {
    let message = this.encoded.get(event)
    if (message === undefined) {
      const { _tag, ...members } = event
      const data =
        "members" in members
          ? this.form.encode({ type: "present", topic, ...members })
          : this.form.encode({ type: "changed", topic, ...members })
      message = share(toMessage(data))
      this.encoded.set(event, message)
    }
    return message
  }
}

interface Session {
  readonly topic: string
  readonly key: string
  readonly scope: Closeable
  readonly tracked: Presence.Tracked
}

export interface TopicsConnectionSettings {
  readonly maxTopics: number
  readonly owner: string | undefined
}

/** One connection of a server of topics. Its requests are handled one after another. */
export class TopicsConnection<R> {
  private readonly socket: WebSocket.WebSocket
  private readonly shared: SharedForm
  private readonly topics: ConnectionTopics<R>
  private readonly presence: Presence.Service
  private readonly settings: TopicsConnectionSettings
  private readonly sessions = new Map<number, Session>()
  private readonly watches = new Map<string, AnyFiber>()

  constructor(
    socket: WebSocket.WebSocket,
    shared: SharedForm,
    topics: ConnectionTopics<R>,
    presence: Presence.Service,
    settings: TopicsConnectionSettings
  ) {
    this.socket = socket
    this.shared = shared
    this.topics = topics
    this.presence = presence
    this.settings = settings
  }

  /** Reads the connection until it ends. The scope is that of the connection. */
  get run(): Effect.Effect<void, ConnectionError, R | Scope.Scope> {
    const untrackAll = Effect.suspend(() =>
      Effect.forEach([...this.sessions.keys()], (session) => this.untrack(session), { discard: true })
    )
    return Effect.ensuring(
      this.socket.run((message) => this.receive(message)),
      untrackAll
    )
  }

  private receive(message: Message): Effect.Effect<void, ConnectionError, R | Scope.Scope> {
    const request = this.shared.form.decodeRequest(message)
    if (request === undefined) return Effect.ignore(this.socket.close(invalidPayload, "not a request"))
    return catch_(
      Effect.flatMap(this.handle(request), (position) =>
        position === later ? Effect.void : this.answer({ type: "ok", id: request.id, position })
      ),
      (error) => (error instanceof TopicError ? this.refuse(request.id, error) : Effect.fail(error))
    )
  }

  private answer(answer: Answer): Effect.Effect<void, ConnectionError> {
    return this.socket.send(this.shared.form.encode(answer))
  }

  private refuse(id: number, { max, reason }: TopicError): Effect.Effect<void, ConnectionError> {
    return this.answer({ type: "error", id, reason, max })
  }

  private handle(
    request: Request
  ): Effect.Effect<Position | undefined | typeof later, TopicError | ConnectionError, R | Scope.Scope> {
    switch (request.type) {
      case "subscribe": {
        const { last, since, topic } = request
        const { encodeEvent } = this.shared
        return Effect.as(
          this.topics.attach(topic, { since, last, encode: encodeEvent, slowCloseCode: tryAgainLater }),
          undefined
        )
      }
      case "unsubscribe":
        return Effect.as(this.topics.detach(request.topic), undefined)
      case "publish":
        return this.topics.publish(request.topic, request.data, { idempotencyKey: request.key, echo: request.echo })
      case "ping":
        return request.topic === undefined ? Effect.succeed(undefined) : this.topics.position(request.topic)
      case "track":
        return Effect.as(this.track(request), undefined)
      case "untrack":
        return Effect.as(this.untrack(request.session), undefined)
      case "watch":
        return this.watch(request)
      case "unwatch":
        return Effect.as(this.unwatch(watchKey(request)), undefined)
    }
  }

  // Presence

  /** `isMore`: whether there will be one more than before. */
  private allowPresence(topic: string, isMore: boolean): Effect.Effect<void, TopicError, R> {
    const max = this.settings.maxTopics
    return Effect.suspend(() =>
      isMore && this.sessions.size + this.watches.size >= max
        ? Effect.fail(new TopicError({ reason: "TooManyTopics", topic, max }))
        : this.topics.allow(topic, "presence")
    )
  }

  private track({ key, meta, session, topic }: Track): Effect.Effect<void, TopicError, R | Scope.Scope> {
    // The server knows better who this is.
    const member = this.settings.owner ?? key
    const known = this.sessions.get(session)
    if (member.length > maxKeyLength) return Effect.fail(tooLarge(topic, maxKeyLength))
    if (meta.length > maxMetaLength) return Effect.fail(tooLarge(topic, maxMetaLength))
    if (known?.topic === topic && known.key === member) return known.tracked.update(meta)
    const { presence, sessions } = this
    const begin = Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const scope = scopeMakeUnsafe()
        const tracking = scopeProvide(presence.track(topic, member, meta), scope)
        const tracked = yield* Effect.onError(restore(tracking), () => Scope.close(scope, Exit.void))
        sessions.set(session, { topic, key: member, scope, tracked })
        // Only now, so that a request that is refused changes nothing.
        if (known !== undefined) yield* Scope.close(known.scope, Exit.void)
      })
    )
    return Effect.andThen(this.allowPresence(topic, known === undefined), begin)
  }

  private untrack(session: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      const known = this.sessions.get(session)
      this.sessions.delete(session)
      return known === undefined ? Effect.void : Scope.close(known.scope, Exit.void)
    })
  }

  /** Tells the connection who is present. It answers the request with the first element. */
  private watch(request: Watch): Effect.Effect<typeof later, TopicError, R | Scope.Scope> {
    const { counts, id, topic } = request
    const key = watchKey(request)
    const { form } = this.shared
    const elements: Stream.Stream<Data, TopicError> = counts
      ? Stream.map(this.presence.counts(topic), (count) => form.encode({ type: "count", topic, count }))
      : Stream.map(this.presence.changes(topic), (event) => this.shared.encodePresence(event, topic))
    let hasBegun = false
    const tell = (data: Data) =>
      Effect.suspend(() => {
        const answered = hasBegun ? Effect.void : this.answer({ type: "ok", id, position: undefined })
        hasBegun = true
        return Effect.andThen(answered, this.socket.send(data))
      })
    const told = catch_(Stream.runForEach(elements, tell), (error) =>
      Effect.suspend(() => {
        if (!(error instanceof TopicError)) return Effect.void
        this.watches.delete(key)
        return Effect.ignore(
          hasBegun ? this.socket.close(tryAgainLater, "the presence has ended") : this.refuse(id, error)
        )
      })
    )
    return Effect.andThen(
      Effect.andThen(this.allowPresence(topic, !this.watches.has(key)), this.unwatch(key)),
      Effect.uninterruptible(
        Effect.map(Effect.forkScoped(Effect.interruptible(told)), (fiber): typeof later => {
          this.watches.set(key, fiber)
          return later
        })
      )
    )
  }

  private unwatch(key: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const fiber = this.watches.get(key)
      this.watches.delete(key)
      return fiber === undefined ? Effect.void : Effect.asVoid(Fiber.interrupt(fiber))
    })
  }
}

// As long as an idempotency key may be, and enough for a small object. Without a limit, sessions could fill the memory.
const maxKeyLength = 255
const maxMetaLength = 4096

type Track = Extract<Request, { readonly type: "track" }>
type Watch = Extract<Request, { readonly type: "watch" }>

/** The request is answered by something else. */
const later: unique symbol = Symbol("later")

const watchKey = ({ counts, topic }: { readonly counts: boolean; readonly topic: string }): string =>
  `${counts ? "#" : ""} ${topic}`
