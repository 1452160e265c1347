import { type WebSocket, WebSocketClient, WebSocketServer, WebSocketTest } from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Array, Data, Option } from "effect"
import type { EventEmitter } from "node:events"
import * as Http from "node:http"
import * as Net from "node:net"
import { getHeapSpaceStatistics, queryObjects } from "node:v8"
import { Cause, Context, Effect, Exit, Fiber, Layer, Logger, type Scope, Stream, Supervisor } from "../effect/index.js"
import { assert, it } from "../effect/vitest.js"
import { collectGarbage } from "../collectGarbage.js"
import { answer101, first, frame, listen, serve, tls, upgradeRequest } from "./support.js"

/** The sockets of this process; vitest has none of these kinds. */
const sockets = () =>
  process.getActiveResourcesInfo().filter((kind) => ["TCPServerWrap", "TCPSocketWrap", "TLSWrap"].includes(kind))

/** Lets turns of the event loop go by, until something is done or there were enough of them. */
const turnsUntil = (isDone: () => boolean, enough: number) =>
  Effect.callback<void>((resume) => {
    let turns = 0
    const look = () => {
      if (turns++ === enough || isDone()) resume(Effect.void)
      else setImmediate(look)
    }
    look()
  })

// Node frees handles some turns after their end; what was forgotten stays for seconds.
const someTurns = 100

/** Runs an effect and returns how many timers it left behind. The timers of vitest are not made through the global. */
const countTimers = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const originals = [globalThis.setTimeout, globalThis.clearTimeout] as const
      const pending = new Set<unknown>()
      globalThis.setTimeout = Object.assign((callback: () => void, delay?: number) => {
        const timer = originals[0](() => {
          pending.delete(timer)
          callback()
        }, delay)
        pending.add(timer)
        return timer
      }, originals[0])
      globalThis.clearTimeout = (timer) => {
        pending.delete(timer)
        originals[1](timer)
      }
      return { originals, pending }
    }),
    ({ pending }) =>
      Effect.gen(function* () {
        yield* effect
        yield* turnsUntil(() => pending.size === 0, someTurns)
        return pending.size
      }),
    ({ originals }) =>
      Effect.sync(() => {
        globalThis.setTimeout = originals[0]
        globalThis.clearTimeout = originals[1]
      })
  )

/** One connection that ends in a way of its own, over real TCP. */
const exchanges = {
  success: Effect.gen(function* () {
    const socket = yield* WebSocketClient.connect((yield* WebSocketServer.address).url)
    yield* socket.send("hello")
    yield* socket.receive
  }),
  failure: Effect.gen(function* () {
    const socket = yield* WebSocketClient.connect((yield* WebSocketServer.address).url, {
      limits: { maxMessageBytes: 1 }
    })
    yield* socket.send("hello")
    yield* socket.receive
  }),
  refusal: Effect.gen(function* () {
    yield* WebSocketClient.connect((yield* WebSocketServer.address).url, { origin: "https://evil.example" })
  }),
  interruption: Effect.gen(function* () {
    const socket = yield* WebSocketClient.connect((yield* WebSocketServer.address).url)
    yield* Effect.forkScoped(socket.receive)
    yield* Effect.yieldNow
    yield* Effect.interrupt
  }),
  abort: Effect.gen(function* () {
    const socket = yield* WebSocketClient.connect((yield* WebSocketServer.address).url)
    yield* socket.abort
  })
}

const services = Layer.provideMerge(
  WebSocketServer.layerHandler((socket) => socket.run((message) => socket.send(message))),
  Layer.merge(NodeWebSocketClient.layer, NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1" }))
)

for (const [name, exchange] of Object.entries(exchanges)) {
  it.live(`leaves no socket, timer or listener behind after ${name}`, () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(sockets(), [])
      const timers = yield* countTimers(
        Effect.gen(function* () {
          const exit = yield* Effect.scoped(exchange).pipe(Effect.exit, Effect.provide(services), Effect.forkChild)
          const outcome = Exit.flatten(yield* Fiber.await(exit))
          assert.strictEqual(Exit.isSuccess(outcome), name === "success" || name === "abort")
        })
      )
      assert.strictEqual(timers, 0)
      yield* turnsUntil(() => sockets().length === 0, someTurns)
      assert.deepStrictEqual(sockets(), [])
    })
  )
}

