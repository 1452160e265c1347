import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import { Defect } from "../engine/Defect.js"
import { Wait, type Outcome, type Sent } from "../engine/connection/Wait.js"
import type { SendOptions } from "../Options.js"
import { awaitCallback, EffectClass } from "./effect.js"

/** The outcome of a send as an effect. A success is `Effect.void` itself. */
export const outcomeEffect = (outcome: Outcome): Effect.Effect<void, ConnectionError> =>
  outcome === undefined ? Effect.void : outcome instanceof Defect ? Effect.die(outcome.cause) : Effect.fail(outcome)

/** The rest of a send as an effect. It is `Effect.void` itself if the message is sent already. */
export const sentEffect = (sent: Sent): Effect.Effect<void, ConnectionError> =>
  sent instanceof Wait
    ? awaitCallback<void, ConnectionError>((resume) => {
        sent.start((outcome) => resume(outcomeEffect(outcome)))
        return () => sent.cancel()
      })
    : outcomeEffect(sent)

/** Anything that can send at once. */
export interface SendsNow<Data> {
  sendNow(data: Data, options: SendOptions | undefined): Sent
}

/** An effect that `run` performs directly, without a step of the fiber. Any other fiber runs it as an effect. */
export abstract class InPlace<E, R = never> extends EffectClass<void, E, R> {
  /** Performs it. Returns the rest, if it does not succeed at once. Throws what is a defect of the fiber. */
  abstract begin(): Effect.Effect<void, E, R> | undefined

  asEffect(): Effect.Effect<void, E, R> {
    return this.begin() ?? Effect.void
  }
}

/** The effect that `send` returns. */
export class Send<Data> extends InPlace<ConnectionError> {
  private readonly sender: SendsNow<Data>
  private readonly data: Data
  private readonly options: SendOptions | undefined

  constructor(sender: SendsNow<Data>, data: Data, options: SendOptions | undefined) {
    super()
    this.sender = sender
    this.data = data
    this.options = options
  }

  /** Throws for invalid data or options: a defect of the fiber that sends. */
  now(): Sent {
    return this.sender.sendNow(this.data, this.options)
  }

  begin(): Effect.Effect<void, ConnectionError> | undefined {
    const sent = this.now()
    return sent === undefined ? undefined : sentEffect(sent)
  }
}
