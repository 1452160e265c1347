import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Cause from "effect/Cause"
import * as Scope from "effect/Scope"

/** Something that is open, or about to be. */
export interface Closable {
  /** Begins to close, at once and without waiting. Idempotent. */
  beginClose(code: number): void
  /** Waits until it is closed, which is bound to come. */
  readonly awaitClosed: Effect.Effect<void>
}

/**
 * The connections that end together. All are told first and then awaited, so that n of them take one deadline, not n.
 * What ends before takes itself out, so that a scope that lives long holds nothing that is over.
 */
export class Registry {
  private readonly members = new Set<Closable>()
  closed = false

  add(member: Closable): void {
    this.members.add(member)
  }

  delete(member: Closable): void {
    this.members.delete(member)
  }

  closeAll(code: number): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.closed = true
      const members = [...this.members]
      for (const member of members) member.beginClose(code)
      return Effect.forEach(members, (member) => member.awaitClosed, { discard: true })
    })
  }
}

const byScope = new WeakMap<Scope.Scope, Registry>()

/** The registry of a scope: one finalizer for all of its connections, registered before the first of them exists. */
export const ofScope = (scope: Scope.Scope): Effect.Effect<Registry> =>
  Effect.suspend(() => {
    const existing = byScope.get(scope)
    if (existing !== undefined) return Effect.succeed(existing)
    const registry = new Registry()
    byScope.set(scope, registry)
    return Effect.as(
      Scope.addFinalizerExit(scope, (exit) => registry.closeAll(closeCodeOf(exit))),
      registry
    )
  })

/** The close code that tells how a scope ended. */
export const closeCodeOf = (exit: Exit.Exit<unknown, unknown>): number =>
  Exit.isSuccess(exit) ? 1000 : Cause.isInterruptedOnly(exit.cause) ? 1001 : 1011
