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
import type { Span } from "effect/Tracer"
import type { Dial, Dialed } from "../engine/client/Dial.js"
import type { HandshakeObserver, ObserveHandshake } from "../engine/server/ObservedAttempt.js"
import { pathOf } from "../engine/server/ServerRequest.js"
import type { UpgradeAttempt } from "../engine/server/UpgradeAttempt.js"
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
import { headersOfSpan, spanOfHeaders } from "./http.js"
import { errorTypeOf, meteredPolicy } from "./metered.js"
import type { ServerPolicy } from "./serverPolicy.js"

const current: Effect.Effect<Service | undefined> = Effect.map(
  Effect.serviceOption(WebSocketTracing),
  Option.getOrUndefined
)

// In the names of OpenTelemetry's conventions.
const overHttp1 = { "http.request.method": "GET", "network.protocol.name": "http", "network.protocol.version": "1.1" }
const overHttp2 = { ...overHttp1, "http.request.method": "CONNECT", "network.protocol.version": "2" }

/** Without user, password, query and fragment. */
const attributesOf = ({ hostname, pathname, port, protocol }: URL): Readonly<Record<string, unknown>> => ({
  "url.scheme": protocol.slice(0, -1),
  "url.path": pathname,
  ...(hostname === "" ? {} : { "server.address": hostname, "server.port": portOf(port, protocol) })
})

const portOf = (port: string, protocol: string): number =>
  port === "" ? (protocol === "wss:" ? 443 : 80) : Number(port)

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
            { kind: "client", attributes: { ...overHttp1, ...attributesOf(url) } },
            (span) => {
              const tell = (event: string, attributes?: Readonly<Record<string, unknown>>): void =>
                span.event(event, spanTimeUnsafe(clock), { ...attributes })
              return Effect.onExit(connected(tracedDial(dial, span, tell, tracing.propagation)), (exit) =>
                Effect.sync(() => {
                  if (Exit.isSuccess(exit)) return
                  span.attribute("error.type", errorTypeOf(exit))
                })
              )
            }
          )
        )
  )

const tracedDial = (
  dial: Dial,
  span: Span,
  tell: (event: string, attributes?: Readonly<Record<string, unknown>>) => void,
  propagation: boolean
): Dial => {
  let requests = 0
  return (url, headers, done) => {
    if (requests++ > 0) tell("websocket.redirect", attributesOf(url))
    return dial(
      url,
      propagation ? { ...missing(headersOfSpan(span), headers), ...headers } : headers,
      (dialed) => {
        if (isOverHttp2(dialed)) {
          for (const [name, value] of Object.entries(overHttp2)) span.attribute(name, value)
        }
        if (dialed._tag === "Upgraded") {
          span.attribute("http.response.status_code", dialed.status ?? 101)
          rememberSpan(dialed.transport, span)
        } else {
          const status = statusOf(dialed)
          if (status !== undefined) span.attribute("http.response.status_code", status)
        }
        done(dialed)
      },
      tell
    )
  }
}

const isOverHttp2 = (dialed: Dialed): boolean =>
  (dialed._tag === "Upgraded" && dialed.status === 200) || (dialed._tag === "Rejected" && dialed.httpVersion === "2")

const statusOf = (dialed: Exclude<Dialed, { readonly _tag: "Upgraded" }>): number | undefined => {
  if (dialed._tag === "Rejected") return dialed.status
  return isHandshakeRejected(dialed.error) ? dialed.error.status : undefined
}

/** The headers that others do not have. The app may have set them itself. */
const missing = (added: Readonly<Record<string, string>>, headers: HeaderRecord): HeaderRecord =>
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
    const parent = propagation ? Option.getOrUndefined(spanOfHeaders(plain(attempt.request.headers))) : undefined
    const isConnect = attempt.request.method === "CONNECT"
    const common = isConnect ? overHttp2 : overHttp1
    const options = { kind: "server", attributes: { ...common, ...serverAttributes(attempt) } } as const
    const made = Effect.makeSpanScoped(
      "websocket.server.handshake",
      parent === undefined ? options : { ...options, parent }
    )
    const span = runSyncWith(inherited)(scopeProvide(made, scope))
    const end = (exit: Exit.Exit<void, string>): void => {
      const closing = scopeCloseUnsafe(scope, exit)
      if (closing !== undefined) runForkWith(inherited)(closing)
    }
    return {
      accepted: (transport) => {
        span.attribute("http.response.status_code", isConnect ? 200 : 101)
        rememberSpan(transport, span)
        end(Exit.void)
      },
      refused: (reason, status) => {
        if (status !== undefined) span.attribute("http.response.status_code", status)
        span.attribute("error.type", reason)
        // OpenTelemetry: a status below 500 is no error of the server.
        end(status !== undefined && status < 500 ? Exit.void : Exit.fail(reason))
      }
    }
  }

const serverAttributes = ({ request }: UpgradeAttempt): Readonly<Record<string, unknown>> => {
  const [host] = HeaderField.values(request.headers, "host")
  const path = pathOf(request.url)
  if (host === undefined || !URL.canParse(`ws://${host}`)) return { "url.path": path }
  const { hostname, port } = new URL(`ws://${host}`)
  return { "url.path": path, "server.address": hostname, ...(port === "" ? {} : { "server.port": Number(port) }) }
}

/** Headers as a record of texts. Names are in lower case already. */
const plain = (headers: HeaderField.Input): Readonly<Record<string, string>> =>
  Object.fromEntries(
    ["traceparent", "b3", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled"].flatMap((name) => {
      const [value] = HeaderField.values(headers, name)
      return value === undefined ? [] : [[name, value]]
    })
  )
