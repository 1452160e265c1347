import { ProtocolError } from "@effect-websocket/protocol/Errors"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import type * as Origin from "@effect-websocket/protocol/Origin"
import * as Subprotocol from "@effect-websocket/protocol/Subprotocol"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
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
import { answerOf, asksForUpgrade, headerRecordOf, targetOf, type FetchRequest } from "../../native/nativeAttempt.js"
import type { HibernatableSocket } from "./hibernation.js"
import { InvalidState } from "./InvalidState.js"
import { encodeState, type StateCodec } from "./state.js"
import {
  accepted,
  anyKey,
  makeSocketPair,
  refused,
  upgradeRequired,
  withHandshake,
  type FetchResponse
} from "./upgrading.js"

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

/** Checks a request to upgrade, and answers it. */
export const answerUpgrade = <S, R>(
  request: FetchRequest,
  plan: UpgradePlan<S, R>
): Effect.Effect<FetchResponse, never, R> =>
  Effect.suspend(() => {
    if (!asksForUpgrade(request)) return Effect.succeed(upgradeRequired())
    const checked = checkHandshake(request)
    if (checked._tag === "RefusedRequest") return refuse(checked)
    const refusal = checkOrigin(checked, plan.origin)
    if (refusal !== undefined) return refuse(refusal)
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

const late = ({ retryAfter }: { readonly retryAfter: string }): FetchResponse =>
  refused(503, { "Retry-After": retryAfter }, "The check of the request took too long")

const refuse = (refusal: Refused): Effect.Effect<FetchResponse> =>
  Effect.as(
    Effect.logWarning("Refused an upgrade request", refusal.error.message),
    refused(refusal.status, refusal.headers, bodyOf(refusal))
  )

const failed = (message: string, detail: unknown): Effect.Effect<FetchResponse> =>
  Effect.as(Effect.logError(message, detail), refused(500, {}, uncheckable))

const answerFailure = (cause: Cause.Cause<unknown>): Effect.Effect<FetchResponse> => {
  const failure = Cause.squash(cause)
  return isReject(failure) ? answerOther(failure) : failed(checkFailure, cause)
}

/** An app without types may return anything from a check. */
const answerOther = (answer: unknown): Effect.Effect<FetchResponse> => {
  if (!isReject(answer)) return failed("A check yielded neither an Accept nor a Reject", answer)
  const { body, headers, status } = answer
  const invalid = invalidAnswer(status, headers)
  return invalid === undefined
    ? Effect.succeed(refused(status, headers, body))
    : failed("A check rejected with an invalid answer", invalid)
}

const checkHandshake = (request: FetchRequest): ServerRequest | Refused => {
  const { headers, method, url } = withHandshake(request)
  const handshake = { method, url: targetOf(url), httpVersion: "1.1", headers: headerRecordOf(headers) }
  const checked = Handshake.checkRequest(handshake)
  return checked._tag === "RefusedRequest" ? checked : makeRequest(checked, undefined, undefined)
}

const accept = <S, R>(
  request: ServerRequest,
  { headers, options, protocol: own, value }: Accept<S>,
  plan: UpgradePlan<S, R>
): Effect.Effect<FetchResponse> => {
  if (options !== undefined) return failed("The connections of a Durable Object have no options of their own", options)
  const protocol =
    own === undefined || request.protocols.length === 0 ? Subprotocol.select(plan.select, request.protocols) : own
  const { key = anyKey, protocols } = request
  const answer = Handshake.responseHeaders({ key, protocols }, { protocol, extensions: [] }, headers)
  if (answer instanceof ProtocolError) return failed("The answer to an upgrade request is not valid", answer.message)
  const tags = [...plan.tags(value, request)]
  return Effect.matchEffect(encodeState(plan.codec, value, protocol), {
    onFailure: (error) => failed("The state of a connection cannot be attached", error.message),
    onSuccess: ({ encoded, state }) =>
      Effect.sync(() => {
        // All in one step: the WebSocket belongs to the object, and has its state, before anybody knows it.
        const { client, server } = makeSocketPair()
        const attachment = encodeAttachment({ state: encoded, protocol, sentCode: undefined })
        if (attachment instanceof InvalidState) throw attachment
        server.serializeAttachment(attachment)
        const response = accepted(client, protocol, answerOf(answer).headers)
        plan.take(server, tags)
        plan.accept(server, state, protocol)
        return response
      })
  })
}
