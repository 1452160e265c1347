/**
 * Checks the tables of docs/migrating.md for the reference libraries. `scripts/checkSnippets.ts` type-checks their last
 * column.
 */
import * as Platform from "@effect-websocket/platform"
import * as Node from "@effect-websocket/platform/node"
import * as Protocol from "@effect-websocket/protocol"
import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { seeds } from "../src/seeds.js"
import { members, options, others, types } from "./names.js"

const text = readFileSync(new URL("../../../docs/migrating.md", import.meta.url), "utf8")
const modules: Readonly<Record<string, object>> = { ...Protocol, ...Platform, ...Node }

interface Row {
  readonly theirs: string
  readonly ours: string
  readonly example: string
}

/** The rows of the table in the section of a library. */
const rowsOf = (heading: string): ReadonlyArray<Row> => {
  const [, section = ""] = text.split(`\n## From ${heading}\n`)
  const [, , ...rows] = section
    .split("\n## ", 1)[0]!
    .split("\n")
    .filter((line) => line.startsWith("|"))
  return rows.map((row) => {
    const [theirs = "", ours = "", example = "", ...more] = row
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim())
    assert.deepStrictEqual(more, [], row)
    return { theirs, ours, example }
  })
}

const codes = (cell: string): ReadonlyArray<string> => [...cell.matchAll(/`([^`]*)`/g)].map(([, code = ""]) => code)

/** Whether a name of this library exists. */
const exists = (name: string): boolean => {
  if (others.has(name) || options.has(name) || types.has(name)) return true
  const [owner = "", member = "", ...more] = name.split(".")
  if (more.length > 0) return false
  const module = Object.hasOwn(modules, owner) ? modules[owner] : undefined
  if (module !== undefined) return member in module
  return Object.hasOwn(members, owner) && members[owner]!.has(member)
}

describe("docs/migrating.md", () => {
  for (const { about, items, name } of seeds) {
    const rows = rowsOf(`\`${name}\` (${about})`)

    it(`has exactly one row for each name of ${name} that an item checks`, () => {
      const named = rows.flatMap(({ theirs }) => codes(theirs))
      assert.strictEqual(named.length, rows.length)
      assert.deepStrictEqual([...named].sort(), [...new Set(items.map((item) => item.name))].sort())
    })

    it(`names only exports that exist, for ${name}`, () => {
      const missing = rows.flatMap(({ ours }) => codes(ours)).filter((code) => !exists(code))
      assert.deepStrictEqual(missing, [])
    })

    it(`has an equivalent and an example for each name of ${name}`, () => {
      for (const { example, ours, theirs } of rows) {
        assert.notStrictEqual(ours, "", theirs)
        assert.isAbove(codes(example).length, 0, theirs)
      }
    })
  }

  it("names only exports that exist, for libraries in JavaScript", () => {
    const [older = ""] = text.split("\n## The libraries that this one follows\n")
    const cells = older.split("\n").flatMap((line) => (line.startsWith("|") ? [line.split(/(?<!\\)\|/)[2] ?? ""] : []))
    const names = cells.flatMap(codes).flatMap((code) => code.match(/(?<![\w.])([A-Z]\w+|socket|limits)\.\w+/g) ?? [])
    assert.isAbove(names.length, 20)
    assert.deepStrictEqual(
      names.filter((name) => !exists(name)),
      []
    )
  })

  it("is checked by a function that detects unknown names", () => {
    for (const name of ["Frame.close", "socket.send", "limits.maxFrameBytes", "maxRedirects", "Mask.RandomSource"]) {
      assert.isTrue(exists(name), name)
    }
    for (const name of [
      "Frame.nothing",
      "Nothing.make",
      "socket.nothing",
      "nothing",
      "Frame",
      "toString",
      "socket.toString"
    ]) {
      assert.isFalse(exists(name), name)
    }
  })
})
