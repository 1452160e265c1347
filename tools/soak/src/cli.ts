/**
 * `pnpm --filter soak start [--minutes N] [--connections N]`: an echo server of ours and as many connections at once, most of them good
 * clients that check every echo, the others slow readers, senders of garbage and clients that end abruptly; each is
 * followed by another. At the end nothing may be left: no socket, no fiber, no timer, and the heap as it was after the
 * warm-up. Fails where an echo was wrong or something was left.
 */
import { WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Effect, Fiber, Logger, Supervisor } from "effect"
import { randomInt } from "node:crypto"
import { parseArgs } from "node:util"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { client, garbage, noCounts, slowReader, type Counts } from "./peers.js"

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "1" }, connections: { type: "string", default: "1000" } }
})
const minutes = Number(values.minutes)
const connections = Number(values.connections)
if (!(minutes > 0) || !(connections >= 1)) {
  console.error("usage: pnpm --filter soak start [--minutes N] [--connections N]")
  process.exit(2)
}

const mebibyte = 1024 * 1024

/** What may be left of a round, in bytes: the heap is never twice the same. */
const tolerance = 8 * mebibyte

setFlagsFromString("--expose-gc")
const collectGarbage: unknown = runInNewContext("gc")

interface Held {
  readonly sockets: number
  readonly timers: number
  readonly heap: number
  readonly buffers: number
}

const look = (): Held => {
  if (typeof collectGarbage === "function") for (let times = 0; times < 3; times++) collectGarbage()
  const resources = process.getActiveResourcesInfo()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return {
    sockets: resources.filter((name) => name.startsWith("TCP")).length,
    timers: resources.filter((name) => name === "Timeout").length,
    heap: heapUsed,
    buffers: arrayBuffers
  }
}

/** Node frees handles, and its pools of buffers, some time after their end. */
const held = Effect.flatMap(Effect.sleep("2 seconds"), () => Effect.sync(look))

const server = NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1", compression: true })

/**
 * Longer where there are more of them, so that together they do what one process can serve, with the clients in it: Node
 * takes one new connection in a turn of the event loop, and a turn with much traffic is long.
 */
const pause = Effect.suspend(() => Effect.sleep(randomInt(Math.max(400, connections * 20))))

const startInterval = 15

/** One of the places, which is taken again and again until time is up. */
const place = (index: number, url: string, port: number, end: number, counts: Counts): Effect.Effect<void> => {
  const kind = index % 10
  const once: Effect.Effect<unknown> =
    kind === 8
      ? Effect.zipRight(slowReader(port, counts), pause)
      : kind === 9
        ? Effect.zipRight(garbage(port, counts), pause)
        : Effect.provide(client(url, counts, { compression: index % 4 === 0, end, pause }), NodeWebSocketClient.layer)
  return Effect.sleep(index * startInterval).pipe(
    Effect.zipRight(
      Effect.whenEffect(
        Effect.repeat(once, { while: () => Date.now() < end }),
        Effect.sync(() => Date.now() < end)
      )
    ),
    Effect.asVoid
  )
}

const round = (seconds: number): Effect.Effect<Counts, unknown> =>
  Effect.scoped(
    Effect.gen(function* () {
      const counts = noCounts()
      const { address } = yield* WebSocketServer.WebSocketServer
      yield* Effect.forkScoped(WebSocketServer.run((socket) => socket.run((message) => socket.send(message))))
      const end = Date.now() + seconds * 1000
      const places = Array.from({ length: connections }, (_, i) => place(i, address.url, address.port, end, counts))
      yield* Effect.all(places, { concurrency: "unbounded", discard: true })
      return counts
    }).pipe(Effect.provide(server))
  )

const show = ({ buffers, heap, sockets, timers }: Held): string =>
  `${sockets} sockets, ${timers} timers, heap ${(heap / mebibyte).toFixed(1)} MiB, buffers ${(buffers / mebibyte).toFixed(1)} MiB`

const program = Effect.gen(function* () {
  const supervisor = yield* Supervisor.track
  yield* round(Math.min(20, minutes * 30))
  const before = yield* held
  console.log(`after the warm-up: ${show(before)}`)
  const begin = Date.now()
  const counts = yield* Effect.supervised(round(minutes * 60), supervisor)
  const seconds = (Date.now() - begin) / 1000
  const after = yield* held
  // What tracks the fibers forgets those that are over.
  const fibers = (yield* supervisor.value).filter((fiber) => fiber.unsafePoll() === null)
  console.log(`at the end: ${show(after)}, ${fibers.length} fibers`)
  console.log(
    `${connections} at once for ${Math.round(seconds)} s: ${counts.connections} good connections, of which ` +
      `${counts.abruptEnds} ended abruptly, ${counts.slowReaders} slow readers, ${counts.garbage} senders of garbage, ` +
      `${counts.echoes} echoes of ${Math.round(counts.bytes / mebibyte)} MiB`
  )
  const problems = [
    ...counts.failures.slice(0, 10),
    ...(counts.failures.length > 10 ? [`${counts.failures.length - 10} more`] : []),
    ...(counts.echoes === 0 ? ["nothing was echoed"] : []),
    ...(after.sockets > before.sockets ? [`${after.sockets - before.sockets} sockets are left`] : []),
    ...(after.timers > before.timers ? [`${after.timers - before.timers} timers are left`] : []),
    ...(fibers.length > 0 ? [`${fibers.length} fibers are left: ${fibers.map(Fiber.id).map(String).slice(0, 5)}`] : []),
    ...(after.heap + after.buffers > before.heap + before.buffers + tolerance ? ["the heap has grown"] : [])
  ]
  for (const problem of problems) console.log(`FAILED: ${problem}`)
  if (problems.length === 0) console.log("Nothing was lost, and nothing is left.")
  process.exitCode = problems.length === 0 ? 0 : 1
})

// What the server says about garbage is no news.
await Effect.runPromise(Effect.provide(program, Logger.remove(Logger.defaultLogger)))
