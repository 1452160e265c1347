import { encodePayload } from "@effect-websocket/protocol/CloseCode"
import { PayloadTooLarge } from "@effect-websocket/protocol/Errors"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Runtime from "effect/Runtime"
import type { DrainOptions } from "../Options.js"
import type { DrainReport } from "../WebSocketServer.js"
import type { ServerDriver } from "./connections.js"
import type { Handlers } from "./handlers.js"
import { defaults, delay, shown, timeout } from "./settings.js"
import { awaitClosed } from "./scopes.js"
import { together } from "./together.js"

/** In milliseconds. */
export interface DrainSettings {
  readonly code: 1001 | 1012
  readonly reason: string
  readonly window: number
  readonly timeout: number
}

export const resolveDrain = (options: DrainOptions): DrainSettings => {
  const { code = defaults.drainCode, reason = "", window = defaults.drainWindow } = options
  if (code !== 1001 && code !== 1012) throw new RangeError(`drain.code must be 1001 or 1012, but is ${shown(code)}`)
  const refused = encodePayload(code, reason)
  if (refused instanceof PayloadTooLarge) {
    throw new RangeError(
      `drain.reason must have at most ${refused.max} bytes of UTF-8, but ${shown(reason)} has ${refused.size}`
    )
  }
  const whole = timeout("drain.timeout", options.timeout ?? defaults.drainTimeout)
  const millis = delay("drain.window", window)
  if (millis > whole) {
    throw new RangeError(`drain.window must be at most drain.timeout (${whole} ms), but is ${millis} ms`)
  }
  return { code, reason, window: millis, timeout: whole }
}

/** Starts a fiber, which no interruption of its parent touches. */
export type Start = <A>(effect: Effect.Effect<A>) => Fiber.RuntimeFiber<A>

/**
 * Gives an effect the means to start fibers in its own step, with what the fiber that runs it has: clock, random numbers,
 * loggers. So nobody can find something that was begun and never runs.
 */
export const starting = <A>(begin: (start: Start) => Effect.Effect<A>): Effect.Effect<A> =>
  Effect.withFiberRuntime((parent) => {
    const runtime = Runtime.make({
      context: Context.empty(),
      fiberRefs: parent.getFiberRefs(),
      runtimeFlags: Runtime.defaultRuntimeFlags
    })
    return begin((effect) => Runtime.runFork(runtime)(effect))
  })

/**
 * Starts to close connections at random times within the window, wait for their handlers, and at the deadline interrupt and
 * drop what is left. The effect that it returns waits for the report; interrupting that does not stop the drain.
 */
export const drain = (
  start: Start,
  sockets: ReadonlyArray<ServerDriver>,
  handlers: Iterable<Handlers>,
  settings: DrainSettings
): Effect.Effect<DrainReport> => {
  let closed = 0
  const count = (socket: ServerDriver) =>
    Effect.map(socket.closeStatus, ({ clean }) => {
      if (clean) closed++
    })
  const close = (socket: ServerDriver) => {
    const closeNow = Effect.zipRight(Effect.ignore(socket.close(settings.code, settings.reason)), count(socket))
    if (settings.window === 0) return closeNow
    return Effect.flatMap(Random.next, (chance) =>
      Effect.zipRight(
        // Who leaves before its turn waits no longer.
        Effect.raceFirst(Effect.sleep(Duration.millis(chance * settings.window)), awaitClosed(socket.link)),
        closeNow
      )
    )
  }
  const ended = Effect.suspend(() => together(sockets.map(close)))
  const handled = Effect.suspend(() => Effect.forEach(handlers, (each) => each.awaitAll, { discard: true }))
  const run = Effect.gen(function* () {
    const inTime = yield* Effect.zipRight(ended, handled).pipe(
      Effect.as(true),
      Effect.timeoutTo({
        duration: Duration.millis(settings.timeout),
        onSuccess: () => true,
        onTimeout: () => false
      })
    )
    let interrupted = 0
    if (!inTime) {
      for (const each of handlers) interrupted += each.interrupt()
      yield* together(sockets.map((socket) => socket.abort))
    }
    return { closed, dropped: sockets.length - closed, interrupted }
  })
  return Effect.flatten(Fiber.await(start(run)))
}

export const mergeReports = (reports: ReadonlyArray<DrainReport>): DrainReport => ({
  closed: sum(reports, ({ closed }) => closed),
  dropped: sum(reports, ({ dropped }) => dropped),
  interrupted: sum(reports, ({ interrupted }) => interrupted)
})

const sum = (reports: ReadonlyArray<DrainReport>, of: (report: DrainReport) => number): number =>
  reports.reduce((total, report) => total + of(report), 0)

export const logReport = (drained: Effect.Effect<DrainReport>): Effect.Effect<void> =>
  Effect.flatMap(drained, ({ closed, dropped, interrupted }) =>
    Effect.logInfo(`Drained connections (closed: ${closed}, dropped: ${dropped}), interrupted handlers: ${interrupted}`)
  )
