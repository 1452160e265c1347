import * as Equal from "effect/Equal"
import { isSameBytes } from "../engine/bytes.js"

/**
 * Whether two values of a schema have the same contents: arrays, plain objects and bytes by what they hold, other values by
 * `Equal.equals`, which compares the data types of Effect.
 */
export const isSameValue = (left: unknown, right: unknown): boolean => {
  if (Object.is(left, right) || Equal.equals(left, right)) return true
  if (left instanceof Uint8Array && right instanceof Uint8Array) return isSameBytes(left, right)
  if (left instanceof Date && right instanceof Date) return left.getTime() === right.getTime()
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((value, index) => isSameValue(value, right[index]))
  }
  if (!isPlain(left) || !isPlain(right)) return false
  const keys = Object.keys(left)
  return (
    keys.length === Object.keys(right).length &&
    keys.every((key) => Object.hasOwn(right, key) && isSameValue(left[key], right[key]))
  )
}

const isPlain = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype
