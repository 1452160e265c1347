import { encodePayload } from "@effect-websocket/protocol/CloseCode"
import { PayloadTooLarge } from "@effect-websocket/protocol/Errors"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberId from "effect/FiberId"
import * as Random from "effect/Random"
import type { DrainOptions, DrainReport } from "../WebSocketServer.js"
import type { ServerDriver } from "./connections.js"
import type { Handlers } from "./handlers.js"
import { defaults, delay, shown, timeout } from "./settings.js"

/** In milliseconds. */
export interface DrainSettings {
  readonly code: 1001 | 1012
  readonly reason: string
  readonly window: number
  readonly timeout: number
}

export const resolveDrain = (options: DrainOptions): DrainSettings => {
  const { code = 1001, reason = "", window = Duration.zero } = options
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

/**
 * Closes connections at times of chance within the window, waits for their handlers, and at the deadline interrupts and
 * drops what is left. Whoever asks for `report` waits for `run`.
 */
export const drain = (
  sockets: ReadonlyArray<ServerDriver>,
  handlers: Iterable<Handlers>,
  settings: DrainSettings
): { readonly run: Effect.Effect<DrainReport>; readonly report: Effect.Effect<DrainReport> } => {
  const done = Deferred.unsafeMake<DrainReport>(FiberId.none)
  const report = Deferred.await(done)
  let closed = 0
  const count = (socket: ServerDriver) =>
    Effect.map(socket.closeStatus, ({ clean }) => {
      if (clean) closed++
    })
  const ended = Effect.forEach(
    sockets,
    (socket) => {
      const close = Effect.zipRight(Effect.ignore(socket.close(settings.code, settings.reason)), count(socket))
      if (settings.window === 0) return close
      return Effect.flatMap(Random.next, (chance) =>
        Effect.zipRight(
          // Who leaves before its turn waits no longer.
          Effect.raceFirst(Effect.sleep(Duration.millis(chance * settings.window)), socket.awaitClosed),
          close
        )
      )
    },
    { concurrency: "unbounded", discard: true }
  )
  const handled = Effect.suspend(() =>
    Effect.forEach(handlers, (each) => each.awaitAll, { concurrency: "unbounded", discard: true })
  )
  const run = Effect.gen(function* () {
    const inTime = yield* Effect.interruptible(Effect.zipRight(ended, handled)).pipe(
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
      const aborts = sockets.map((socket) => socket.abort)
      yield* Effect.all(aborts, { concurrency: "unbounded", discard: true })
    }
    const result = { closed, dropped: sockets.length - closed, interrupted }
    yield* Deferred.succeed(done, result)
    return result
  })
  return { run: Effect.uninterruptible(run), report }
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
