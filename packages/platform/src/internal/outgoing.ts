import { isPayloadTooLarge, type ConnectionError, type PayloadTooLarge } from "@effect-websocket/protocol/Errors"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
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
import { Send, sentEffect } from "./sending.js"

const dropped: Exit.Exit<Outcome> = Exit.succeed("dropped")
const delivered: Exit.Exit<Outcome> = Exit.succeed("delivered")
const unknown: Exit.Exit<Outcome> = Exit.succeed("unknown")

/** A message for an outbox, and its outcome. Throws for data and options that no connection would send. */
export class OutgoingMessage implements Outgoing {
  readonly data: WebSocket.Data
  readonly options: WebSocket.SendOptions | undefined
  /** The fiber that waits for a place, if it can be interrupted. */
  private caller: Fiber | undefined = undefined
  private readonly deferred = deferredMakeUnsafe<Outcome, PayloadTooLarge>()

  constructor(data: WebSocket.Data, options: WebSocket.SendOptions | undefined) {
    const message = toMessage(data)
    const kept = keep(message)
    // A copy of borrowed bytes, because the message may wait longer than they are valid.
    this.data = kept === message ? data : kept
    frameSize(options?.maxFrameSize)
    this.options = options
  }

  /** Waits for the outcome. */
  get outcome(): Effect.Effect<Outcome, PayloadTooLarge> {
    return Deferred.await(this.deferred)
  }

  get isTakenBack(): boolean {
    return isInterrupted(this.caller)
  }

  /** While this fiber waits for a place, its interruption takes the message back. */
  awaitedBy(caller: Fiber | undefined): void {
    this.caller = caller
  }

  drop(): void {
    this.settle(dropped)
  }

  /** Reports the outcome, or why no connection can send the message. */
  settle(outcome: Exit.Exit<Outcome, PayloadTooLarge>): void {
    deferredDoneUnsafe(this.deferred, outcome)
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
    return first === undefined ? filled(outbox) : Effect.uninterruptible(sendMessage(outbox, socket, first))
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
    const { sending, wait } = begin(socket, message)
    // The connection has ended: the message waits for the next one.
    if (Exit.isExit(sending) && Exit.isFailure(sending) && refusalIn(sending.cause) === undefined) return sending
    outbox.begin(message)
    return Effect.matchCauseEffect(Effect.interruptible(sending), {
      onFailure: (cause) => {
        const refusal = refusalIn(cause)
        if (refusal === undefined && wait?.isSent === false) outbox.restore(message)
        else message.settle(refusal ?? unknown)
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
const begin = (socket: WebSocket.WebSocket, { data, options }: OutgoingMessage): Begun => {
  try {
    const send = socket.send(data, options)
    if (!(send instanceof Send)) return { sending: send, wait: undefined }
    const sent = send.now()
    return { sending: sentEffect(sent), wait: sent instanceof Wait ? sent : undefined }
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
