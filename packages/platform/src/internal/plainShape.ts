/**
 * Shapes of plain values, to recognise a value that a schema would return as it is. That takes a fraction of the time of the
 * schema, which makes a copy.
 */

/** A shape. It matches only values that the schema accepts and copies without a change. */
export interface PlainShape {
  readonly matches: (value: unknown) => boolean
  /** Which kind of values the schema accepts. */
  readonly kind: "primitive" | "array" | "record" | "any"
  /** The only value that it matches. */
  readonly literal?: { readonly value: unknown }
  /** The properties of a record that must have one value. */
  readonly literals?: ReadonlyMap<string, unknown>
}

/** A property of a record. */
export interface PlainProperty {
  readonly name: string
  readonly shape: PlainShape
  readonly isOptional: boolean
}

export const anything: PlainShape = { kind: "any", matches: () => true }

export const primitive = (matches: (value: unknown) => boolean): PlainShape => ({ kind: "primitive", matches })

export const literal = (value: unknown): PlainShape => ({
  kind: "primitive",
  matches: (other) => other === value,
  literal: { value }
})

/** The elements of an array, and then any number of the shape `rest`. */
export const array = (elements: ReadonlyArray<PlainShape>, rest: PlainShape | undefined): PlainShape => ({
  kind: "array",
  matches: (value) => {
    if (!Array.isArray(value) || Object.getPrototypeOf(value) !== Array.prototype) return false
    const { length } = value
    if (rest === undefined ? length !== elements.length : length < elements.length) return false
    for (let index = 0; index < length; index++) {
      const shape = elements[index] ?? rest
      if (shape?.matches(value[index]) !== true) return false
    }
    return true
  }
})

/** An object with some properties and no others, unless `others` is the shape of all properties. */
export const record = (
  properties: ReadonlyArray<PlainProperty>,
  others: PlainShape | undefined
): PlainShape | undefined => {
  const byName = new Map(properties.map((property) => [property.name, property]))
  // The copy of a schema would have another prototype.
  if (byName.has("__proto__")) return undefined
  const requiredCount = properties.filter(({ isOptional }) => !isOptional).length
  const literals = new Map<string, unknown>()
  for (const { isOptional, name, shape } of properties) {
    if (!isOptional && shape.literal !== undefined) literals.set(name, shape.literal.value)
  }
  const matches = (value: unknown): boolean => {
    if (!isPlainObject(value)) return false
    let required = 0
    let position = 0
    for (const name in value) {
      let property = properties[position++]
      // A peer may send the properties in another order.
      if (property?.name !== name) property = byName.get(name)
      if (property === undefined) {
        if (others === undefined || name === "__proto__") return false
      } else {
        if (!property.shape.matches(value[name])) return false
        if (!property.isOptional) required++
      }
      if (others?.matches(value[name]) === false) return false
    }
    return required === requiredCount
  }
  return { kind: "record", matches, literals }
}

/** The union of shapes, if at most one of their schemas accepts any value. Otherwise the order of the schemas would matter. */
export const union = (members: ReadonlyArray<PlainShape>): PlainShape | undefined => {
  const arrays = members.filter(({ kind }) => kind === "array")
  const records = members.filter(({ kind }) => kind === "record")
  if (members.some(({ kind }) => kind === "any") || arrays.length > 1) return undefined
  if (records.length > 1 && !areDistinct(records)) return undefined
  const tests = members.map(({ matches }) => matches)
  return {
    // What a union of unions accepts is not known.
    kind: arrays.length + records.length === 0 ? "primitive" : "any",
    matches: (value) => {
      for (const matches of tests) if (matches(value)) return true
      return false
    }
  }
}

/** Narrows a shape. */
export const refined = (shape: PlainShape, isAccepted: (value: unknown) => boolean): PlainShape => ({
  ...shape,
  matches: (value) => shape.matches(value) && isAccepted(value)
})

const isPlainObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype

/** Whether some property has another value in each of the records. */
const areDistinct = (records: ReadonlyArray<PlainShape>): boolean => {
  const [first] = records
  for (const name of first?.literals?.keys() ?? []) {
    const values = records.filter(({ literals }) => literals?.has(name)).map(({ literals }) => literals?.get(name))
    if (new Set(values).size === records.length) return true
  }
  return false
}
