import { Effect, Metric } from "effect"

export * from "effect/Metric"

export { incrementBy as modify } from "effect/Metric"

/**
 * The value of each series whose name begins with a prefix, by its name and its attributes without the unit, such as `a{b=c}`. The value of a histogram
 * is how often it was recorded.
 */
export const numbersOf = (prefix: string): Effect.Effect<ReadonlyMap<string, number>> =>
  Effect.map(
    Metric.snapshot,
    (pairs) =>
      new Map(
        pairs
          .filter(({ metricKey }) => metricKey.name.startsWith(prefix))
          .map(({ metricKey: { name, tags }, metricState: state }) => {
            const labels = tags.flatMap(({ key, value }) => (key === "unit" ? [] : [`${key}=${value}`])).sort()
            return [`${name}{${labels.join(",")}}`, Number(Reflect.get(state, "count") ?? Reflect.get(state, "value"))]
          })
      )
  )
