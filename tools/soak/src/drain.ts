/**
 * `pnpm --filter soak drain [--connections N] [--window MILLIS] [--timeout MILLIS]`: a server in a process of its own gets SIGTERM while
 * as many clients talk to it. Every client must see 1001 before the deadline, and every message that the server's `send`
 * accepted; and the server must end by itself.
 */
import { WebSocketClient } from "@effect-websocket/platform"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import { Deferred, Effect, Fiber } from "effect"
import { randomInt } from "node:crypto"
import { parseArgs } from "node:util"
import { numberOf, quantile, start } from "./programs.js"

const { values } = parseArgs({
  options: {
    connections: { type: "string", default: "5000" },
    window: { type: "string", default: "2000" },
    timeout: { type: "string", default: "30000" }
  }
})
const connections = Number(values.connections)
const timeout = Number(values.timeout)
if (!(connections >= 1) || !(Number(values.window) >= 0) || !(timeout > 0)) {
  console.error("usage: pnpm --filter soak drain [--connections N] [--window MILLIS] [--timeout MILLIS]")
  process.exit(2)
}

const server = start("drainServer.ts", [values.window, values.timeout], (line) => ({
  port: numberOf(line["port"]),
  url: typeof line["url"] === "string" ? line["url"] : undefined,
  accepted: numberOf(line["accepted"]),
  log: line["log"],
  rss: numberOf(line["rss"])
}))

interface Seen {
  received: number
  code: number | undefined
  clean: boolean
  /** On the clock of this process. */
  closedAt: number
}

const text = "x".repeat(1000)

/** Talks until the server closes, and checks that what it gets is in order and without a gap. */
const client = (index: number, port: number, problems: Array<string>, talking: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const seen: Seen = { received: 0, code: undefined, clean: false, closedAt: 0 }
    const socket = yield* WebSocketClient.connect(`ws://127.0.0.1:${port}/${index}`)
    const talk = Effect.forever(
      Effect.zipRight(
        socket.send(text),
        Effect.suspend(() => Effect.sleep(randomInt(6000)))
      )
    )
    const talker = yield* Effect.fork(Effect.zipRight(talking, Effect.ignore(talk)))
    const ended = yield* Effect.fork(
      Effect.gen(function* () {
        yield* Effect.ignore(
          socket.run(({ data }) => {
            seen.received++
            const number = Number.parseInt(String(data), 10)
            if (number !== seen.received) problems.push(`client ${index}: ${number} in place of ${seen.received}`)
          })
        )
        seen.closedAt = performance.now()
        yield* Fiber.interrupt(talker)
        const { clean, received } = yield* socket.closeStatus
        seen.code = received?.code
        seen.clean = clean
        return seen
      })
    )
    return ended
  })

const program = Effect.gen(function* () {
  const { port } = yield* Effect.promise(() => server.first)
  const problems: Array<string> = []
  const started = yield* Deferred.make<void>()
  const clients = yield* Effect.forEach(
    Array.from({ length: connections }, (_, index) => index),
    (index) => client(index, port, problems, Deferred.await(started)),
    { concurrency: 50 }
  )
  console.log(`${connections} connections are open`)
  yield* Deferred.succeed(started, undefined)
  yield* Effect.sleep("5 seconds")
  const begin = performance.now()
  server.kill("SIGTERM")
  const seen = yield* Fiber.join(Fiber.all(clients))
  const code = yield* Effect.promise(() => server.ended)
  const ended = performance.now() - begin

  const accepted = new Map(server.told.flatMap(({ accepted, url }) => (url === undefined ? [] : [[url, accepted]])))
  let sent = 0
  for (const [index, { received }] of seen.entries()) {
    const expected = accepted.get(`/${index}`)
    sent += expected ?? 0
    if (expected !== received) problems.push(`client ${index}: ${received} of ${expected} messages`)
  }
  const times = seen.map(({ closedAt }) => closedAt - begin)
  const others = seen.filter(({ clean, code }) => code !== 1001 || !clean).length
  if (others > 0) problems.push(`${others} connections did not end with 1001`)
  if (quantile(times, 1) > timeout) problems.push("the last Close came after the deadline")
  if (code !== 0) problems.push(`the server ended with ${code}`)
  for (const { log, rss } of server.told) {
    if (log !== undefined) console.log(`${String(log)}; ${Math.round(rss / 1024 / 1024)} MiB resident`)
  }
  console.log(
    `Closed after ${[0.5, 0.95, 1].map((share) => Math.round(quantile(times, share))).join(", ")} ms (median, 95 %, last); ` +
      `the process ended after ${Math.round(ended)} ms with ${code}; ${sent} messages were accepted for sending`
  )
  for (const problem of problems.slice(0, 20)) console.log(`FAILED: ${problem}`)
  if (problems.length === 0) console.log("Nobody was cut off, and nothing was lost.")
  process.exitCode = problems.length === 0 ? 0 : 1
})

await Effect.runPromise(Effect.scoped(program).pipe(Effect.provide(NodeWebSocketClient.layer)))
