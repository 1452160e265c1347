/** Means, quantiles and groups. */

export const quantile = (values: ReadonlyArray<number>, part: number): number => {
  const sorted = [...values].sort((left, right) => left - right)
  if (sorted.length === 0) return Number.NaN
  const position = (sorted.length - 1) * part
  const below = sorted[Math.floor(position)]!
  const above = sorted[Math.ceil(position)]!
  return below + (above - below) * (position - Math.floor(position))
}

export const mean = (values: ReadonlyArray<number>): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length

export const median = (values: ReadonlyArray<number>): number => quantile(values, 0.5)

/** `Map.groupBy`, which Node 20 lacks. */
export const groupBy = <A, K>(values: ReadonlyArray<A>, keyOf: (value: A) => K): Map<K, Array<A>> => {
  const groups = new Map<K, Array<A>>()
  for (const value of values) {
    const key = keyOf(value)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [value])
    else group.push(value)
  }
  return groups
}