// ---------------------------------------------------------------------------------------------------------------------
// Thousands of connections that end in every way, at random moments
// ---------------------------------------------------------------------------------------------------------------------

// Until the code is compiled and Node's pools are full.
const warmUp = 1_000
// What is made once, such as a source map, grows one of the rounds; what each cycle leaves behind grows all of them. So the first
// round that grows by little is the last one.
const rounds = 3
const cycles = 800
const concurrency = 50
// One object in four cycles is found, and 500 bytes in each.
const objectMargin = cycles / 4
const byteMargin = cycles * 500

/** Whole numbers from 0 to below a bound, the same ones for the same seed (mulberry32). */
const randomFrom = (seed: number) => {
  let state = seed
  return (bound: number) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound
  }
}

type Random = ReturnType<typeof randomFrom>

const oneOf = <A>(random: Random, choices: ReadonlyArray<A>): A => choices[random(choices.length)]!

// More than the water marks, so `send` suspends, and a reader is overtaken.
const large = new Uint8Array(70_000)

class TestFailure extends Data.TaggedError("TestFailure")<{}> {}

/** What a server does with a connection, by the path of its request. */
const handlers: Readonly<
  Record<string, (socket: WebSocket.WebSocket) => Effect.Effect<unknown, unknown, Scope.Scope>>
> = {
  "/echo": (socket) => socket.run((message) => socket.send(message)),
  "/end": (socket) => socket.receive,
  "/fail": (socket) => Effect.andThen(socket.receive, Effect.fail(new TestFailure())),
  "/die": (socket) => Effect.andThen(socket.receive, Effect.die(new Error("defect"))),
  "/abort": (socket) => Effect.andThen(socket.receive, socket.abort),
  "/close": (socket) => Effect.andThen(socket.receive, socket.close(4000, "enough")),
  "/flood": (socket) => Effect.andThen(Effect.replicateEffect(socket.send(large), 3), Stream.runDrain(socket.messages)),
  "/release": (socket) => Effect.andThen(Effect.forkScoped(Effect.forever(socket.receive)), Effect.yieldNow),
  "/idle": () => turnsUntil(() => false, 20)
}
const handle = (socket: WebSocketServer.ServerWebSocket) => handlers[socket.url]!(socket)

/** What a client does with a connection. */
const behaviours: ReadonlyArray<
  (socket: WebSocket.WebSocket) => Effect.Effect<unknown, { readonly _tag: string }, Scope.Scope>
> = [
  (socket) => Effect.andThen(socket.send("hello"), socket.receive),
  (socket) => Effect.andThen(socket.send("hello"), Effect.forever(socket.receive)),
  (socket) => Effect.andThen(socket.send("hello"), Stream.runDrain(socket.messages)),
  (socket) =>
    Effect.andThen(
      socket.send("hello"),
      socket.run(() => Effect.never)
    ),
  (socket) =>
    Effect.andThen(
      socket.send("hello"),
      // Not for ever: in memory it would leave no time for anything else.
      Stream.runForEach(Stream.take(socket.messages, 20), (message) => socket.send(message))
    ),
  (socket) => Effect.andThen(socket.send(large), socket.receive),
  (socket) => Effect.andThen(Effect.replicateEffect(socket.send(large), 3), socket.receive),
  (socket) => Effect.andThen(Effect.forkScoped(Stream.runDrain(socket.pongs)), socket.ping()),
  (socket) => Effect.andThen(socket.send("hello"), Effect.fail(new TestFailure())),
  (socket) => Effect.andThen(socket.send("hello"), Effect.die(new Error("defect"))),
  (socket) => Effect.andThen(socket.send("hello"), socket.close(4001, "enough")),
  (socket) => Effect.andThen(socket.send("hello"), socket.abort),
  () => Effect.void
]

// For a peer that is waited for in vain.
const closeTimeout = "100 millis"

const options: ReadonlyArray<WebSocketClient.ConnectOptions> = [
  {},
  {},
  {},
  {},
  {},
  { limits: { maxMessageBytes: 4 } },
  { origin: "https://evil.example" },
  { protocols: ["chat"], maxFrameSize: 1000 }
]

