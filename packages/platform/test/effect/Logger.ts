import { Effect, FiberRef, HashMap, HashSet, Layer, Logger, LogLevel } from "effect"

export * from "effect/Logger"

/** Logs by these loggers and no others. */
export const layer = (loggers: ReadonlyArray<Logger.Logger<unknown, unknown>>): Layer.Layer<never> =>
  Layer.scopedDiscard(Effect.locallyScoped(FiberRef.currentLoggers, HashSet.fromIterable(loggers)))

/** Logs what is at least of a level. */
export const minimumLogLevel = (level: "All" | "Debug"): Layer.Layer<never> =>
  Logger.minimumLogLevel(LogLevel.fromLiteral(level))

/** The level of an entry, in capitals. */
export const levelOf = ({ logLevel }: Logger.Logger.Options<unknown>): string => logLevel.label

/** The annotations of an entry. */
export const annotationsOf = ({ annotations }: Logger.Logger.Options<unknown>): Readonly<Record<string, unknown>> =>
  Object.fromEntries(HashMap.toEntries(annotations))

export { logfmtLogger as formatLogFmt, structuredLogger as formatStructured } from "effect/Logger"

/** Logs by the loggers that there are, but not by the default one. */
export const withoutDefault: Layer.Layer<never> = Logger.remove(Logger.defaultLogger)
