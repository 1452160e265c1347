/**
 * `pnpm --filter conformance start [--server ws://host:port] [--client-port N] [--peer ws] [--all]`
 *
 * Without `--server` and `--client-port`, it tests this library's own server and client. With `--peer ws`, it also tests those
 * of `ws`. Any other server or client must echo every message. `--all` also prints the cases that pass.
 */
import { parseArgs } from "node:util"
import { clauses } from "./Clauses.js"
import { rolesOf } from "./Clause.js"
import { run, type Target } from "./Driver.js"
import { listen } from "./Peer.js"
import * as Ours from "./targets/ours.js"
import * as Ws from "./targets/ws.js"

const { values } = parseArgs({
  options: {
    server: { type: "string" },
    "client-port": { type: "string" },
    peer: { type: "string" },
    all: { type: "boolean", default: false }
  }
})

const targets: Array<Target> = []
const stops: Array<() => Promise<void>> = []

const start = async (library: typeof Ours | typeof Ws): Promise<void> => {
  const server = await library.startServer()
  const listener = await listen(0)
  targets.push(server.target, library.client(listener))
  stops.push(server.stop, listener.close)
}

const { "client-port": clientPort, server: serverUrl } = values
if (serverUrl !== undefined) {
  const url = new URL(serverUrl)
  targets.push({ role: "server", name: serverUrl, url: () => url })
}
if (clientPort !== undefined) {
  const listener = await listen(Number(clientPort))
  stops.push(listener.close)
  console.log(`Waiting for a client on port ${listener.port}`)
  targets.push({ role: "client", name: `the client on port ${listener.port}`, listener, dial: undefined })
}
if (targets.length === 0) await start(Ours)
if (values.peer !== undefined) {
  if (values.peer !== "ws") throw new Error(`--peer must be ws, but is ${values.peer}`)
  await start(Ws)
}

const totals = new Map(targets.map((target) => [target, { Ok: 0, Deviates: 0, Skipped: 0 }]))
for (const { cases, rule, section } of clauses) {
  let titled = false
  for (const testCase of cases) {
    for (const target of targets) {
      if (!rolesOf(testCase).includes(target.role)) continue
      const verdict = await run(testCase, target)
      totals.get(target)![verdict._tag]++
      if (verdict._tag === "Ok" && !values.all) continue
      if (!titled) console.log(`\n${section}: ${rule}`)
      titled = true
      const seen = verdict._tag === "Deviates" ? verdict.seen : verdict._tag === "Ok" ? "ok" : "not negotiated"
      console.log(`  ${testCase.name} | ${target.name}, ${target.role} | ${seen}`)
    }
  }
}

console.log()
console.table(
  [...totals].map(([{ name, role }, { Deviates, Ok, Skipped }]) => ({
    endpoint: `${name}, ${role}`,
    ok: Ok,
    deviates: Deviates,
    "not negotiated": Skipped
  }))
)
for (const stop of stops) await stop()
const ours = [...totals].filter(([target]) => target.name === "effect-websocket")
process.exitCode = ours.some(([, { Deviates }]) => Deviates > 0) ? 1 : 0
