import { isPayloadTooLarge, type ConnectionError, type PayloadTooLarge } from "@effect-websocket/protocol/Errors"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { constVoid } from "effect/Function"
import * as Option from "effect/Option"
import { keep } from "@effect-websocket/protocol/Message"
import { frameSize, toMessage } from "../engine/connection/sendable.js"
import { Wait } from "../engine/connection/Wait.js"
import type { Outbox, Outcome, Outgoing } from "../engine/client/Outbox.js"
import type * as WebSocket from "../WebSocket.js"
import {
  awaitCallback,
  catchDefectIf,
  deferredDoneUnsafe,
  deferredMakeUnsafe,
  findErrorOption,
  forever,
  hasDies,
  interruptibleFiber,
  isInterrupted,
  withFiber,
  type Fiber
} from "./effect.js"
import type { Metering } from "./Metering.js"
import { outcomeEffect, Send } from "./sending.js"

const dropped: Exit.Exit<Outcome> = Exit.succeed("dropped")
const delivered: Exit.Exit<Outcome> = Exit.succeed("delivered")
const unknown: Exit.Exit<Outcome> = Exit.succeed("unknown")

/** A message for an outbox, and its outcome. Throws for data and options that no connection would send. */
export class OutgoingMessage implements Outgoing {
  readonly data: WebSocket.Data
  readonly options: WebSocket.SendOptions | undefined
  /** The only connection on which the message is valid; `undefined` if it is valid on any. */
  readonly connection: WebSocket.WebSocket | undefined
  /** When it stops being valid, in milliseconds of the clock. */
  deadline = Number.POSITIVE_INFINITY
  /** Called once its outcome is known. */
  onSettled: () => void = constVoid
  /** Whether the deadline has passed since the message left the outbox. */
  private hasExpired = false
  /** Gives up the send that waits, unless something was sent. */
  private giveUp: (() => void) | undefined = undefined
  /** The fiber that waits for a place, if it can be interrupted. */
  private caller: Fiber | undefined = undefined
  private isSettled = false
  private readonly deferred = deferredMakeUnsafe<Outcome, PayloadTooLarge>()

  private readonly metering: Metering | undefined

  constructor(
    data: WebSocket.Data,
    options: WebSocket.SendOptions | undefined,
    connection?: WebSocket.WebSocket,
    metering?: Metering
  ) {
    const message = toMessage(data)
    const kept = keep(message)
    // A copy of borrowed bytes, because the message may wait longer than they are valid.
    this.data = kept === message ? data : kept
    frameSize(options?.maxFrameSize)
    this.options = options
    this.connection = connection
    this.metering = metering
  }

  /** Waits for the outcome. */
  get outcome(): Effect.Effect<Outcome, PayloadTooLarge> {
    return Deferred.await(this.deferred)
  }

  get isTakenBack(): boolean {
    return isInterrupted(this.caller)
  }

  /** Whether it may wait for another connection. */
  get mayWait(): boolean {
    return this.connection === undefined && !this.hasExpired
  }

  /** While this fiber waits for a place, its interruption takes the message back. */
  awaitedBy(caller: Fiber | undefined): void {
    this.caller = caller
  }

  drop(): void {
    this.settle(dropped)
  }

  /** The deadline has passed. A message of which something was sent goes on. */
  expire(outbox: Outbox<OutgoingMessage>): void {
    if (outbox.drop(this)) return
    this.hasExpired = true
    this.giveUp?.()
  }

  /** Waits for a send that has begun. If the deadline passes before anything was sent, nothing will be. */
  awaitSent(wait: Wait): Effect.Effect<void, ConnectionError> {
    return awaitCallback<void, ConnectionError>((resume) => {
      // The fiber may have yielded since the message left the outbox.
      if (this.hasExpired) {
        this.drop()
        return resume(Effect.void)
      }
      this.giveUp = () => {
        if (wait.isSent) return
        this.giveUp = undefined
        wait.cancel()
        this.drop()
        resume(Effect.void)
      }
      wait.start((outcome) => {
        this.giveUp = undefined
        resume(outcomeEffect(outcome))
      })
      return () => {
        this.giveUp = undefined
        wait.cancel()
      }
    })
  }

  /** Reports the outcome, or why no connection can send the message. The first report counts. */
  settle(outcome: Exit.Exit<Outcome, PayloadTooLarge>): void {
    if (!this.isSettled) this.metering?.outboxSettled(Exit.isSuccess(outcome) ? outcome.value : "refused")
    this.isSettled = true
    deferredDoneUnsafe(this.deferred, outcome)
    this.onSettled()
  }
}

