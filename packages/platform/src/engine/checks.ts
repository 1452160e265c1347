/** Checks of numbers that an app passes. Each throws a `RangeError` that names the option: such a mistake is the programmer's. */

/** A value that an app passed, for a message. */
export const shown = (value: unknown): string => (typeof value === "string" ? JSON.stringify(value) : String(value))

/** A positive number of something. */
export const count = (name: string, value: number): number => {
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new RangeError(`${name} must be a positive integer, but is ${shown(value)}`)
}

/** A positive number of bytes. */
export const bytes = (name: string, value: number): number => {
  if (Number.isSafeInteger(value) && value > 0) return value
  throw new RangeError(`${name} must be a positive number of bytes, but is ${shown(value)}`)
}
