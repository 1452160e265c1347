import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { Defect } from "../engine/Defect.js"
import type { Log } from "../engine/server/Log.js"
import { annotations } from "./annotations.js"
import { runForkWith, type Runtime } from "./effect.js"

const levels = { debug: Effect.logDebug, warning: Effect.logWarning, error: Effect.logError }

/** Logs the messages of a server about its requests, with the loggers of a runtime. */
export const logWith =
  (runtime: Runtime<never>): Log =>
  (level, message, detail, { remoteAddress, request }) => {
    const entry = levels[level](message, detail instanceof Defect ? Cause.die(detail.cause) : detail)
    runForkWith(runtime)(Effect.annotateLogs(entry, annotations(request.url, remoteAddress)))
  }
