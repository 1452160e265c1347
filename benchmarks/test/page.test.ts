import { assert, describe, it } from "@effect/vitest"
import { page } from "../src/page.js"
import type { Results } from "../src/results.js"
import { headline, sideBySide, summary } from "../src/table.js"
import { caseResult } from "./results.js"

const a24 = caseResult("a", "24", { run: 0.9, messages: 1.2, ws: 1, "raw net": 0.5 })
const a26 = caseResult("a", "26", { run: 0.95, ws: 1 })
const sweep = { name: "sizes", unit: "bytes per message" }
const sizes = [16, 1024].map((x) => caseResult("sizes", "24", { run: x, ws: 2 * x }, { ...sweep, x }))

const results: Results = {
  date: "2026-01-01",
  minutes: 1,
  nodes: ["v24.1.0", "v26.1.0"],
  versions: { ws: "8.0.0" },
  system: "Linux",
  cpu: "a processor",
  cores: 2,
  memoryGibibytes: 8,
  load: 0.5,
  singleThreadedGc: false,
  rounds: 2,
  seconds: 0.4,
  cases: [a24, a26, ...sizes]
}

describe("tables", () => {
  it("show the ratio of each subject, and whether its targets hold", () => {
    assert.deepStrictEqual(headline([a24]), [
      ["to ws, Node 24", "a"],
      ["run", "0.90 ✓"],
      ["messages", "1.20 ✗"],
      ["ws", "1.00"],
      ["raw net", "0.50"]
    ])
  })

  it("show both versions of Node side by side", () => {
    const [header, run, messages] = sideBySide([a24, a26])
    assert.deepStrictEqual(header, ["", "24: CPU µs each", "24: to ws", "24: to raw", "26: CPU µs each", "26: to ws"])
    assert.deepStrictEqual(run, ["run", "0.90", "0.90 ✓", "1.80", "0.95", "0.95 ✗"])
    assert.deepStrictEqual(messages?.slice(4), ["–", "–"])
  })

  it("sum up the targets of a Node", () => {
    assert.deepStrictEqual(summary("v24.1.0", [a24]), {
      count: "Node 24: 1 of 3 targets hold.",
      missed: ["messages misses a (1.2, ≤ 1.15), a (1.33, ≤ 1.2 of run)"]
    })
    assert.deepStrictEqual(summary("v26.1.0", sizes), {
      count: "Node 26: the measured cases have no targets.",
      missed: []
    })
  })
})

describe("the page", () => {
  it("has a headline for each Node, and one table for each case", () => {
    const { plots, text } = page(results, undefined, undefined)
    for (const node of ["24", "26"]) assert.include(text, `| to ws, Node ${node} | a |`)
    assert.strictEqual(text.match(/^### a: case a$/gm)?.length, 1)
    assert.include(text, "| 1 KiB | 1024 | 2048 |")
    assert.deepStrictEqual([...plots.keys()], ["overview", "sizes"])
  })

  it("has the cases of another run in place of the same ones", () => {
    const again = { ...results, rounds: 12, cases: [caseResult("a", "24", { run: 0.8, messages: 0.9, ws: 1 })] }
    const { text } = page(results, undefined, undefined, again)
    assert.include(text, "\npnpm bench a --rounds 12 --seconds 0.4 --json benchmarks/results/again.json\n")
    assert.include(text, "| run | 0.80 ✓ |")
    assert.include(text, "| run | 0.95")
    assert.include(text, "measured again: 12 rounds of 0.4 s")
  })

  it("shows the codec if it was measured", () => {
    const found = [
      { group: "decode", name: "ours", nanos: 50 },
      { group: "decode", name: "ws", nanos: 100 },
      { group: "deflate", name: "alone", nanos: 7 }
    ]
    const { text } = page(results, { node: "v24.1.0", found }, "performance/time.md")
    assert.include(text, "| decode | 50.0 | 100 | 0.50 |")
    assert.include(text, "| deflate alone | 7.00 |")
    assert.include(text, "(performance/time.md)")
  })
})
