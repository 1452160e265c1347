import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import type { ConnectionOptions } from "@effect-websocket/platform/Options"
import * as NativeServer from "../../src/native/NativeServer.js"
import type { ServerMakeOptions } from "../../src/native/NativeServerOptions.js"
import { Effect, Exit, Fiber, Scope } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { AnsweringSocket, FakeServerSocket, makeHost, makeRequest, type FakeAnswer } from "./FakeHost.js"

const settled = Effect.repeat(Effect.yieldNow, { times: 40 })

const able: NativeServer.Abilities = {
  options: new Set([...NativeServer.sendOptions, ...NativeServer.pauseOptions, ...NativeServer.heartbeatOptions]),
  pauses: true,
  limitsMessages: true
}

const plain: NativeServer.Abilities = { options: new Set(), pauses: false, limitsMessages: false }

const address = { hostname: "localhost", port: 1, url: "ws://localhost:1" }

const serving = (
  options: ServerMakeOptions = {},
  abilities = able,
  made = makeHost(abilities === able ? undefined : () => new AnsweringSocket())
) =>
  Effect.map(
    NativeServer.make(() => address, abilities, options),
    (server) => {
      const answers: Array<FakeAnswer> = []
      const ask = (url = "http://test/path", headers: Readonly<Record<string, string>> = {}) => {
        const { leave, request } = makeRequest(url, headers)
        server.answer(request, "192.0.2.1", made.host, (answer) => answers.push(answer))
        return leave
      }
      return { ...server, ...made, ask, answered: answers, statuses: () => answers.map(({ status }) => status) }
    }
  )