// The message has to wait for a place.
const isFull = Symbol("isFull")

/**
 * Succeeds with a value once the message has a place or is dropped. An interruption takes the message back: the value is handed
 * over in the step in which the message gets its place, or after a wait in the step in which this fiber claims it.
 */
export const offer = <A>(outbox: Outbox<OutgoingMessage>, message: OutgoingMessage, value: A): Effect.Effect<A> => {
  const placed = Effect.sync(() => {
    if (!outbox.place(message)) throw isFull
    return value
  })
  const placedLater = Effect.andThen(
    awaitCallback<void>((resume) => {
      outbox.placeLater(message, () => resume(Effect.void))
      return () => outbox.remove(message)
    }),
    Effect.sync(() => {
      outbox.claim(message)
      message.awaitedBy(undefined)
      return value
    })
  )
  return catchDefectIf(placed, hasNoPlace, () =>
    withFiber((fiber, status) => {
      message.awaitedBy(interruptibleFiber(fiber, status))
      return placedLater
    })
  )
}

const hasNoPlace = (defect: unknown): defect is typeof isFull => defect === isFull

/** Sends the messages of an outbox, one after another, until the connection ends. Then it waits to be interrupted. */
export const sendAll = (outbox: Outbox<OutgoingMessage>, socket: WebSocket.WebSocket): Effect.Effect<never> => {
  const next = Effect.suspend(() => {
    const { first } = outbox
    if (first === undefined) return filled(outbox)
    const sent = Effect.uninterruptible(sendMessage(outbox, socket, first))
    if (first.deadline === Number.POSITIVE_INFINITY) return sent
    // The process may have slept past the deadline, so that the alarm comes too late.
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (now < first.deadline) return sent
      outbox.drop(first)
      return Effect.void
    })
  })
  // Fails only with the connection.
  return Effect.andThen(Effect.ignore(forever(next)), Effect.never)
}

const filled = (outbox: Outbox<OutgoingMessage>): Effect.Effect<void> =>
  awaitCallback<void>((resume) => outbox.whenFilled(() => resume(Effect.void)))

/** Only its wait is interruptible, so that a message that leaves the outbox has an outcome. */
const sendMessage = (
  outbox: Outbox<OutgoingMessage>,
  socket: WebSocket.WebSocket,
  message: OutgoingMessage
): Effect.Effect<void, ConnectionError> =>
  Effect.suspend(() => {
    // It was taken back meanwhile.
    if (!outbox.has(message)) return Effect.void
    if (message.connection !== undefined && message.connection !== socket) {
      outbox.drop(message)
      return Effect.void
    }
    const { sending, wait } = begin(socket, message)
    // The connection has ended: the message waits for the next one.
    if (Exit.isExit(sending) && Exit.isFailure(sending) && refusalIn(sending.cause) === undefined) return sending
    outbox.begin(message)
    return Effect.matchCauseEffect(Effect.interruptible(sending), {
      onFailure: (cause) => {
        const refusal = refusalIn(cause)
        if (refusal !== undefined || wait?.isSent !== false) message.settle(refusal ?? unknown)
        else if (message.mayWait) outbox.restore(message)
        else message.drop()
        return refusal === undefined ? Effect.failCause(cause) : Effect.void
      },
      onSuccess: () => {
        message.settle(delivered)
        return Effect.void
      }
    })
  })

/** A send that has begun. `wait` is there if it has to wait. */
interface Begun {
  readonly sending: Effect.Effect<void, ConnectionError>
  readonly wait: Wait | undefined
}

/** Sends in this step as far as there is room. */
const begin = (socket: WebSocket.WebSocket, message: OutgoingMessage): Begun => {
  try {
    const send = socket.send(message.data, message.options)
    if (!(send instanceof Send)) return { sending: send, wait: undefined }
    const sent = send.now()
    if (!(sent instanceof Wait)) return { sending: outcomeEffect(sent), wait: undefined }
    return { sending: message.awaitSent(sent), wait: sent }
  } catch (defect) {
    return { sending: Exit.die(defect), wait: undefined }
  }
}

/** Why no connection can send a message; `undefined` if this connection has ended. */
const refusalIn = (cause: Cause.Cause<unknown>): Exit.Exit<never, PayloadTooLarge> | undefined => {
  if (hasDies(cause)) return Exit.die(Cause.squash(cause))
  const error = findErrorOption(cause)
  return Option.isSome(error) && isPayloadTooLarge(error.value) && error.value.direction === "outbound"
    ? Exit.fail(error.value)
    : undefined
}
