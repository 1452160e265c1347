import { isHandshakeRejected, type HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { Clock } from "effect/Clock"
import { externalSpan, type Span } from "effect/Tracer"
import type { ConnectError, Dial, Dialed } from "../engine/client/Dial.js"
import type { HandshakeObserver, ObserveHandshake } from "../engine/server/ObservedAttempt.js"
import { headersOf, namesContext, ofHeaders } from "../engine/traceContext.js"
import type { Transport } from "../Transport.js"
import {
  clock,
  findErrorOption,
  runForkWith,
  runSyncWith,
  scopeCloseUnsafe,
  scopeMakeUnsafe,
  scopeProvide,
  spanTimeUnsafe,
  type Runtime
} from "./effect.js"
import { errorTypeOf } from "./errorTypeOf.js"
import { rememberSpan } from "./handshakeSpans.js"
import {
  attributesOfAnswer,
  attributesOfAttempt,
  attributesOfRequest,
  attributesOfUpgrade,
  attributesOfUrl,
  overHttp,
  statusCode,
  type SpanAttributes
} from "./spanAttributes.js"
import { transportKey } from "./typeId.js"

/** Makes the spans of handshakes. */
export class Tracing {
  private readonly propagation: boolean

  constructor(propagation: boolean) {
    this.propagation = propagation
  }

  /** Connects within a span. `connected` makes the attempt with a `Dial`. */
  connect<A, E extends ConnectError>(
    url: URL,
    dial: Dial,
    connected: (dial: Dial) => Effect.Effect<A, E>
  ): Effect.Effect<A, E> {
    return withClientSpan(attributesOfRequest(url), (handshake) =>
      connected(tracedDial(dial, handshake, this.propagation))
    )
  }

  /**
   * Connects over the WebSocket of a platform within a span. The platform tells neither what the request was like nor of redirects
   * and of the answer, except for the status of a refusal on some. `connected` makes the attempt with more headers.
   */
  connectNative<A extends { readonly [transportKey]: Transport }, E extends ConnectError>(
    url: URL,
    headers: HeaderRecord,
    connected: (headers: HeaderRecord) => Effect.Effect<A, E>
  ): Effect.Effect<A, E> {
    return withClientSpan({ ...overHttp, ...attributesOfUrl(url) }, (handshake) =>
      Effect.onExit(connected(this.propagation ? handshake.headersBeside(headers) : headers), (exit) =>
        Effect.sync(() => handshake.nativeEnded(exit))
      )
    )
  }

  /** What makes a span for each request to a server. */
  observeHandshake(inherited: Runtime<never>): ObserveHandshake {
    return observeWith(inherited, this.propagation)
  }
}

// The stack would be that of this library, and Effect 3 would add it as an attribute to spans that fail.
const common = { captureStackTrace: false }

const withClientSpan = <A, E extends ConnectError>(
  attributes: SpanAttributes,
  connected: (handshake: ClientHandshakeSpan) => Effect.Effect<A, E>
): Effect.Effect<A, E> =>
  Effect.flatMap(clock, (clock) =>
    Effect.useSpan(
      "websocket.client.handshake",
      { ...common, kind: "client", attributes: { ...attributes } },
      (span) => {
        const handshake = new ClientHandshakeSpan(span, clock)
        return Effect.onExit(connected(handshake), (exit) => Effect.sync(() => handshake.end(exit)))
      }
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

  /** Headers of a request, with the context of this span unless the app has named a context itself. */
  headersBeside(headers: HeaderRecord): HeaderRecord {
    return namesContext(headers) ? headers : { ...headersOf(this.span), ...headers }
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

  nativeEnded(exit: Exit.Exit<{ readonly [transportKey]: Transport }, ConnectError>): void {
    if (Exit.isSuccess(exit)) return rememberSpan(exit.value[transportKey], this.span)
    const error = Option.getOrUndefined(findErrorOption(exit.cause))
    if (error !== undefined && isHandshakeRejected(error)) this.annotate({ [statusCode]: error.status })
  }

  end(exit: Exit.Exit<unknown, ConnectError>): void {
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
      propagation ? handshake.headersBeside(headers) : headers,
      (dialed) => {
        handshake.answered(dialed)
        done(dialed)
      },
      (event) => handshake.tell(event)
    )
  }
}

const observeWith =
  (inherited: Runtime<never>, propagation: boolean): ObserveHandshake =>
  (attempt): HandshakeObserver => {
    const scope = scopeMakeUnsafe()
    const context = propagation ? ofHeaders(attempt.request.headers) : undefined
    const options = { ...common, kind: "server", attributes: attributesOfAttempt(attempt) } as const
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
