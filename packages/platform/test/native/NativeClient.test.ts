import { Redacted } from "effect"
import type * as WebSocketClient from "../../src/WebSocketClient.js"
import * as NativeClient from "../../src/native/NativeClient.js"
import { Effect, Exit, Fiber, Scope } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { makePlatform } from "./FakePlatform.js"

const settled = Effect.repeat(Effect.yieldNow, { times: 20 })

/** A connection that is about to open, in a scope of its own. */
const connecting = (options?: Parameters<typeof NativeClient.make>[1]) =>
  Effect.gen(function* () {
    const { platform, sockets } = makePlatform()
    const client = yield* NativeClient.make(platform, options)
    const scope = yield* Scope.make()
    const fiber = yield* Effect.forkChild(Scope.provide(client.connect("ws://test/path"), scope))
    yield* settled
    const [socket] = sockets
    if (socket === undefined) return yield* Effect.die("no socket was made")
    return { fiber, scope, socket }
  })

const refusal = (
  options: WebSocketClient.ConnectOptions,
  url = "ws://test",
  clientOptions: Parameters<typeof NativeClient.make>[1] = {}
) =>
  Effect.gen(function* () {
    const { platform, sockets } = makePlatform()
    const client = yield* NativeClient.make(platform, clientOptions)
    const error = yield* Effect.flip(Effect.asVoid(Effect.scoped(client.connect(url, options))))
    assert.deepStrictEqual(sockets, [])
    return error
  })

describe("NativeClient", () => {
  it.effect("opens, reads, sends and closes with its scope", () =>
    Effect.gen(function* () {
      const { fiber, scope, socket } = yield* connecting()
      socket.protocol = "chat"
      socket.extensions = "permessage-deflate; client_max_window_bits=12"
      socket.emit("open")
      const connection = yield* Fiber.join(fiber)
      assert.strictEqual(connection.url, "ws://test/path")
      assert.strictEqual(connection.role, "client")
      assert.strictEqual(connection.protocol, "chat")
      assert.deepStrictEqual(
        connection.extensions.map(({ name }) => name),
        ["permessage-deflate"]
      )
      socket.receive("hello")
      assert.strictEqual((yield* connection.receive).data, "hello")
      yield* connection.send("answer")
      assert.deepStrictEqual(socket.sent, ["answer"])
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* settled
      assert.deepStrictEqual(socket.closes, [[1000, ""]])
      socket.emit("close", { code: 1000, reason: "", wasClean: true })
      yield* Fiber.join(closing)
      assert.isTrue((yield* connection.closeStatus).clean)
    })
  )

  it.effect("drops the attempt if it is interrupted", () =>
    Effect.gen(function* () {
      const { fiber, socket } = yield* connecting()
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(socket.closes, [[]])
      assert.strictEqual(socket.listening, 0)
    })
  )

  it.effect("drops the attempt if its scope ends", () =>
    Effect.gen(function* () {
      const { fiber, scope, socket } = yield* connecting()
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
      assert.deepStrictEqual(socket.closes, [[]])
    })
  )

  it.effect("fails if the platform cannot connect", () =>
    Effect.gen(function* () {
      const { fiber, socket } = yield* connecting()
      socket.emit("error")
      const error = yield* Effect.flip(Fiber.join(fiber))
      assert.deepInclude({ ...error }, { _tag: "Io_error", reason: "Connect" })
    })
  )

  it.effect("refuses what the platform cannot do, before it connects", () =>
    Effect.gen(function* () {
      const options: ReadonlyArray<WebSocketClient.ConnectOptions> = [
        { headers: { a: "b" } },
        { auth: { token: Redacted.make("secret") } },
        { compression: true },
        { limits: { maxFragments: 1 } },
        { delivery: "messages", recordFrames: true }
      ]
      for (const each of options) {
        assert.deepInclude({ ...(yield* refusal(each)) }, { _tag: "Protocol_error", origin: "local" })
      }
      const credentials = yield* refusal({}, "ws://user:password@test")
      assert.include(credentials.message, "user name and password")
      assert.notInclude(credentials.message, "password@")
    })
  )

  it.effect("refuses URLs and subprotocols that are not valid", () =>
    Effect.gen(function* () {
      for (const error of [
        yield* refusal({}, "http://test"),
        yield* refusal({}, "/relative"),
        yield* refusal({ protocols: ["not a token"] })
      ]) {
        assert.deepInclude({ ...error }, { _tag: "Protocol_error", origin: "local" })
      }
    })
  )

  it.effect("takes options that ask for what the platform does anyway", () =>
    Effect.gen(function* () {
      const { platform, sockets } = makePlatform({ options: new Set() })
      const client = yield* NativeClient.make(platform, { baseUrl: "ws://base/path" })
      const options: WebSocketClient.ConnectOptions = {
        delivery: "messages",
        headers: undefined,
        sendStrategy: "suspend",
        limits: { maxMessageBytes: 10 }
      }
      const fiber = yield* Effect.forkChild(Effect.scoped(client.connect("other", options)))
      yield* settled
      assert.strictEqual(sockets.length, 1)
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("refuses options that make no sense as a defect", () =>
    Effect.gen(function* () {
      const { platform } = makePlatform({ options: new Set() })
      for (const options of [
        { maxUnreadBytes: 0 },
        { openTimeout: -1 },
        { protocols: ["not a token"] },
        { baseUrl: "http://test" },
        { sendHighWaterMark: 1 }
      ]) {
        const exit = yield* Effect.exit(NativeClient.make(platform, options))
        assert.include(String(Exit.isFailure(exit) ? exit.cause : ""), Object.keys(options)[0]!)
      }
    })
  )
})
