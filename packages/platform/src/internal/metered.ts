import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { ConnectError } from "../engine/client/Dial.js"
import type { Settings } from "../engine/Settings.js"
import { ContextService } from "./effect.js"
import type { DrainedServer, MeteredTopics, Metering } from "./Metering.js"
import type { ServerPolicy } from "./serverPolicy.js"
import { metering, metricsId } from "./typeId.js"

/**
 * The service of `WebSocketMetrics`. That module is not imported, so that a bundle has the code of metrics only if the app turns
 * them on.
 */
class Metrics extends ContextService<Metrics, { readonly [metering]: Metering }>()(metricsId) {}

/** The metrics of the context, if they are on. */
export const currentMetering: Effect.Effect<Metering | undefined> = Effect.map(
  Effect.serviceOption(Metrics),
  (found) => (Option.isSome(found) ? found.value[metering] : undefined)
)

/** The settings of connections of a role, with the metrics of the context. */
export const meteredSettings = <S extends Settings>(role: "client" | "server", settings: S): Effect.Effect<S> =>
  Effect.map(currentMetering, (own) => (own === undefined ? settings : { ...settings, observer: own[role] }))

/** The policy of a server, with the metrics of the context. */
export const meteredPolicy = (policy: ServerPolicy): Effect.Effect<ServerPolicy> =>
  Effect.map(currentMetering, (own) =>
    own === undefined
      ? policy
      : {
          ...policy,
          settings: { ...policy.settings, observer: own.server },
          observeHandshake: own.observeHandshake
        }
  )

/** The metrics of the context see a server until the scope ends. */
export const meteredServer = (server: DrainedServer): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(currentMetering, (own) => (own === undefined ? Effect.void : member(own.servers, server)))

/** These metrics see the topics of a process until the scope ends. */
export const meteredTopics = (
  own: Metering | undefined,
  topics: MeteredTopics
): Effect.Effect<void, never, Scope.Scope> => (own === undefined ? Effect.void : member(own.topics, topics))

const member = <A>(set: Set<A>, value: A): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => void set.add(value)),
    () => Effect.sync(() => set.delete(value))
  )

/** Connects, and records how that ends. */
export const meteredConnect = <A, E extends ConnectError>(connected: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.flatMap(currentMetering, (own) => {
    if (own === undefined) return connected
    const ended = own.clientHandshake()
    return Effect.onExit(connected, (exit) => Effect.sync(() => ended(exit)))
  })
