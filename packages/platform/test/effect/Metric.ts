import { Effect, Metric } from "effect"

export * from "effect/Metric"

export { incrementBy as modify } from "effect/Metric"

/**
 * The value of each series whose name begins with a prefix, by its name and its attributes without the unit, such as `a{b=c}`. The value of a histogram
 * is how often it was recorded.
 */
export const numbersOf = (prefix: string): Effect.Effect<ReadonlyMap<string, number>> =>
  Effect.map(Metric.snapshot, (pairs) => {
    const numbers = new Map<string, number>()
    for (const { metricKey, metricState: state } of pairs) {
      const { name, tags } = metricKey
      if (!name.startsWith(prefix)) continue
      const labels = tags.flatMap(({ key, value }) => (key === "unit" ? [] : [`${key}=${value}`])).sort()
      const series = `${name}{${labels.join(",")}}`
      const number = Number(Reflect.get(state, "count") ?? Reflect.get(state, "value"))
      // Each file of tests loads the library anew, and histograms of several copies are several series, because Effect compares
      // their boundaries by identity.
      numbers.set(series, (numbers.get(series) ?? 0) + number)
    }
    return numbers
  })
