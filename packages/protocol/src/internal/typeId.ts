/**
 * Marks the instances of a class. On the prototype, so that they get no larger, and hidden, so that nobody sees it who compares or
 * prints them.
 */
export const tag = (type: { readonly prototype: object }, id: symbol): void => {
  Object.defineProperty(type.prototype, id, { value: id })
}

/** Whether a value is marked, by any copy of this package. */
export const isTagged = (u: unknown, id: symbol): boolean => typeof u === "object" && u !== null && id in u
