import { deepStrictEqual } from "node:assert"

/** What a target throws where the library does what it must not. */
export class Finding extends Error {
  override readonly name = "Finding"
}

export const check: (holds: boolean, message: string) => asserts holds = (holds, message) => {
  if (!holds) throw new Finding(message)
}

export const same = (actual: unknown, expected: unknown, message: string): void => {
  try {
    deepStrictEqual(actual, expected)
  } catch (error) {
    throw new Finding(`${message}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** The fields of an error, without its prose. */
export const facts = (error: object): Record<string, unknown> => {
  const { description: _, ...rest }: Record<string, unknown> = { ...error }
  return rest
}
