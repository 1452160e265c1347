import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { ConnectError, Dial } from "../engine/client/Dial.js"
import type { ObserveHandshake } from "../engine/server/ObservedAttempt.js"
import type { Transport } from "../Transport.js"
import { ContextService, runtime } from "./effect.js"
import { meteredPolicy } from "./metered.js"
import type { ServerPolicy } from "./serverPolicy.js"
import type { Tracing } from "./Tracing.js"
import { tracing, tracingId, type transportKey } from "./typeId.js"

/** The service of `WebSocketTracing`, without an import of that module: see `metered`. */
class Spans extends ContextService<Spans, { readonly [tracing]: Tracing }>()(tracingId) {}

const current: Effect.Effect<Tracing | undefined> = Effect.map(Effect.serviceOption(Spans), (found) =>
  Option.isSome(found) ? found.value[tracing] : undefined
)

/** Connects within a span, if the context asks for it. `connected` makes the attempt with a `Dial`. */
export const tracedConnect = <A, E extends ConnectError>(
  url: URL,
  dial: Dial,
  connected: (dial: Dial) => Effect.Effect<A, E>
): Effect.Effect<A, E> =>
  Effect.flatMap(current, (own) => (own === undefined ? connected(dial) : own.connect(url, dial, connected)))

/** Connects over the WebSocket of a platform. The context may ask for a span, and for the headers of its context. */
export const tracedNative = <A extends { readonly [transportKey]: Transport }, E extends ConnectError>(
  url: URL,
  headers: HeaderRecord,
  connected: (headers: HeaderRecord) => Effect.Effect<A, E>
): Effect.Effect<A, E> =>
  Effect.flatMap(current, (own) =>
    own === undefined ? connected(headers) : own.connectNative(url, headers, connected)
  )

/** The policy of a server, with the metrics and the spans that the context asks for. */
export const observedPolicy = (resolved: ServerPolicy): Effect.Effect<ServerPolicy> =>
  Effect.gen(function* () {
    const policy = yield* meteredPolicy(resolved)
    const own = yield* current
    if (own === undefined) return policy
    const traced = own.observeHandshake(yield* runtime<never>())
    const { observeHandshake } = policy
    return { ...policy, observeHandshake: observeHandshake === undefined ? traced : both(observeHandshake, traced) }
  })

const both =
  (first: ObserveHandshake, second: ObserveHandshake): ObserveHandshake =>
  (attempt) => {
    const observers = [first(attempt), second(attempt)]
    return {
      accepted: (transport) => observers.forEach((observer) => observer.accepted(transport)),
      refused: (reason, status) => observers.forEach((observer) => observer.refused(reason, status))
    }
  }
