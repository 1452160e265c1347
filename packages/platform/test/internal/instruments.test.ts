import * as instruments from "../../src/internal/instruments.js"
import { assertDocumented, table } from "../documented.js"
import { assert, describe, it } from "../effect/vitest.js"

const all = Object.values(instruments)

describe("instruments", () => {
  it("are in the docs; pnpm docs:write updates them", () => {
    const rows = all.map(({ attributes, description, name, type, unit }) => {
      const names = attributes.map((attribute) => `\`${attribute}\``).join(", ")
      return [`\`${name}\``, type, `\`${unit}\``, description, names]
    })
    const head = ["metric", "type", "unit", "what it tells", "attributes"]
    assertDocumented("observability.md", "metrics", table(head, rows))
  })

  it("have their own names, in the form of OpenTelemetry, and boundaries if they are histograms", () => {
    assert.strictEqual(new Set(all.map(({ name }) => name)).size, all.length)
    for (const { boundaries = [], name, type } of all) {
      assert.match(name, /^websocket(\.[a-z_]+)+$/)
      assert.strictEqual(boundaries.length > 0, type === "histogram", name)
      assert.deepStrictEqual(
        boundaries,
        [...boundaries].sort((a, b) => a - b)
      )
    }
  })
})
