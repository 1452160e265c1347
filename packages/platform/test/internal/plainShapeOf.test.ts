/** A value that a shape matches is one that the schema itself decodes and encodes to an equal value. */
import { decodeUnknown, encodeUnknown, unknownYet, valueOf, type AnySchema } from "../../src/internal/effect.js"
import { plainShapeOf } from "../../src/internal/plainShapeOf.js"
import { Effect, Schema } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"

const Person = Schema.Struct({ name: Schema.String, age: Schema.optional(Schema.Number) })
const Said = Schema.Struct({ type: Schema.Literal("said"), text: Schema.String })
const Left = Schema.Struct({ type: Schema.Literal("left") })
const Short = Schema.Struct({ a: Schema.Number })
const Long = Schema.Struct({ a: Schema.Number, b: Schema.Number })

/** Schemas that have a shape. */
const plain = {
  String: Schema.String,
  Number: Schema.Number,
  Boolean: Schema.Boolean,
  Null: Schema.Null,
  Undefined: Schema.Undefined,
  Unknown: Schema.Unknown,
  Literal: Schema.Literal("said"),
  Struct: Person,
  Array: Schema.Array(Schema.Number),
  Tuple: Schema.pairOf(Schema.String, Schema.Number, Person),
  Record: Schema.recordOf(Schema.Number),
  NullOr: Schema.NullOr(Person),
  Tagged: Schema.unionOf(Said, Left),
  Nested: Schema.Struct({ people: Schema.Array(Person), event: Schema.unionOf(Said, Left), rest: Schema.Unknown })
}

/** Schemas whose result depends on more than the shape of a value. */
const others = {
  // The first member strips what the second has.
  Overlapping: Schema.unionOf(Short, Long),
  OverlappingUnknown: Schema.unionOf(Short, Schema.Unknown),
  OverlappingArrays: Schema.unionOf(Schema.Array(Schema.String), Schema.Array(Schema.Number)),
  Empty: Schema.Struct({}),
  Prototype: Schema.Struct({ ["__proto__"]: Schema.String }),
  Transformed: Schema.Struct({ at: Schema.NumberFromString }),
  Recursive: Schema.Nested,
  Never: Schema.Never,
  PropertyWithoutShape: Schema.Struct({ never: Schema.Never })
}

const values: ReadonlyArray<unknown> = [
  "said",
  "",
  1,
  Number.NaN,
  true,
  null,
  undefined,
  {},
  [],
  [1, 2],
  [1, "2"],
  ["a", 1],
  ["a"],
  ["a", 1, { name: "x" }],
  ["a", 1, { name: 1 }],
  { name: "a" },
  { name: "a", age: 1 },
  { age: 1, name: "a" },
  { name: "a", age: undefined },
  { name: "a", age: "1" },
  { name: "a", other: 1 },
  { age: 1 },
  { a: 1 },
  { a: 1, b: 2 },
  JSON.parse(`{"__proto__":1,"a":1}`),
  { type: "said", text: "hi" },
  { type: "said" },
  { type: "left" },
  { type: "left", text: "hi" },
  { type: "none" },
  { people: [{ name: "a" }], event: { type: "left" }, rest: { any: [1] } },
  { people: [{ name: "a", other: 1 }], event: { type: "left" }, rest: 1 },
  Object.assign(Object.create({ age: 1 }), { name: "a" }),
  Object.assign(Object.create(null), { name: "a" }),
  new (class extends Array {})()
]

const decoded = (schema: AnySchema, value: unknown): unknown => valueOf(decodeUnknown(schema)(value))
const encoded = (schema: AnySchema, value: unknown): unknown => valueOf(encodeUnknown(schema)(value))

describe("plainShapeOf", () => {
  for (const [name, schema] of Object.entries(plain)) {
    it.effect(`${name}: matches only what the schema leaves as it is`, () =>
      Effect.sync(() => {
        const shape = plainShapeOf(schema.ast)
        assert.isDefined(shape)
        let matched = 0
        for (const value of values) {
          if (shape?.matches(value) !== true) continue
          matched++
          assert.deepStrictEqual(decoded(schema, value), value)
          assert.deepStrictEqual(encoded(schema, value), value)
        }
        assert.isAbove(matched, 0)
      })
    )
  }

  it.effect("matches the usual values, in any order of their properties", () =>
    Effect.sync(() => {
      const matching = (schema: AnySchema, value: unknown) => plainShapeOf(schema.ast)?.matches(value)
      assert.isTrue(matching(Person, { age: 1, name: "a" }))
      assert.isTrue(matching(Person, { name: "a" }))
      assert.isFalse(matching(Person, { name: "a", other: 1 }))
      assert.isFalse(matching(Person, { age: 1 }))
      assert.isFalse(matching(plain.Record, JSON.parse(`{"__proto__":1}`)))
      assert.isTrue(matching(plain.Nested, { people: [{ name: "a" }], event: { type: "left" }, rest: 1 }))
      assert.isFalse(matching(plain.Tagged, { type: "left", text: "hi" }))
    })
  )

  it.effect("does not match what two members of a union accept if the union refuses it", () =>
    Effect.sync(() => {
      const ExactlyOne = Schema.exactlyOneOf(Schema.Number, Schema.Literal(1))
      assert.strictEqual(decoded(ExactlyOne, 1), unknownYet)
      assert.strictEqual(decoded(ExactlyOne, 2), 2)
      assert.isNotTrue(plainShapeOf(ExactlyOne.ast)?.matches(1))
    })
  )

  for (const [name, schema] of Object.entries(others)) {
    it.effect(`${name}: has none`, () => Effect.sync(() => assert.isUndefined(plainShapeOf(schema.ast))))
  }
})
