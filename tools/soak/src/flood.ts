/**
 * `pnpm --filter soak flood [--seconds N] [--width N]`: 500 clients talk to a server that takes no more, while another process floods it
 * with handshakes that are half open or refused. The clients must stay connected and be served, the server may hold so many
 * sockets and no more, and one client more must be refused.
 */
import { WebSocketClient } from "@effect-websocket/platform"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import { Effect, Fiber, Schedule } from "effect"
import { parseArgs } from "node:util"
import { numberOf, quantile, start } from "./programs.js"

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "20" }, width: { type: "string", default: "2000" } }
})
const seconds = Number(values.seconds)
const width = Number(values.width)
if (!(seconds > 0) || !(width >= 1)) {
  console.error("usage: pnpm --filter soak flood [--seconds N] [--width N]")
  process.exit(2)
}

const connections = 500
// 256 that are no connections, 256 handshakes under way, and a few that are just being accepted.
const mostSockets = connections + 2 * 256 + 50
const mebibyte = 1024 * 1024

const server = start("floodServer.ts", [String(connections)], (line) => ({
  port: numberOf(line["port"]),
  connections: numberOf(line["connections"]),
  sockets: numberOf(line["sockets"]),
  held: numberOf(line["held"]),
  rss: numberOf(line["rss"])
}))

/** Asks once a second, and notes how long each echo takes. */
const client = (url: string, times: Array<number>) =>
  Effect.gen(function* () {
    const socket = yield* WebSocketClient.connect(url)
    const ask = Effect.gen(function* () {
      const begin = performance.now()
      yield* socket.send("are you there?")
      yield* socket.receive
      times.push(performance.now() - begin)
    })
    return yield* Effect.fork(Effect.repeat(ask, Schedule.jittered(Schedule.spaced("1 seconds"))))
  })

const program = Effect.gen(function* () {
  const { port } = yield* Effect.promise(() => server.first)
  const url = `ws://127.0.0.1:${port}/echo`
  const times: Array<number> = []
  const clients = yield* Effect.forEach(Array.from({ length: connections }), () => client(url, times), {
    concurrency: 20
  })
  yield* Effect.sleep("5 seconds")
  const quiet = times.splice(0)
  const before = server.told.length

  const flooder = start("flooder.ts", [String(port), values.width], (line) => ({
    sockets: numberOf(line["sockets"]),
    answers: numberOf(line["answers"])
  }))
  yield* Effect.sleep(`${seconds} seconds`)
  flooder.kill("SIGKILL")
  yield* Effect.promise(() => flooder.ended)
  const flooded = times.splice(0)
  const held = server.told.slice(before)
  const failures = yield* Effect.filter(clients, (fiber) =>
    Effect.map(Fiber.poll(fiber), (exit) => exit._tag === "Some")
  )
  const oneMore = yield* Effect.exit(Effect.scoped(WebSocketClient.connect(url)))

  const most = (of: (told: (typeof held)[number]) => number) => Math.max(...held.map(of))
  const { answers, sockets } = flooder.told.at(-1) ?? { answers: 0, sockets: 0 }
  const problems = [
    ...(failures.length > 0 ? [`${failures.length} clients lost their connection`] : []),
    ...(flooded.length < quiet.length ? ["the clients were hardly served"] : []),
    ...(sockets < width ? ["there was no flood"] : []),
    ...(most(({ sockets }) => sockets) > mostSockets ? ["the server held more sockets than it may"] : []),
    ...(oneMore._tag === "Success" ? ["one more was accepted than there may be"] : [])
  ]
  const show = (name: string, all: ReadonlyArray<number>) =>
    `${name}: ${all.length} echoes, ${[0.5, 0.99, 1].map((share) => quantile(all, share).toFixed(1)).join(", ")} ms (median, 99 %, last)`
  console.log(show("before the flood", quiet))
  console.log(show("in the flood", flooded))
  console.log(
    `${sockets} sockets flooded in ${seconds} s, ${width} at once, and ${answers} were answered. ` +
      `The server held at most ${most(({ sockets }) => sockets)} sockets, ` +
      `${Math.round(most(({ held }) => held) / mebibyte)} MiB, ${Math.round(most(({ rss }) => rss) / mebibyte)} MiB resident; ` +
      `before ${Math.round((server.told[before - 1]?.held ?? 0) / mebibyte)} MiB, ${Math.round((server.told[before - 1]?.rss ?? 0) / mebibyte)} MiB`
  )
  for (const problem of problems) console.log(`FAILED: ${problem}`)
  if (problems.length === 0) console.log("Who was connected was served, and the server stayed within its bounds.")
  process.exitCode = problems.length === 0 ? 0 : 1
  server.kill("SIGKILL")
})

await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(NodeWebSocketClient.layer)))
