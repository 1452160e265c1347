import { ProtocolError, type HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import type * as Origin from "@effect-websocket/protocol/Origin"
import * as Subprotocol from "@effect-websocket/protocol/Subprotocol"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import { joinedHeaders } from "../../engine/native/joinedHeaders.js"
import {
  bodyOf,
  checkFailure,
  checkOrigin,
  invalidAnswer,
  uncheckable,
  type Refused
} from "../../engine/server/Refused.js"
import type { ServerRequest } from "../../engine/server/ServerRequest.js"
import { exitOfQuiet, forkDetach, interruptUnsafe, quiet } from "../../internal/effect.js"
import { makeRequest } from "../../internal/serverRequest.js"
import { isAccept, isReject, type Accept, type Check, type Request } from "../../UpgradeCheck.js"
import { encodeAttachment } from "./attachment.js"
import {
  makeResponse,
  makeSocketPair,
  type FetchRequest,
  type HibernatableSocket,
  type ResponseOr
} from "./hibernation.js"
import { InvalidState } from "./InvalidState.js"
import { encodeState, type StateCodec } from "./state.js"

/** On what terms a Durable Object accepts requests. Durations are in milliseconds. */
export interface UpgradePlan<S, R> {
  readonly codec: StateCodec<S>
  readonly check: Check<S, unknown, R>
  readonly origin: Origin.Policy
  readonly select: Subprotocol.Selector
  readonly tags: (state: S, request: Request) => ReadonlyArray<string>
  readonly handshakeTimeout: number
  readonly retryAfter: string
  /** Takes over a WebSocket with its tags. */
  readonly take: (socket: HibernatableSocket, tags: Array<string>) => void
  /** The connection is open. */
  readonly accept: (socket: HibernatableSocket, state: S, protocol: string | undefined) => void
}

type Response = ResponseOr<object>

/** Checks a request to upgrade, and answers it. */
export const answerUpgrade = <S, R>(
  request: FetchRequest,
  plan: UpgradePlan<S, R>
): Effect.Effect<Response, never, R> =>
  Effect.suspend(() => {
    if (!isUpgrade(request)) return Effect.succeed(respond(426, "This is a WebSocket", { Upgrade: "websocket" }))
    const checked = checkHandshake(request)
    if (checked._tag === "RefusedRequest") return refuse(checked)
    const refused = checkOrigin(checked, plan.origin)
    if (refused !== undefined) return refuse(refused)
    return Effect.flatMap(outcomeOf(plan.check(checked), plan.handshakeTimeout), (outcome) => {
      if (Option.isNone(outcome)) return Effect.succeed(late(plan))
      const exit = exitOfQuiet(outcome.value)
      if (Exit.isFailure(exit)) return answerFailure(exit.cause)
      const answer: unknown = exit.value
      return isAccept(answer) ? accept(checked, answer as Accept<S>, plan) : answerOther(answer)
    })
  }).pipe((answered) =>
    Effect.flatMap(Effect.exit(answered), (exit) =>
      Exit.isSuccess(exit) ? Effect.succeed(exit.value) : failed(checkFailure, exit.cause)
    )
  )

/** Runs a check for a time, after which it is given up, even if it cannot be interrupted. */
const outcomeOf = <A, E, R>(check: Effect.Effect<A, E, R>, millis: number) =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(forkDetach(Effect.interruptible(quiet(check))), (fiber) =>
      Effect.ensuring(
        restore(Effect.timeoutOption(Fiber.await(fiber), millis)),
        Effect.sync(() => interruptUnsafe(fiber))
      )
    )
  )

const respond = (status: number, body: string, headers: Record<string, string> = {}): Response =>
  makeResponse(body, { status, headers: { "Content-Type": "text/plain; charset=utf-8", ...headers } })

const late = ({ retryAfter }: { readonly retryAfter: string }): Response =>
  respond(503, "The check of the request took too long", { "Retry-After": retryAfter })

