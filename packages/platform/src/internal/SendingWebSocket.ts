import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type { Delivered } from "../engine/connection/Inbox.js"
import type { Link } from "../engine/connection/Link.js"
import { MessageSender } from "../engine/connection/MessageSender.js"
import { OutgoingStream } from "../engine/connection/OutgoingStream.js"
import { Messages, type Data } from "../engine/connection/sendable.js"
import type { SendOptions } from "../Options.js"
import { BaseWebSocket } from "./BaseWebSocket.js"
import { closeCodeOfExit } from "./closeCodeOfExit.js"
import { forkDetach, interruptUnsafe, withFiber } from "./effect.js"
import { Send, sentEffect } from "./sending.js"
import { toStream, type StreamData } from "./streamData.js"

/** A WebSocket that sends messages. */
export abstract class SendingWebSocket<Item extends Delivered, Request> extends BaseWebSocket<Item, Request> {
  readonly sender: MessageSender

  constructor(link: Link<Item>, request: Request) {
    super(link, request)
    this.sender = new MessageSender(link)
    link.sender = this.sender
  }

  send(data: Data, options?: SendOptions): Effect.Effect<void, ConnectionError> {
    return new Send(this.sender, data, options)
  }

  sendAll(data: Iterable<Data> & object, options?: SendOptions): Effect.Effect<void, ConnectionError> {
    return Effect.suspend(() => {
      const messages = new Messages(data)
      if (!messages.mustClose) return this.sendRest(messages, options)
      const sending = Effect.suspend(() => this.sendRest(messages, options))
      return Effect.onExit(sending, () => Effect.sync(() => messages.close()))
    })
  }

  /** Sends until a message has to wait. Returns an effect that waits for it and sends the others. */
  private sendRest(messages: Messages, options: SendOptions | undefined): Effect.Effect<void, ConnectionError> {
    for (let next = messages.next(); next.done !== true; next = messages.next()) {
      const sent = this.sender.sendNow(next.value, options)
      if (sent === undefined) continue
      return Effect.andThen(
        sentEffect(sent),
        Effect.suspend(() => this.sendRest(messages, options))
      )
    }
    return Effect.void
  }

  get sink(): Sink.Sink<void, Data, never, ConnectionError> {
    return Sink.forEach((data: Data) => this.send(data))
  }

  sendStream<E, R>(data: StreamData<E, R>): Effect.Effect<void, ConnectionError | E, R> {
    return Effect.suspend(() => {
      const { parts, tag } = toStream(data)
      const outgoing = new OutgoingStream(this.sender, tag)
      const takeTurn = Effect.suspend(() => sentEffect(outgoing.takeTurn()))
      const sendPart = (part: string | Uint8Array) => Effect.suspend(() => sentEffect(outgoing.send(part)))
      const finish = Effect.suspend(() => sentEffect(outgoing.finish()))
      const sendAll = withFiber<void, ConnectionError | E, R>((fiber) => {
        const refusal = outgoing.whenRefused(() => interruptUnsafe(fiber))
        return refusal === undefined ? Effect.andThen(Stream.runForEach(parts, sendPart), finish) : Effect.fail(refusal)
      })
      // Runs in its own fiber, so that the end of the connection can interrupt it even if the caller cannot be
      // interrupted. The fiber is detached: a child fiber would be interrupted with the caller, even in an
      // uninterruptible region.
      const inFiber = Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(forkDetach(Effect.interruptible(sendAll)), (fiber) => {
          const joined = Effect.flatMap(Fiber.await(fiber), () => {
            const { error } = outgoing
            return error === undefined ? Fiber.join(fiber) : Effect.fail(error)
          })
          return Effect.onInterrupt(restore(joined), () => Fiber.interrupt(fiber))
        })
      )
      return Effect.onExit(Effect.andThen(takeTurn, inFiber), (exit) =>
        Effect.sync(() => outgoing.release(Exit.isFailure(exit) ? closeCodeOfExit(exit) : undefined))
      )
    })
  }
}
