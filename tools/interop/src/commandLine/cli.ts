/**
 * `pnpm test:command-line [--install] [--write] [row ...]`: tries the command of this repository and wscat side by side, and compares
 * what it sees with the table of docs/command-line.md. A column for websocat has what its documentation says. `--install` first installs
 * wscat from npm, and `--write` writes the table. With names, only the rows whose names have one of them are tried and printed.
 */
import { Cause, Effect, Exit } from "effect"
import { parseArgs } from "node:util"
import { runMain } from "../main.js"
import { settle } from "../page.js"
import { find, installCommands } from "../programs.js"
import { findClients, type Client } from "./clients.js"
import { connections } from "./connections.js"
import { pipes } from "./pipes.js"
import type { Row } from "./rows.js"
import { statuses } from "./statuses.js"
import { terminal } from "./terminal.js"
import { websocat } from "./websocat.js"

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { install: { type: "boolean", default: false }, write: { type: "boolean", default: false } }
})

const rows: Readonly<Record<string, Row>> = { ...terminal, ...pipes, ...statuses, ...connections }
const wanted = Object.entries(rows).filter(
  ([name]) => positionals.length === 0 || positionals.some((part) => name.includes(part))
)
const failures: Array<string> = Object.keys(websocat.cells)
  .filter((name) => !(name in rows))
  .map((name) => `websocat, ${name}: there is no such row`)

const tried = (name: string, row: Row, client: Client): Effect.Effect<string> =>
  Effect.scoped(row(client)).pipe(
    Effect.timeout("20 seconds"),
    Effect.exit,
    Effect.map((exit) => {
      if (Exit.isSuccess(exit)) return exit.value
      failures.push(`${client.name}, ${name}: ${Cause.pretty(exit.cause)}`)
      return "FAIL"
    })
  )

const program = Effect.gen(function* () {
  if (values.install) installCommands()
  if (find(["script"]) === undefined) {
    console.log("MISSING: script of util-linux, which gives the commands a terminal")
    process.exitCode = values.write ? 1 : 0
    return
  }
  const clients = findClients()
  const missing = clients.some(({ name }) => name.startsWith("wscat ")) ? [] : ["wscat"]
  for (const name of missing) console.log(`MISSING: ${name}, for lack of the npm package; --install fetches it`)
  const tasks = wanted.flatMap(([name, row]) => clients.map((client) => tried(name, row, client)))
  const cells = yield* Effect.all(tasks, { concurrency: 4 })
  const seen = [
    ["", ...clients.map(({ name }) => name), websocat.name],
    ...wanted.map(([name], index) => [
      name,
      ...cells.slice(index * clients.length, (index + 1) * clients.length),
      websocat.cells[name] ?? ""
    ])
  ]
  for (const [name = "", ...cells] of seen)
    console.log(
      name.padEnd(60) +
        cells
          .map((cell) => cell.padEnd(50))
          .join("")
          .trimEnd()
    )
  const table = { page: "command-line.md", mark: "compared", rows: seen, missing }
  // A page is not compared with some of its rows.
  if (failures.length === 0 && wanted.length === Object.keys(rows).length)
    failures.push(...(yield* Effect.promise(() => settle(table, values.write))))
  else if (values.write) failures.push("the table is not written")
  for (const failure of failures) console.error(`FAILED: ${failure}`)
  process.exitCode = failures.length > 0 ? 1 : 0
})

await runMain(program)
