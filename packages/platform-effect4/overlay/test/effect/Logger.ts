import { Effect, Layer, Logger, References } from "effect"

export * from "effect/Logger"

/** Logs what is at least of a level. */
export const minimumLogLevel = (level: "All" | "Debug"): Layer.Layer<never> =>
  Layer.succeed(References.MinimumLogLevel, level)

/** The level of an entry, in capitals. */
export const levelOf = ({ logLevel }: Logger.Options<unknown>): string => logLevel.toUpperCase()

/** The annotations of an entry. */
export const annotationsOf = ({ fiber }: Logger.Options<unknown>): Readonly<Record<string, unknown>> =>
  fiber.getRef(References.CurrentLogAnnotations)

/** Logs by the loggers that there are, but not by the default one. */
export const withoutDefault: Layer.Layer<never> = Layer.effect(
  Logger.CurrentLoggers,
  Effect.map(
    Logger.CurrentLoggers,
    (loggers) => new Set([...loggers].filter((logger) => logger !== Logger.defaultLogger))
  )
)
