import { remoteProtocolError, type ConnectionError } from "@effect-websocket/protocol/Errors"
import type { Message } from "@effect-websocket/protocol/Message"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Stream from "effect/Stream"
import { closeCodeOf, type Codec } from "./Codec.js"
import { streamOfReads, toBatch, withFiber, yieldIfSoon, type Batch, type Fiber } from "./effect.js"
import { InvalidMessage } from "./InvalidMessage.js"
import type { Reader } from "./Reader.js"
import { Reading } from "./Reading.js"
import { nothing, Running, type Handler } from "./Running.js"

/** What happens to a message that is invalid: see `WebSocketChannel.OnInvalid`. */
export type OnInvalid<R> =
  "close" | "fail" | ((error: InvalidMessage, message: Message) => Effect.Effect<unknown, never, R> | void)

/**
 * Reads the values of messages. A message stays in the inbox until its last value is taken, or until it was refused. So an
 * interruption while it is decoded loses nothing: the next read decodes it again.
 */
export class ValueReader<A, E, R> {
  readonly reader: Reader<Message>
  private readonly codec: Codec<A, never, R, unknown>
  private readonly onInvalid: OnInvalid<R>
  // The first message of the inbox once it is decoded, its values, and how many of them were taken.
  private message: Message | undefined = undefined
  private values: ReadonlyArray<A> = []
  private taken = 0
  // The effect that the message needs before it has values.
  private preparation: Effect.Effect<void, E, R> | undefined = undefined
  private prepared: Message | undefined = undefined
  private receiveOnce: Effect.Effect<A, E | ConnectionError, R> | undefined = undefined

  constructor(reader: Reader<Message>, codec: Codec<A, never, R, unknown>, onInvalid: OnInvalid<R>) {
    this.reader = reader
    this.codec = codec
    this.onInvalid = onInvalid
  }

  get receive(): Effect.Effect<A, E | ConnectionError, R> {
    return (this.receiveOnce ??= this.reading(() => this.take()))
  }

  get receiveOption(): Effect.Effect<Option.Option<A>, E | ConnectionError, R> {
    return this.reading(() => Option.some(this.take()), Effect.succeed(Option.none()))
  }

  get receiveAll(): Effect.Effect<Batch<A>, E | ConnectionError, R> {
    return this.reading(() => toBatch(this.takeAll()))
  }

  get messages(): Stream.Stream<A, E | ConnectionError, R> {
    return streamOfReads<A, E | ConnectionError, R>(
      (taken, ended) => new ValueReading(this, taken, ended),
      () => this.takeAll(),
      true
    )
  }

  run<E2, R2>(handler: Handler<A, E2, R2>): Effect.Effect<void, E | E2 | ConnectionError, R | R2> {
    return withFiber((fiber, status) =>
      this.reader.runAsReader(new ValueRunning<A, E | E2, R | R2>(this, fiber, handler), status)
    )
  }

  private reading<B>(take: () => B, normalEnd?: Effect.Effect<B>): Effect.Effect<B, E | ConnectionError, R> {
    return new ValueReading(this, Effect.sync(take), normalEnd)
  }

  /** Whether there is a value. It may take an effect to know. `undefined` if no message waits. */
  prepare(): true | Effect.Effect<void, E, R> | undefined {
    for (;;) {
      const message = this.inbox.first
      if (message === undefined) return undefined
      if (message === this.message) return true
      if (message === this.prepared) return this.preparation
      const decoded = this.codec.decode(message)
      const preparation =
        decoded instanceof InvalidMessage
          ? this.refuse(message, decoded)
          : Effect.isEffect(decoded)
            ? this.awaiting(message, decoded)
            : this.accept(message, decoded)
      if (preparation !== undefined) {
        this.prepared = message
        this.preparation = preparation
        return preparation
      }
    }
  }

  private accept(message: Message, values: ReadonlyArray<A>): undefined {
    if (values.length === 0) return this.drop(message)
    this.prepared = undefined
    this.message = message
    this.values = values
    this.taken = 0
  }