describe("NativeServer", () => {
  it.effect("accepts, echoes, and closes with the handshake", () =>
    Effect.gen(function* () {
      const { ask, service, sockets, statuses } = yield* serving({ protocols: ["chat"] })
      const scope = yield* Scope.make()
      yield* Scope.provide(
        service.serve((socket) => socket.run((message) => socket.send(message))),
        scope
      )
      yield* settled
      ask(undefined, { "sec-websocket-protocol": "chat" })
      yield* settled
      assert.deepStrictEqual(statuses(), [101])
      const [socket] = sockets
      socket?.receive("hello", new Uint8Array([1, 2]))
      yield* settled
      assert.deepStrictEqual(socket?.sent, ["hello", new Uint8Array([1, 2])])
      const [connection] = yield* service.connections
      assert.deepInclude({ ...connection }, { url: "/path", protocol: "chat", remoteAddress: "192.0.2.1" })
      assert.deepInclude({ ...connection }, { receivedBytes: 7, sentBytes: 7 })
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(socket?.closes, [[1001, ""]])
      assert.deepStrictEqual(yield* service.connections, [])
    }).pipe(Effect.scoped)
  )

  it.effect("refuses by the policy of every server", () =>
    Effect.gen(function* () {
      const { answered, ask, service, statuses } = yield* serving({ admission: { maxConnections: 1 } })
      yield* service.serve(() => Effect.never)
      yield* settled
      ask(undefined, { origin: "http://evil.example" })
      ask(undefined, { "sec-websocket-version": "12" })
      ask()
      ask()
      yield* settled
      assert.deepStrictEqual(statuses(), [403, 426, 101, 503])
      assert.strictEqual(answered[3]?.headers["Retry-After"], "5")
    }).pipe(Effect.scoped)
  )

  it.effect("rejects as a check says, and interrupts it if the client goes", () =>
    Effect.gen(function* () {
      const { answered, ask, service } = yield* serving()
      const events: Array<string> = []
      const route = yield* service.route({
        path: "/path",
        check: (request) =>
          request.query["wait"] === undefined
            ? Effect.succeed(UpgradeCheck.reject(418, { body: "no", headers: { "X-Why": "because" } }))
            : Effect.onInterrupt(Effect.never, () => Effect.sync(() => events.push("interrupted")))
      })
      yield* route.serve(() => Effect.never)
      ask()
      const leave = ask("http://test/path?wait=1")
      yield* settled
      assert.deepStrictEqual(answered, [{ status: 418, headers: { "X-Why": "because" }, body: "no" }])
      leave()
      yield* settled
      assert.deepStrictEqual(events, ["interrupted"])
      // The host's handler ends, although nobody gets this.
      assert.strictEqual(answered.length, 2)
    }).pipe(Effect.scoped)
  )

  it.effect("answers 503 to a request that is checked when the server ends", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { ask, service, statuses } = yield* Scope.provide(serving(), scope)
      const route = yield* Scope.provide(service.route({ check: () => Effect.never }), scope)
      yield* Scope.provide(
        route.serve(() => Effect.never),
        scope
      )
      ask()
      yield* settled
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(statuses(), [503])
      ask()
      assert.deepStrictEqual(statuses(), [503, 503])
    }).pipe(Effect.scoped)
  )

  it.effect("refuses options that the host cannot follow, also those of a check", () =>
    Effect.gen(function* () {
      for (const options of [{ heartbeatInterval: 1 }, { receiveHighWaterMark: 1 }, { sendHighWaterMark: 1 }]) {
        const exit = yield* Effect.exit(serving(options, plain))
        assert.include(String(Exit.isFailure(exit) ? exit.cause : ""), Object.keys(options)[0]!)
      }
      const { ask, service, statuses } = yield* serving({ limits: { maxMessageBytes: 100 } })
      const asked: Array<ConnectionOptions> = [
        { compression: true },
        { limits: { maxFragments: 1 } },
        { limits: { maxMessageBytes: 101 } },
        { limits: { maxMessageBytes: 99 }, sendStrategy: "suspend" }
      ]
      const route = yield* service.route({
        check: () => Effect.succeed(UpgradeCheck.accept(undefined, { options: asked.shift() }))
      })
      yield* route.serve(() => Effect.never)
      for (let i = 0; i < 4; i++) {
        ask()
        yield* settled
      }
      assert.deepStrictEqual(statuses(), [500, 500, 500, 101])
    }).pipe(Effect.scoped)
  )

  it.effect("delivers messages only", () =>
    Effect.gen(function* () {
      const { service } = yield* serving()
      const route = yield* service.route({ path: "/path" })
      for (const each of [service, route]) {
        for (const attempt of [
          Effect.asVoid(Effect.scoped(each.accept({ delivery: "streams" }))),
          Effect.asVoid(Effect.scoped(each.accept({ recordFrames: true }))),
          Effect.asVoid(each.run(() => Effect.void, { delivery: "frames" })),
          each.serve(() => Effect.void, { delivery: "frames" })
        ]) {
          const exit = yield* Effect.exit(attempt)
          assert.include(String(Exit.isFailure(exit) ? exit.cause : ""), "the host of this server")
        }
      }
    }).pipe(Effect.scoped)
  )

  it.effect("bounds what nobody reads if the host cannot stop reading", () =>
    Effect.gen(function* () {
      const { ask, service, sockets } = yield* serving({ maxUnreadBytes: 1000 }, plain)
      const accepted = yield* Effect.forkChild(service.accept())
      yield* settled
      ask()
      const socket = yield* Fiber.join(accepted)
      sockets[0]?.receive(..."x".repeat(20).split(""))
      yield* settled
      assert.deepStrictEqual(sockets[0]?.closes, [[1009, ""]])
      const error = yield* Effect.flip(socket.send("late"))
      assert.deepInclude({ ...error }, { _tag: "Payload_too_large", limit: "unread" })
    }).pipe(Effect.scoped)
  )

  it.effect("pauses a host that can stop reading", () =>
    Effect.gen(function* () {
      const { ask, service, sockets } = yield* serving({ receiveHighWaterMark: 1000 })
      const accepted = yield* Effect.forkChild(service.accept())
      yield* settled
      ask()
      const socket = yield* Fiber.join(accepted)
      const [host] = sockets
      assert.instanceOf(host, FakeServerSocket)
      host.receive(..."x".repeat(20).split(""))
      assert.deepStrictEqual(host.flow, ["pause"])
      yield* socket.receiveAll
      assert.deepStrictEqual(host.flow, ["pause", "resume"])
    }).pipe(Effect.scoped)
  )

  it.effect("claims upgrades for its routes", () =>
    Effect.gen(function* () {
      const { claims, service } = yield* serving()
      yield* service.route({ path: "/path" })
      assert.isTrue(claims(makeRequest("http://test/path?a").request))
      assert.isFalse(claims(makeRequest("http://test/other").request))
      assert.isFalse(claims(makeRequest("http://test/path", { upgrade: "h2c" }).request))
    }).pipe(Effect.scoped)
  )
})
