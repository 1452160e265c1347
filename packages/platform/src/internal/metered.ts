import type { HandshakeRejected, IoError, ProtocolError } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { Settings } from "../engine/Settings.js"
import { WebSocketMetrics } from "../WebSocketMetrics.js"
import { findErrorOption, hasInterruptsOnly } from "./effect.js"
import type { DrainedServer, MeteredTopics, Metering } from "./Metering.js"
import type { ServerPolicy } from "./serverPolicy.js"
import { metering } from "./typeId.js"

/** The metrics of the context, if they are on. */
export const currentMetering: Effect.Effect<Metering | undefined> = Effect.map(
  Effect.serviceOption(WebSocketMetrics),
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
export const meteredConnect = <A, E extends ProtocolError | HandshakeRejected | IoError>(
  connected: Effect.Effect<A, E>
): Effect.Effect<A, E> =>
  Effect.flatMap(currentMetering, (own) => {
    if (own === undefined) return connected
    const handshake = own.clientHandshake()
    return Effect.onExit(connected, (exit) =>
      Effect.sync(() => {
        if (Exit.isSuccess(exit)) handshake.opened()
        else handshake.failed(errorTypeOf(exit))
      })
    )
  })

/** The value of `error.type` for a failed handshake. There are few, because each is a series of its own. */
export const errorTypeOf = ({ cause }: Exit.Failure<unknown, ProtocolError | HandshakeRejected | IoError>): string => {
  const failure = Option.getOrUndefined(findErrorOption(cause))
  if (failure === undefined) return hasInterruptsOnly(cause) ? "interrupted" : "defect"
  if (failure._tag === "Handshake_rejected") return errorTypeOfStatus(failure.status)
  return failure._tag === "Io_error" ? failure.reason : failure._tag
}

/** A server can answer with 900 statuses, and each would be a series. Those that HTTP does not define are named by their class. */
const errorTypeOfStatus = (status: number): string => {
  if (definedStatuses.some(([first, last]) => status >= first && status <= last)) return String(status)
  return status >= 200 && status < 600 ? `${Math.floor(status / 100)}xx` : "_OTHER"
}

// From IANA's registry, as ranges: the final statuses.
const definedStatuses = [
  [200, 208],
  [226, 226],
  [300, 308],
  [400, 418],
  [421, 426],
  [428, 429],
  [431, 431],
  [451, 451],
  [500, 508],
  [510, 511]
] as const