  private awaiting(
    message: Message,
    decoding: Effect.Effect<ReadonlyArray<A>, InvalidMessage, R>
  ): Effect.Effect<void, E, R> {
    return Effect.matchEffect(decoding, {
      onFailure: (error) =>
        Effect.suspend(() => (this.isAwaiting(message) ? this.refuse(message, error) : undefined) ?? Effect.void),
      onSuccess: (values) =>
        Effect.sync(() => {
          if (this.isAwaiting(message)) this.accept(message, values)
        })
    })
  }

  /** Whether a message still waits to be decoded. The connection may have dropped it, and another reader may have decoded it. */
  private isAwaiting(message: Message): boolean {
    return this.inbox.first === message && this.message !== message
  }

  /** Does what is to be done about an invalid message, and returns the rest of it. */
  private refuse(message: Message, error: InvalidMessage): Effect.Effect<void, E, R> | undefined {
    const { onInvalid } = this
    const drop = Effect.sync(() => this.drop(message))
    if (onInvalid === "close") {
      const code = closeCodeOf(error)
      this.reader.link.failReading(code, remoteProtocolError(error.message, "RFC 6455 §7.4.1", code))
      return undefined
    }
    if (onInvalid === "fail") {
      // Only the type of the channel says that it fails.
      return Effect.andThen(drop, Effect.fail(error)) as Effect.Effect<never, InvalidMessage & E>
    }
    const reported = onInvalid(error, message)
    if (reported !== undefined) return Effect.andThen(reported, drop)
    this.drop(message)
    return undefined
  }

  private drop(message: Message): undefined {
    const { inbox } = this
    this.prepared = undefined
    if (inbox.first === message) inbox.next()
    inbox.taken()
  }

  private take(): A {
    const value = this.takeValue()
    this.inbox.taken()
    return value
  }

  /** Takes the next value. There must be one. The caller calls `taken` of the inbox. */
  takeValue(): A {
    const { inbox, message, values } = this
    if (message === undefined || inbox.first !== message) throw new Error("Two fibers read from one WebSocket at once")
    const value = values[this.taken++]!
    if (this.taken === values.length) {
      this.message = undefined
      this.values = []
      inbox.next()
    }
    return value
  }

  /** Takes the values that wait. There must be one. */
  private takeAll(): ReadonlyArray<A> {
    const values: Array<A> = []
    do values.push(this.takeValue())
    while (this.hasAnother())
    this.inbox.taken()
    return values
  }

  private hasAnother(): boolean {
    try {
      return this.prepare() === true
    } catch {
      // A schema or a function of `onInvalid` throws. The message waits, and the next read dies of it: this one has values.
      return false
    }
  }

  private get inbox(): Reader<Message>["link"]["inbox"] {
    return this.reader.link.inbox
  }
}

/** Waits until there is a value, and runs the effects that are needed to know. */
class ValueReading<B, E, R> extends Reading<B, Message, E, R> {
  private readonly values: ValueReader<unknown, E, R>

  constructor(values: ValueReader<unknown, E, R>, taken: Effect.Effect<B>, normalEnd?: Effect.Effect<B>) {
    super(values.reader, taken, normalEnd)
    this.values = values
  }

  protected override next(): Effect.Effect<B, E | ConnectionError, R> | undefined {
    const ready = this.values.prepare()
    if (ready === true) return this.taken
    if (ready === undefined) return undefined
    return Effect.flatMap(Effect.andThen(this.values.reader.asReader(ready), yieldIfSoon), () => this)
  }
}

/** Handles the values, and runs the effects that are needed to know them. */
class ValueRunning<A, E, R> extends Running<Message, E, R> {
  private readonly values: ValueReader<A, E, R>
  private readonly handler: Handler<A, E, R>

  constructor(values: ValueReader<A, E, R>, fiber: Fiber, handler: Handler<A, E, R>) {
    super(values.reader, fiber)
    this.values = values
    this.handler = handler
  }

  protected handleNext(): Effect.Effect<unknown, E, R> | typeof nothing | void {
    const { handler, values } = this
    const ready = values.prepare()
    return ready === true ? handler(values.takeValue()) : (ready ?? nothing)
  }
}
