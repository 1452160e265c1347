/** Runs every case over TCP. This library must pass. The results of `ws` are only for docs/conformance.md. */
import { readFileSync, writeFileSync } from "node:fs"
import { format, resolveConfig } from "prettier"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { rolesOf, type Case } from "../src/Clause.js"
import { bothRoles, type Role } from "../src/Role.js"
import { clauses } from "../src/Clauses.js"
import { run, type Target, type Verdict } from "../src/Driver.js"
import { listen } from "../src/Peer.js"
import * as Ours from "../src/targets/ours.js"
import * as Ws from "../src/targets/ws.js"
import { libraries, report, type Library } from "./report.js"

const file = new URL("../../../docs/conformance.md", import.meta.url)

const starts = { "effect-websocket": Ours, "ws 8.23.0": Ws } as const
const verdicts = new Map<Library, Record<Role, Map<Case, Verdict>>>()

for (const library of libraries) {
  describe(library, () => {
    const targets: Partial<Record<Role, Target>> = {}
    const stops: Array<() => Promise<void>> = []
    const found = { server: new Map<Case, Verdict>(), client: new Map<Case, Verdict>() }
    verdicts.set(library, found)

    beforeAll(async () => {
      const { client, startServer } = starts[library]
      const server = await startServer()
      const listener = await listen(0)
      stops.push(server.stop, listener.close)
      targets.server = server.target
      targets.client = client(listener)
    })

    afterAll(async () => {
      for (const stop of stops) await stop()
    })

    for (const role of bothRoles) {
      describe(`as ${role}`, () => {
        for (const { cases, rule, section } of clauses) {
          const asked = cases.filter((testCase) => rolesOf(testCase).includes(role))
          if (asked.length === 0) continue
          it(`${section}: ${rule}`, async () => {
            for (const testCase of asked) {
              const verdict = await run(testCase, targets[role]!)
              found[role].set(testCase, verdict)
              if (library === "effect-websocket") assert.deepStrictEqual(verdict, { _tag: "Ok" }, testCase.name)
            }
          })
        }
      })
    }
  })
}

describe("docs/conformance.md", () => {
  it("matches the results of the run", async ({ skip }) => {
    const cases = clauses.flatMap((clause) => clause.cases.flatMap(rolesOf)).length
    const ran = [...verdicts.values()].reduce((sum, { client, server }) => sum + client.size + server.size, 0)
    skip(ran < cases * libraries.length, "only some of the cases ran")
    const options = await resolveConfig(file)
    const generated = await format(report(verdicts), { ...options, filepath: file.pathname })
    if (process.env["UPDATE_DOCS"] === "1") writeFileSync(file, generated)
    else
      assert.strictEqual(
        readFileSync(file, "utf8"),
        generated,
        "docs/conformance.md is out of date; pnpm docs:write updates it"
      )
  })
})
