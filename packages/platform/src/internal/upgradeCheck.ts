import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Acceptance, Check as EngineCheck, Outcome } from "../engine/server/Check.js"
import { isAccept, isReject, type Accept, type Check, type Reject } from "../UpgradeCheck.js"
import { annotations } from "./annotations.js"
import { flattenExit, interruptUnsafe, runForkWith, type Runtime } from "./effect.js"
import { resolveOwn, type ServerPolicy } from "./serverPolicy.js"

/** Runs a check of the app in a fiber for each request. */
export const checkWith =
  <A, E, R>(runtime: Runtime<R>, check: Check<A, E, R>, policy: ServerPolicy): EngineCheck =>
  (request, done) => {
    const fiber = runForkWith(runtime)(
      Effect.suspend(() => check(request)).pipe(
        Effect.annotateLogs(annotations(request.url, request.remoteAddress)),
        // As a value, because a runtime logs the failure of a fiber that nobody waits for.
        Effect.exit,
        // Interruptible even if the layer of the route is built in an uninterruptible region.
        Effect.interruptible
      )
    )
    fiber.addObserver((exit) => done(outcomeOf(flattenExit(exit), policy)))
    return () => interruptUnsafe(fiber)
  }

/** An app without types may return anything from a check. */
const outcomeOf = (exit: Exit.Exit<unknown, unknown>, policy: ServerPolicy): Outcome => {
  if (Exit.isSuccess(exit) && isAccept(exit.value)) return acceptanceOf(exit.value, policy)
  const answer = Exit.isSuccess(exit) ? exit.value : Cause.squash(exit.cause)
  if (isReject(answer)) return rejectionOf(answer)
  return Exit.isSuccess(exit)
    ? { _tag: "CheckFailure", message: "A check yielded neither an Accept nor a Reject", detail: answer }
    : { _tag: "CheckFailure", message: "The check of an upgrade request failed", detail: exit.cause }
}

const acceptanceOf = ({ headers, options, protocol, value }: Accept<unknown>, policy: ServerPolicy): Acceptance => ({
  _tag: "Acceptance",
  value,
  protocol,
  headers,
  settings: resolveOwn(policy, options)
})

const rejectionOf = ({ body, headers, status }: Reject): Outcome => ({ _tag: "Rejection", status, headers, body })
