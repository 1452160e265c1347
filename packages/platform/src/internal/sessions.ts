import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { Waiters } from "../engine/Waiters.js"
import type { WebSocket } from "../WebSocket.js"
import { closeCodeOfExit } from "./closeCodeOfExit.js"
import { awaitCallback } from "./effect.js"

/** Hands the connections of a reconnecting client to readers. Each connection has one reader, whose end closes it. */
export class Sessions<E> {
  private socket: WebSocket | undefined = undefined
  private end: Exit.Exit<never, E> | undefined = undefined
  private readonly waiters = new Waiters()

  /** Offers a connection until it is over. */
  session(socket: WebSocket): Effect.Effect<void> {
    const offered = Effect.sync(() => {
      this.socket = socket
      this.waiters.wakeAll()
    })
    const withdrawn = Effect.sync(() => {
      if (this.socket === socket) this.socket = undefined
    })
    return Effect.ensuring(Effect.andThen(offered, socket.closeStatus), withdrawn)
  }

  /** There will be no other connection. */
  endWith(exit: Exit.Exit<never, E>): void {
    this.end = exit
    this.waiters.wakeAll()
  }

  /** Waits for a connection that nobody has taken. */
  readonly next: Effect.Effect<WebSocket, E, Scope.Scope> = Effect.suspend(() => this.changed).pipe(
    Effect.flatMap(() =>
      Effect.acquireRelease(
        Effect.sync(() => {
          const taken = this.socket
          this.socket = undefined
          return taken
        }),
        (taken, exit) => (taken === undefined ? Effect.void : Effect.orDie(taken.close(closeCodeOfExit(exit))))
      )
    ),
    Effect.flatMap((taken) => (taken === undefined ? (this.end ?? this.next) : Effect.succeed(taken)))
  )

  private readonly changed: Effect.Effect<void> = awaitCallback((resume) =>
    this.socket === undefined && this.end === undefined
      ? this.waiters.add(() => resume(Effect.void))
      : resume(Effect.void)
  )
}
