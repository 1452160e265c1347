/** Returns `value`, or throws a `RangeError` that names the option. */
export const positiveInteger = (name: string, value: number, max: number = Number.MAX_SAFE_INTEGER): number => {
  if (!Number.isInteger(value) || value < 1 || value > max) {
    throw new RangeError(`${name} must be an integer from 1 to ${max}, but is ${value}`)
  }
  return value
}
