import { Effect, Metric } from "effect"

export * from "effect/Metric"

/**
 * The value of each series whose name begins with a prefix, by its name and its attributes without the unit, such as `a{b=c}`. The value of a histogram
 * is how often it was recorded.
 */
export const numbersOf = (prefix: string): Effect.Effect<ReadonlyMap<string, number>> =>
  Effect.map(
    Metric.snapshot,
    (snapshots) =>
      new Map(
        snapshots
          .filter(({ id }) => id.startsWith(prefix))
          .map(({ attributes, id, state }) => {
            const labels = Object.entries(attributes ?? {})
              .flatMap(([key, value]) => (key === "unit" ? [] : [`${key}=${value}`]))
              .sort()
            return [`${id}{${labels.join(",")}}`, Number(Reflect.get(state, "count") ?? Reflect.get(state, "value"))]
          })
      )
  )