/** Resets each connection some turns after it was asked to upgrade, with or without an answer. */
const rudeServer = (random: Random) =>
  Effect.map(
    listen(
      Net.createServer((socket) => {
        socket.on("error", () => {})
        socket.once("data", (request) => {
          const answer = oneOf(random, ["", "HTTP/1.1 404 ", answer101(String(request)), answer101(""), "no HTTP"])
          if (answer !== "") socket.write(answer)
          let turns = random(5)
          const wait = () => {
            if (turns-- === 0) socket.resetAndDestroy()
            else setImmediate(wait)
          }
          wait()
        })
      })
    ),
    (port) => `ws://127.0.0.1:${port}`
  )

/** Sends some of a request and of a message, and leaves. */
const rudeClient = (url: string, random: Random) =>
  Effect.callback<void>((resume) => {
    const bytes = Buffer.concat([Buffer.from(upgradeRequest()), frame(first.text, large.subarray(0, 1000), true)])
    const socket = Net.connect(Number(new URL(url).port), "127.0.0.1", () => {
      socket.write(bytes.subarray(0, random(bytes.length)), () => {
        if (random(2) === 0) socket.resetAndDestroy()
        else socket.destroy()
      })
    })
    socket.on("error", () => {})
    socket.once("close", () => resume(Effect.void))
  })

/** Servers of every kind, and the listeners of the one whose `http.Server` is the test's own. */
const servers = (random: Random) =>
  Effect.gen(function* () {
    const plain = yield* Effect.replicateEffect(serve(), 4)
    const secure = yield* serve({ tls })
    for (const server of [...plain, secure]) yield* Effect.forkScoped(server.run(handle))

    const accepting = yield* serve()
    const acceptOne = Effect.exit(Effect.scoped(Effect.flatMap(accepting.accept(), handle)))
    yield* Effect.forkScoped(Effect.replicateEffect(Effect.forever(acceptOne), concurrency, { concurrency }))

    const http = Http.createServer()
    const runtime = yield* Effect.runtime<never>()
    http.on("upgrade", (request, socket, head: Buffer) => {
      const upgraded = NodeWebSocketServer.fromUpgrade(request, socket, head)
      Effect.runForkWith(runtime)(Effect.exit(Effect.scoped(Effect.flatMap(upgraded, handle))))
    })
    const port = yield* listen(http)

    // Half of the connections, in memory.
    const inMemory = yield* Layer.build(WebSocketTest.layer)
    const inMemoryClient = Context.get(inMemory, WebSocketClient.WebSocketClient)
    yield* Effect.forkScoped(Context.get(inMemory, WebSocketServer.WebSocketServer).run(handle))

    const client = yield* WebSocketClient.WebSocketClient
    const urls = [
      ...[...plain, ...plain, ...plain, secure, accepting].map(({ address }) => address.url),
      `ws://127.0.0.1:${port}`,
      yield* rudeServer(random)
    ]
    return {
      connect: (random: Random) => {
        const path = oneOf(random, Object.keys(handlers))
        return random(2) === 0
          ? inMemoryClient.connect(`ws://test${path}`, { ...oneOf(random, options), closeTimeout })
          : client.connect(`${oneOf(random, urls)}${path}`, { ...oneOf(random, options), closeTimeout })
      },
      rude: (random: Random) => rudeClient(oneOf(random, urls), random),
      listeners: () => [http, process].map((emitter) => [...listeners(emitter)])
    }
  })

const listeners = (emitter: EventEmitter) =>
  emitter.eventNames().map((name) => [String(name), emitter.listenerCount(name)] as const)

/** A connection that is interrupted at a random moment, unless it has come to its end by itself. Returns how it ended. */
const cycle = ({ connect, rude }: Effect.Success<ReturnType<typeof servers>>, random: Random) =>
  Effect.gen(function* () {
    if (random(20) === 0) {
      yield* rude(random)
      return "rude client"
    }
    const connecting = connect(random)
    const behave = oneOf(random, behaviours)
    const fiber = yield* Effect.forkChild(
      random(8) === 0
        ? // It belongs to the scope of the whole test, which must hold nothing that is over.
          Effect.acquireUseRelease(
            connecting,
            (socket) => Effect.scoped(behave(socket)),
            (socket) => socket.abort
          )
        : Effect.scoped(Effect.flatMap(connecting, behave))
    )
    yield* turnsUntil(() => Fiber.pollUnsafe(fiber) !== undefined, random(4) === 0 ? 100 : random(20))
    yield* Fiber.interrupt(fiber)
    return outcomeOf(yield* Fiber.await(fiber))
  })

