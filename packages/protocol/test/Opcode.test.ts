import { assert, describe, it } from "vitest"
import * as Opcode from "@effect-websocket/protocol/Opcode"

const registry: Record<Opcode.Name, number> = { Continuation: 0, Text: 1, Binary: 2, Close: 8, Ping: 9, Pong: 10 }
const names = Object.entries(registry) as ReadonlyArray<[Opcode.Name, Opcode.Opcode]>

describe("Opcode", () => {
  it.each(names)("%s is %i", (name, opcode) => {
    assert.strictEqual(Opcode[name], opcode)
    assert.strictEqual(Opcode.fromName(name), opcode)
    assert.strictEqual(Opcode.toName(opcode), name)
  })

  it("tells reserved opcodes and control frames apart from the others", () => {
    for (let opcode = 0; opcode < 16; opcode++) {
      const known = names.some(([, value]) => value === opcode)
      assert.strictEqual(Opcode.isOpcode(opcode), known, String(opcode))
      assert.strictEqual(Opcode.toName(opcode) !== undefined, known, String(opcode))
      assert.strictEqual(Opcode.isControl(opcode), opcode >= 8, String(opcode))
    }
  })

  it.each([-1, 16, 0x81, NaN, 1.5, 9.5])("%d is not an opcode", (value) => {
    assert.isFalse(Opcode.isOpcode(value))
    assert.isUndefined(Opcode.toName(value))
  })

  it("recognises the opcodes that can be given a meaning", () => {
    const reserved = Array.from({ length: 18 }, (_, i) => i - 1).filter(Opcode.isReserved)
    assert.deepStrictEqual(reserved, [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
    assert.isFalse(Opcode.isReserved(3.5))
    assert.isFalse(Opcode.isReserved(NaN))
  })
})
