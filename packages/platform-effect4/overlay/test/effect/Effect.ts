import { Clock, ConfigProvider, type Context, Effect, Scheduler } from "effect"
import { dual } from "effect/Function"
import type { Supervisor } from "./Supervisor.js"

export * from "effect/Effect"

export { context as runtime } from "effect/Effect"

export const clock: Effect.Effect<Clock.Clock> = Effect.clockWith(Effect.succeed)

interface Provide<S> {
  (service: S): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, service: S): Effect.Effect<A, E, R>
}

const provideReference = <S>(reference: Context.Reference<S>): Provide<S> =>
  dual(2, <A, E, R>(effect: Effect.Effect<A, E, R>, service: S) => Effect.provideService(effect, reference, service))

export const withClock: Provide<Clock.Clock> = provideReference(Clock.Clock)

export const withConfigProvider: Provide<ConfigProvider.ConfigProvider> = provideReference(
  ConfigProvider.ConfigProvider
)

export const withScheduler: Provide<Scheduler.Scheduler> = provideReference(Scheduler.Scheduler)

/** Runs an effect, and tells a supervisor about the fibers that it forks. */
export const supervised: Provide<Supervisor> = dual(
  2,
  <A, E, R>(effect: Effect.Effect<A, E, R>, supervisor: Supervisor) =>
    Effect.withFiber<A, E, R>((fiber) => {
      supervisor.ignore(fiber)
      return withScheduler(effect, supervisor)
    })
)
