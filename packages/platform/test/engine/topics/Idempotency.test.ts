import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Idempotency } from "../../../src/engine/topics/Idempotency.js"

describe("a table of idempotency keys", () => {
  it("has the newest results that have not expired", () => {
    const commands = fc.array(fc.record({ key: fc.integer({ min: 0, max: 12 }), wait: fc.nat(20) }), { maxLength: 200 })
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 1, max: 100 }),
        commands,
        (maxKeys, maxAge, commands) => {
          const table = new Idempotency<number>({ maxKeys, maxAge })
          let model: Array<{ readonly key: string; readonly result: number; readonly time: number }> = []
          let now = 0
          for (const [result, { key, wait }] of commands.entries()) {
            now += wait
            model = model.filter(({ time }) => time + maxAge > now)
            const known = model.find((each) => each.key === String(key))
            assert.strictEqual(table.get(String(key), now), known?.result)
            if (known !== undefined) continue
            table.set(String(key), result, now)
            model = [...model, { key: String(key), result, time: now }].slice(-maxKeys)
            assert.strictEqual(table.size, model.length)
          }
        }
      )
    )
  })
})