const refuse = (refused: Refused): Effect.Effect<Response> =>
  Effect.as(
    Effect.logWarning("Refused an upgrade request", refused.error.message),
    respond(refused.status, bodyOf(refused), joinedHeaders(refused.headers))
  )

const failed = (message: string, detail: unknown): Effect.Effect<Response> =>
  Effect.as(Effect.logError(message, detail), respond(500, uncheckable))

const answerFailure = (cause: Cause.Cause<unknown>): Effect.Effect<Response> => {
  const failure = Cause.squash(cause)
  return isReject(failure) ? answerOther(failure) : failed(checkFailure, cause)
}

/** An app without types may return anything from a check. */
const answerOther = (answer: unknown): Effect.Effect<Response> => {
  if (!isReject(answer)) return failed("A check yielded neither an Accept nor a Reject", answer)
  const { body, headers, status } = answer
  const invalid = invalidAnswer(status, headers)
  return invalid === undefined
    ? Effect.succeed(respond(status, body, joinedHeaders(headers)))
    : failed("A check rejected with an invalid answer", invalid)
}

const isUpgrade = ({ headers }: FetchRequest): boolean => {
  let asks = false
  headers.forEach((_, name) => (asks ||= name.toLowerCase() === "upgrade"))
  return asks
}

/** A Worker can make a request by `fetch` with the header `Upgrade` only. It has done the rest of the handshake. */
const checkHandshake = ({ headers, method, url }: FetchRequest): ServerRequest | Refused => {
  const given: Record<string, string> = {}
  headers.forEach((value, name) => {
    given[name.toLowerCase()] = value
  })
  const { host, pathname, search } = new URL(url)
  const made = given["sec-websocket-key"] === undefined
  const whole = made
    ? { host, connection: "Upgrade", "sec-websocket-version": "13", "sec-websocket-key": anyKey, ...given }
    : given
  const checked = Handshake.checkRequest({ method, url: pathname + search, httpVersion: "1.1", headers: whole })
  if (checked._tag === "RefusedRequest") return checked
  return makeRequest(made ? { ...checked, key: undefined } : checked, undefined, undefined)
}

// The base64 of 16 bytes.
const anyKey = "AAAAAAAAAAAAAAAAAAAAAA=="

const accept = <S, R>(
  request: ServerRequest,
  { headers, options, protocol: accepted, value }: Accept<S>,
  plan: UpgradePlan<S, R>
): Effect.Effect<Response> => {
  if (options !== undefined) return failed("The connections of a Durable Object have no options of their own", options)
  const protocol =
    accepted === undefined || request.protocols.length === 0
      ? Subprotocol.select(plan.select, request.protocols)
      : accepted
  const { key = anyKey, protocols } = request
  const answer = Handshake.responseHeaders({ key, protocols }, { protocol, extensions: [] }, headers)
  if (answer instanceof ProtocolError) return failed("The answer to an upgrade request is not valid", answer.message)
  const tags = [...plan.tags(value, request)]
  return Effect.matchEffect(encodeState(plan.codec, value, protocol), {
    onFailure: (error) => failed("The state of a connection cannot be attached", error.message),
    onSuccess: ({ encoded, state }) =>
      Effect.sync(() => {
        // All in one step: the WebSocket belongs to the object, and has its state, before anybody knows it.
        const [client, server] = makeSocketPair()
        const attachment = encodeAttachment({ state: encoded, protocol, sentCode: undefined })
        if (attachment instanceof InvalidState) throw attachment
        server.serializeAttachment(attachment)
        const response = makeResponse(null, { status: 101, headers: withoutHandshake(answer), webSocket: client })
        plan.take(server, tags)
        plan.accept(server, state, protocol)
        return response
      })
  })
}

/** Workers write the headers of the handshake themselves. */
const withoutHandshake = (headers: HeaderRecord): Record<string, string> =>
  Object.fromEntries(Object.entries(joinedHeaders(headers)).filter(([name]) => !ofHandshake.has(name.toLowerCase())))

const ofHandshake = new Set(["connection", "upgrade", "sec-websocket-accept"])
