import { readFileSync, writeFileSync } from "node:fs"
import * as instruments from "../../src/internal/instruments.js"
import { assert, describe, it } from "../effect/vitest.js"

const file = new URL("../../../../docs/observability.md", import.meta.url)
const all = Object.values(instruments)

const table = [
  "| metric | type | unit | what it tells | attributes |",
  "| --- | --- | --- | --- | --- |",
  ...all.map(({ attributes, description, name, type, unit }) => {
    const names = attributes.map((attribute) => `\`${attribute}\``).join(", ")
    return `| \`${name}\` | ${type} | \`${unit}\` | ${description} | ${names} |`
  })
].join("\n")

describe("instruments", () => {
  it("are in the docs; pnpm docs:write updates them", () => {
    const text = readFileSync(file, "utf8")
    const begin = "<!-- generated: metrics -->\n"
    const from = text.indexOf(begin) + begin.length
    const to = text.indexOf("<!-- end: metrics -->")
    assert.isTrue(from >= begin.length && to >= from)
    if (process.env["UPDATE_DOCS"] === "1") writeFileSync(file, `${text.slice(0, from)}${table}\n${text.slice(to)}`)
    else assert.strictEqual(text.slice(from, to), `${table}\n`)
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
