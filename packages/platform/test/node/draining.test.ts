/** Many connections that are drained while they talk. `pnpm --filter soak drain` does it with thousands, in processes of their own. */
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Context, Effect, Fiber, Layer, Logger } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { connect, eventually, noHandlesLeft } from "./support.js"

afterEach(noHandlesLeft)

const connections = 200

describe("drain under traffic", () => {
  it.live(`closes ${connections} connections with 1001, each behind all that was accepted for sending`, () =>
    Effect.gen(function* () {
      const accepted = new Map<string, number>()
      const numbering = WebSocketServer.layerHandler((socket) =>
        socket.run(() => {
          const number = (accepted.get(socket.url) ?? 0) + 1
          return Effect.map(socket.send(`${number}`), () => accepted.set(socket.url, number))
        })
      )
      const services = yield* Layer.build(
        Layer.provideMerge(numbering, NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1" })).pipe(
          Layer.provideMerge(Logger.withoutDefault)
        )
      )
      const server = Context.get(services, WebSocketServer.WebSocketServer)
      const clients = yield* Effect.forEach(
        Array.from({ length: connections }, (_, index) => `/${index}`),
        (path) =>
          Effect.gen(function* () {
            const socket = yield* connect(server.address.url + path)
            const seen: Array<string> = []
            // Always a message under way, until the server closes.
            const talking = socket.run(({ data }) => {
              seen.push(String(data))
              return Effect.ignore(socket.send("more"))
            })
            yield* socket.send("first")
            return { path, seen, socket, fiber: yield* Effect.forkScoped(talking) }
          }),
        { concurrency: 20 }
      )
      yield* eventually(() => clients.every(({ seen }) => seen.length > 0))
      const report = yield* server.drain({ window: "100 millis" })
      assert.deepStrictEqual(report, { closed: connections, dropped: 0, interrupted: 0 })
      for (const { fiber, path, seen, socket } of clients) {
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(
          seen,
          Array.from({ length: accepted.get(path) ?? 0 }, (_, index) => String(index + 1))
        )
        const { clean, received } = yield* socket.closeStatus
        assert.deepStrictEqual([received?.code, clean], [1001, true])
      }
    })
  )
})
