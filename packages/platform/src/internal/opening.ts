import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ConnectError } from "../engine/client/Dial.js"
import type { DialingResult } from "../engine/client/Dialing.js"
import type { Closable, Owner } from "../engine/connection/Closables.js"
import { closeCodeOfExit } from "./closeCodeOfExit.js"
import { awaitCallback } from "./effect.js"
import { awaitClosed } from "./scopes.js"

/** An attempt to connect. */
export interface Opening<A> extends Closable {
  /** The connection, from the step in which it is made. */
  readonly connection: A | undefined
  /** Ends the attempt without a callback. A connection stays open. Idempotent. */
  drop(): void
}

export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/**
 * Waits for an attempt, which belongs to the scope of `place` from its start. Only the wait is interruptible: `restore` makes
 * it so if the caller is. `ended` runs after the attempt, whatever came of it.
 */
export const openIn = <A extends { readonly link: Closable }>(
  place: Owner,
  opening: Opening<A>,
  start: (done: (result: DialingResult<A>) => void, failed: (exit: Exit.Exit<never>) => void) => void,
  restore: Restore,
  ended?: () => Effect.Effect<void>
): Effect.Effect<A, ConnectError> => {
  const opened = awaitCallback<A, ConnectError>((resume) => {
    start(
      (result) => resume(toEffect(result)),
      (exit) => {
        opening.drop()
        resume(exit)
      }
    )
    return () => opening.drop()
  })
  place.add(opening)
  return restore(opened).pipe(
    Effect.onExit((exit) =>
      Effect.suspend(() => {
        place.delete(opening)
        opening.drop()
        // The connection may have opened while the fiber was interrupted.
        const closing =
          Exit.isSuccess(exit) || opening.connection === undefined
            ? Effect.void
            : closeNow(opening.connection.link, closeCodeOfExit(exit))
        return ended === undefined ? closing : Effect.andThen(ended(), closing)
      })
    )
  )
}

const toEffect = <A>(result: DialingResult<A>): Effect.Effect<A, ConnectError> => {
  switch (result._tag) {
    case "Opened":
      return Effect.succeed(result.connection)
    case "Failed":
      return Effect.fail(result.error)
    case "Died":
      return Effect.die(result.defect)
    case "Closed":
      return Effect.interrupt
  }
}

const closeNow = (link: Closable, code: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    link.beginClose(code)
    return awaitClosed(link)
  })
