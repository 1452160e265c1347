/** Checks numbers that an app passes. Each check throws a `RangeError` that names the option, because the app has a bug. */

/** Formats a value that an app passed, for an error message. */
export const shown = (value: unknown): string => (typeof value === "string" ? JSON.stringify(value) : String(value))

/** Checks that a value is a positive integer. */
export const count = (name: string, value: number): number => {
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new RangeError(`${name} must be a positive integer, but is ${shown(value)}`)
}

/** Checks that a value is a positive number of bytes. */
export const bytes = (name: string, value: number): number => {
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new RangeError(`${name} must be a positive number of bytes, but is ${shown(value)}`)
}