const outcomeOf = (exit: Exit.Exit<unknown, { readonly _tag: string }>): string => {
  if (Exit.isSuccess(exit)) return "success"
  const failure = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  return failure?._tag ?? (Cause.hasDies(exit.cause) ? "defect" : "interruption")
}

const outcomes = [
  "Connection_closed",
  "Handshake_rejected",
  "Io_error",
  "Payload_too_large",
  "Protocol_error",
  "TestFailure",
  "defect",
  "interruption",
  "rude client",
  "success"
]

/** The objects and the bytes that live, without the code that V8 goes on to compile. */
const memory = Effect.gen(function* () {
  for (let times = 0; times < 3; times++) {
    yield* turnsUntil(() => false, 10)
    collectGarbage()
  }
  const bytes = getHeapSpaceStatistics()
    .filter((space) => !space.space_name.includes("code"))
    .reduce((sum, space) => sum + space.space_used_size, process.memoryUsage().arrayBuffers)
  return { objects: queryObjects(Object, { format: "count" }), bytes }
})

// The choices are those of the seed; the timing is the machine's.
const seed = Number(process.env["LEAKS_SEED"] ?? Date.now() % 2 ** 32)

it.live(
  `leaves nothing behind of ${cycles} connections that end in every way (LEAKS_SEED=${seed})`,
  () =>
    Effect.gen(function* () {
      const supervisor = yield* Supervisor.track
      const test = Effect.gen(function* () {
        const started = yield* servers(randomFrom(seed))
        const seen = new Set<string>()
        const run = (from: number, to: number) =>
          Effect.forEach(
            Array.range(from, to - 1),
            (index) =>
              Effect.map(cycle(started, randomFrom(seed ^ Math.imul(index, 0x9e3779b1))), (outcome) =>
                seen.add(outcome)
              ),
            { concurrency, discard: true }
          )
        const left = () => ({
          fibers: Effect.runSync(supervisor.value).length,
          sockets: sockets(),
          listeners: started.listeners()
        })
        // The fibers of the servers begin to wait.
        yield* turnsUntil(() => false, someTurns)
        const before = left()
        const isBack = () =>
          sockets().length === before.sockets.length && Effect.runSync(supervisor.value).length === before.fibers
        const settled = Effect.gen(function* () {
          yield* turnsUntil(isBack, 100 * someTurns)
          assert.deepStrictEqual(left(), before)
          // Peers that are waited for in vain are dropped.
          yield* Effect.sleep("500 millis")
          return yield* memory
        })

        yield* run(0, warmUp)
        const growth: Array<{ readonly objects: number; readonly bytes: number }> = []
        let start = yield* settled
        const isSmall = (grown: { readonly objects: number; readonly bytes: number }) =>
          grown.objects < objectMargin && grown.bytes < byteMargin
        for (let round = 0; round < rounds && !growth.some(isSmall); round++) {
          const from = warmUp + round * cycles
          yield* run(from, from + cycles)
          const end = yield* settled
          growth.push({ objects: end.objects - start.objects, bytes: end.bytes - start.bytes })
          start = end
        }
        assert.isTrue(growth.some(isSmall), JSON.stringify(growth))
        assert.deepStrictEqual([...seen].sort(), outcomes)
      })
      const timers = yield* countTimers(
        test.pipe(
          Effect.supervised(supervisor),
          Effect.scoped,
          Effect.provide(NodeWebSocketClient.layerWith({ tls: { ca: tls.cert } })),
          Effect.provide(Logger.withoutDefault)
        )
      )
      assert.strictEqual(timers, 0)
      yield* turnsUntil(() => sockets().length === 0, someTurns)
      assert.deepStrictEqual(sockets(), [])
    }),
  // This is for a machine that has much else to do.
  1_200_000
)
