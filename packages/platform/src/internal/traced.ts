import {
  isHandshakeRejected,
  type HandshakeRejected,
  type HeaderRecord,
  type IoError,
  type ProtocolError
} from "@effect-websocket/protocol/Errors"
import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { Clock } from "effect/Clock"
import { externalSpan, type Span } from "effect/Tracer"
import type { Dial, Dialed } from "../engine/client/Dial.js"
import type { HandshakeObserver, ObserveHandshake } from "../engine/server/ObservedAttempt.js"
import { headersOf, ofHeaders } from "../engine/traceContext.js"
import { WebSocketTracing, type Service } from "../WebSocketTracing.js"
import {
  clock,
  runForkWith,
  runSyncWith,
  runtime,
  scopeCloseUnsafe,
  scopeMakeUnsafe,
  scopeProvide,
  spanTimeUnsafe,
  type Runtime
} from "./effect.js"
import { rememberSpan } from "./handshakeSpans.js"
import { errorTypeOf, meteredPolicy } from "./metered.js"
import type { ServerPolicy } from "./serverPolicy.js"
import {
  attributesOfAnswer,
  attributesOfAttempt,
  attributesOfRequest,
  attributesOfUpgrade,
  attributesOfUrl,
  statusCode,
  type SpanAttributes
} from "./spanAttributes.js"

const current: Effect.Effect<Service | undefined> = Effect.map(
  Effect.serviceOption(WebSocketTracing),
  Option.getOrUndefined
)

/** Connects within a span, if the context asks for it. `connected` makes the attempt with a `Dial`. */
export const tracedConnect = <A, E extends ProtocolError | HandshakeRejected | IoError>(
  url: URL,
  dial: Dial,
  connected: (dial: Dial) => Effect.Effect<A, E>
): Effect.Effect<A, E> =>
  Effect.flatMap(current, (tracing) =>
    tracing === undefined
      ? connected(dial)
      : Effect.flatMap(clock, (clock) =>
          Effect.useSpan(
            "websocket.client.handshake",
            { kind: "client", attributes: attributesOfRequest(url) },
            (span) => {
              const handshake = new ClientHandshakeSpan(span, clock)
              return Effect.onExit(connected(tracedDial(dial, handshake, tracing.propagation)), (exit) =>
                Effect.sync(() => handshake.end(exit))
              )
            }
          )
        )
  )

/** The span of the handshake of a client. What a dial reports behind its end is not in it. */
class ClientHandshakeSpan {
  private readonly span: Span
  private readonly clock: Clock
  private hasEnded = false

  constructor(span: Span, clock: Clock) {
    this.span = span
    this.clock = clock
  }

  get headers(): HeaderRecord {
    return headersOf(this.span)
  }

  tell(event: string, attributes: SpanAttributes = {}): void {
    if (!this.hasEnded) this.span.event(event, spanTimeUnsafe(this.clock), { ...attributes })
  }

  answered(dialed: Dialed): void {
    if (this.hasEnded) return
    if (dialed._tag !== "Failed") this.annotate(attributesOfAnswer(dialed))
    else if (isHandshakeRejected(dialed.error)) this.annotate({ [statusCode]: dialed.error.status })
    if (dialed._tag === "Upgraded") rememberSpan(dialed.transport, this.span)
  }

  end(exit: Exit.Exit<unknown, ProtocolError | HandshakeRejected | IoError>): void {
    if (Exit.isFailure(exit)) this.annotate({ "error.type": errorTypeOf(exit) })
    this.hasEnded = true
  }

  private annotate(attributes: SpanAttributes): void {
    annotate(this.span, attributes)
  }
}

const annotate = (span: Span, attributes: SpanAttributes): void => {
  for (const [name, value] of Object.entries(attributes)) span.attribute(name, value)
}

const tracedDial = (dial: Dial, handshake: ClientHandshakeSpan, propagation: boolean): Dial => {
  let requests = 0
  return (url, headers, done) => {
    if (requests++ > 0) handshake.tell("websocket.redirect", attributesOfUrl(url))
    return dial(
      url,
      propagation ? { ...missing(handshake.headers, headers), ...headers } : headers,
      (dialed) => {
        handshake.answered(dialed)
        done(dialed)
      },
      (event) => handshake.tell(event)
    )
  }
}

/** The headers that others do not have. The app may have set them itself. */
const missing = (added: HeaderRecord, headers: HeaderRecord): HeaderRecord =>
  Object.fromEntries(Object.entries(added).filter(([name]) => HeaderField.values(headers, name).length === 0))

/** The policy of a server, with the metrics and the spans that the context asks for. */
export const observedPolicy = (resolved: ServerPolicy): Effect.Effect<ServerPolicy> =>
  Effect.gen(function* () {
    const policy = yield* meteredPolicy(resolved)
    const tracing = yield* current
    if (tracing === undefined) return policy
    const traced = observeWith(yield* runtime<never>(), tracing)
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

const observeWith =
  (inherited: Runtime<never>, { propagation }: Service): ObserveHandshake =>
  (attempt): HandshakeObserver => {
    const scope = scopeMakeUnsafe()
    const context = propagation ? ofHeaders(attempt.request.headers) : undefined
    const options = { kind: "server", attributes: attributesOfAttempt(attempt) } as const
    const made = Effect.makeSpanScoped(
      "websocket.server.handshake",
      // Without a parent, the span of whoever built the server would be that of all its handshakes.
      context === undefined ? { ...options, root: true } : { ...options, parent: externalSpan(context) }
    )
    const span = runSyncWith(inherited)(scopeProvide(made, scope))
    const end = (exit: Exit.Exit<void, string>): void => {
      const closing = scopeCloseUnsafe(scope, exit)
      if (closing !== undefined) runForkWith(inherited)(closing)
    }
    return {
      accepted: (transport) => {
        annotate(span, attributesOfUpgrade(attempt))
        rememberSpan(transport, span)
        end(Exit.void)
      },
      refused: (reason, status) => {
        annotate(span, { ...(status === undefined ? {} : { [statusCode]: status }), "error.type": reason })
        // OpenTelemetry: a status below 500 is no error of the server.
        end(status !== undefined && status < 500 ? Exit.void : Exit.fail(reason))
      }
    }
  }
