/**
 * Marks the instances of a class. The mark is on the prototype, so that instances do not grow. It is not enumerable,
 * so that comparing and printing them ignores it.
 */
export const tag = (type: { readonly prototype: object }, id: symbol): void => {
  Object.defineProperty(type.prototype, id, { value: id })
}

/** Whether any copy of this package has marked a value. */
export const isTagged = (u: unknown, id: symbol): boolean => typeof u === "object" && u !== null && id in u
