import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { finalizersOf } from "./effect.js"

/** Whoever has a place in a scope. */
export interface ScopePlaceOwner {
  /** The scope has ended. */
  endOf(place: ScopePlace): void
}

/** A finalizer in a scope that can be removed again, unless the scope is of another implementation. */
export class ScopePlace {
  readonly scope: Scope.Scope
  /** The scope had ended before. */
  readonly isClosed: boolean
  private readonly finalizers: Map<object, unknown> | undefined

  constructor(scope: Scope.Scope, owner: ScopePlaceOwner) {
    this.scope = scope
    const finalizers = finalizersOf(scope)
    const finalize = (): Effect.Effect<void> => Effect.sync(() => owner.endOf(this))
    this.isClosed = finalizers === "closed"
    this.finalizers = finalizers === "closed" ? undefined : finalizers
    if (finalizers === undefined) Effect.runSync(Scope.addFinalizer(scope, finalize()))
    else if (finalizers !== "closed") finalizers.set(this, finalize)
  }

  delete(): void {
    this.finalizers?.delete(this)
  }
}
