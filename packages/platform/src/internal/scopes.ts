import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Closable, Closables, Owner } from "../engine/connection/Closables.js"
import { closeCodeOfExit } from "./closeCodeOfExit.js"
import { awaitCallback, finalizersOf, monotonicTimeNanos, type Closeable } from "./effect.js"

const goingAway = CloseCode.fromName("GoingAway")

/** Waits until `closable` is closed. It must be closing already, or be certain to close. */
export const awaitClosed = (closable: Closable): Effect.Effect<void> =>
  awaitCallback<void>((resume) => closable.whenClosed(() => resume(Effect.void)))

/** Begins to close all members in one step, and then waits for all of them. */
export const closeAll = (closables: Pick<Closables, "beginClose">, code: number): Effect.Effect<void> =>
  Effect.suspend(() => Effect.forEach(closables.beginClose(code), awaitClosed, { discard: true }))

/**
 * The place of one member among the finalizers of a scope. The member's finalizer stays there until the member is over.
 * If a member replaces another, it keeps that place: for example, a connection replaces the attempt to connect.
 */
class Place implements Owner {
  private readonly finalizers: Map<object, unknown> | undefined
  private member: Closable | undefined = undefined
  private code: number | undefined = undefined

  constructor(scope: Scope.Scope) {
    const finalizers = finalizersOf(scope)
    if (finalizers === "closed") {
      this.finalizers = undefined
      this.code = goingAway
    } else if (finalizers === undefined) {
      // This is another implementation of `Scope`. The finalizer stays when the member is over, and then does nothing.
      this.finalizers = undefined
      Effect.runSync(Scope.addFinalizerExit(scope, this.finalize))
    } else {
      this.finalizers = finalizers
      finalizers.set(this, this.finalize)
    }
  }

  add(member: Closable): void {
    this.member = member
    // The scope has already begun to end, so its exit does not decide the code.
    if (this.code !== undefined) member.beginClose(goingAway)
  }

  delete(member: Closable): void {
    if (this.member !== undefined && this.member !== member) return
    this.member = undefined
    this.finalizers?.delete(this)
  }

  get hasBegun(): boolean {
    return this.code !== undefined
  }

  get patience(): number {
    return this.member?.patience ?? Number.POSITIVE_INFINITY
  }

  begin(code: number, waited: number): void {
    if (this.code !== undefined) return
    this.code = code
    this.member?.beginClose(code, waited)
  }

  get awaitClosed(): Effect.Effect<void> {
    return Effect.suspend(() => (this.member === undefined ? Effect.void : awaitClosed(this.member)))
  }

  private readonly finalize = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
    Effect.suspend(() => endingOf(this, this.finalizers).close(this, closeCodeOfExit(exit)))
}

/** The end of a scope. It groups adjacent places and counts the time spent on closing them. */
class Ending {
  private readonly neighbours = new Map<Place, ReadonlyArray<Place>>()
  private readonly open: Set<Place>
  private waited = 0

  constructor(finalizers: Iterable<object>) {
    let run: Array<Place> = []
    for (const key of finalizers) {
      if (key instanceof Place) {
        run.push(key)
        this.neighbours.set(key, run)
      } else run = []
    }
    this.open = new Set(this.neighbours.keys())
  }

  close(place: Place, code: number): Effect.Effect<void> {
    // From last to first, as the scope runs its finalizers.
    for (const each of [...(this.neighbours.get(place) ?? [place])].reverse()) each.begin(code, this.waited)
    return this.await(place, code)
  }

  private await(place: Place, code: number): Effect.Effect<void> {
    let patience = Number.POSITIVE_INFINITY
    for (const other of this.open) {
      if (other.hasBegun) this.open.delete(other)
      else if (other.patience <= this.waited) other.begin(code, this.waited)
      else patience = Math.min(patience, other.patience)
    }
    if (patience === Number.POSITIVE_INFINITY) return place.awaitClosed
    const closed = Effect.as(Effect.interruptible(place.awaitClosed), true)
    const impatient = Effect.as(Effect.interruptible(Effect.sleep(Duration.millis(patience - this.waited))), false)
    return Effect.flatMap(monotonicTimeNanos, (start) =>
      Effect.flatMap(Effect.raceFirst(closed, impatient), (isClosed) =>
        Effect.flatMap(monotonicTimeNanos, (end) => {
          this.waited = isClosed ? this.waited + Number(end - start) / 1e6 : Math.max(this.waited, patience)
          return isClosed ? Effect.void : this.await(place, code)
        })
      )
    )
  }
}

const endings = new WeakMap<object, Ending>()

/** A place that is added after its scope has begun to end is closed on its own. */
const endingOf = (place: Place, finalizers: Map<object, unknown> | undefined): Ending => {
  if (finalizers === undefined) return new Ending([place])
  let ending = endings.get(finalizers)
  if (ending === undefined) {
    ending = new Ending(finalizers.keys())
    endings.set(finalizers, ending)
  }
  return ending
}

const delegates = new WeakMap<Scope.Scope, Owner>()

/** A scope whose connections belong to `owner`. The owner closes them, not the scope. */
export const delegatingScope = (owner: Owner): Effect.Effect<Closeable> =>
  Effect.tap(Scope.make(), (scope) => Effect.sync(() => delegates.set(scope, owner)))

/**
 * Makes a place in a scope for one member. It is synchronous, so that a connection has its place in the step in which
 * the connection begins.
 *
 * A scope runs its finalizers from last to first, and closes each of its connections at its own place. If connections
 * have no other finalizer between them, all of them first begin to close, and then the scope waits for all. All of them
 * share one time limit for closing.
 */
export const placeIn = (scope: Scope.Scope): Owner => delegates.get(scope) ?? new Place(scope)
