/**
 * `pnpm test:interop [--install] [--require-all] [name ...]`: tries every case with every peer that is there, and prints a
 * table. `--install` first installs what is missing: programs from npm into `node_modules/.cache`, and Debian's packages
 * where it may. Fails where a case does, and with `--require-all` where a peer is missing.
 */
import { Cause, Effect, Exit } from "effect"
import { parseArgs } from "node:util"
import { caseNames, cases } from "./cases.js"
import { runMain } from "./main.js"
import { findPeers } from "./peers.js"
import { installAll } from "./programs.js"
import type { Peer } from "./subjects.js"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { install: { type: "boolean", default: false }, "require-all": { type: "boolean", default: false } }
})

type Outcome = "ok" | "FAIL" | "–"

const failures: Array<string> = []
// Peers that are there and do not start, for reasons of the machine.
const unstarted: Array<string> = []

const patience = "20 seconds"

const runPeer = (peer: Peer): Effect.Effect<ReadonlyArray<Outcome>> => {
  const label = `${peer.name} as ${peer.role}`
  const fail = (what: string, cause: Cause.Cause<unknown>): Outcome => {
    failures.push(
      `${label}, ${what}: ${Cause.pretty(cause)
        .split(/\n +at /)[0]
        ?.trim()}`
    )
    return "FAIL"
  }
  return Effect.scoped(
    Effect.flatMap(Effect.timeout(peer.start, patience), (subject) =>
      Effect.forEach(caseNames, (name) =>
        peer.without.includes(name)
          ? Effect.succeed<Outcome>("–")
          : Effect.scoped(cases[name](subject)).pipe(
              Effect.timeout(patience),
              Effect.exit,
              Effect.map((exit) => (Exit.isSuccess(exit) ? "ok" : fail(name, exit.cause)))
            )
      )
    )
  ).pipe(
    Effect.catchAllCause((cause) => {
      unstarted.push(`${label}, which does not start: ${Cause.pretty(cause).split("\n")[0]?.trim()}`)
      return Effect.succeed(caseNames.map((): Outcome => "–"))
    })
  )
}

const program = Effect.gen(function* () {
  if (values.install) installAll()
  const found = findPeers().filter(({ name }) => positionals.length === 0 || positionals.includes(name))
  const peers = found.flatMap((peer) => ("missing" in peer ? [] : [peer]))
  const missing = found.flatMap((peer) => ("missing" in peer ? [peer] : []))
  const rows: Array<ReadonlyArray<string>> = [["peer", "version", "role", ...caseNames]]
  for (const peer of peers) rows.push([peer.name, peer.version, peer.role, ...(yield* runPeer(peer))])

  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  for (const row of rows)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd()
    )
  console.log("– the peer cannot do it, or offers no way to\n")
  for (const { missing: what, name } of missing) console.log(`MISSING: ${name}, for lack of ${what}`)
  for (const what of unstarted) console.log(`MISSING: ${what}`)
  for (const failure of failures) console.log(`FAILED: ${failure}`)
  const count = rows.slice(1).flatMap((row) => row.filter((cell) => cell === "ok")).length
  console.log(
    `${peers.length} peers, ${count} cases passed, ${failures.length} failed, ${missing.length + unstarted.length} peers missing`
  )
  process.exitCode = failures.length > 0 || (values["require-all"] && missing.length + unstarted.length > 0) ? 1 : 0
})

await runMain(program)
