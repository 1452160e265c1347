/** Parses JSON. Throws for invalid JSON, and for an object with the key `__proto__`. */
export const parse = (text: string): unknown => {
  const value: unknown = JSON.parse(text)
  // Without an escape, the text has the key as it is.
  if ((text.includes(forbiddenKey) || text.includes(escape)) && hasForbiddenKey(value)) {
    throw new SyntaxError(`An object has the key ${forbiddenKey}`)
  }
  return value
}

/** The JSON of a value. Throws if it has none. */
export const stringify = (value: unknown): string => {
  const text: unknown = JSON.stringify(value)
  if (typeof text !== "string") throw new TypeError("The value has no JSON")
  return text
}

const forbiddenKey = "__proto__"
const escape = "\\u"

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null

/** Without recursion, because the peer chooses the depth. */
const hasForbiddenKey = (value: unknown): boolean => {
  const rest: Array<object> = isObject(value) ? [value] : []
  for (let next = rest.pop(); next !== undefined; next = rest.pop()) {
    if (Object.hasOwn(next, forbiddenKey)) return true
    for (const child of Object.values(next)) if (isObject(child)) rest.push(child)
  }
  return false
}
