import { WebSocketClient, WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer } from "effect"

/** The sockets of this process; vitest has none of these kinds. */
const sockets = () =>
  process.getActiveResourcesInfo().filter((kind) => ["TCPServerWrap", "TCPSocketWrap", "TLSWrap"].includes(kind))

/** Node frees handles some turns after their end; what was forgotten stays for seconds. */
const turnsUntil = (isDone: () => boolean) =>
  Effect.promise(async () => {
    for (let turns = 0; turns < 100 && !isDone(); turns++) await new Promise((resolve) => setImmediate(resolve))
  })

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
        yield* turnsUntil(() => pending.size === 0)
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
    yield* Effect.yieldNow()
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
          const exit = yield* Effect.scoped(exchange).pipe(Effect.exit, Effect.provide(services), Effect.fork)
          const outcome = Exit.flatten(yield* Fiber.await(exit))
          assert.strictEqual(Exit.isSuccess(outcome), name === "success" || name === "abort")
        })
      )
      assert.strictEqual(timers, 0)
      yield* turnsUntil(() => sockets().length === 0)
      assert.deepStrictEqual(sockets(), [])
    })
  )
}
