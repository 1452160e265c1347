import { JsonRpc } from "@effect-websocket/platform"
import * as fc from "fast-check"
import { Context, Deferred, Effect, Exit, Fiber, Schema } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import { connected, isPending, settled } from "./support.js"

const Numbers = Schema.Array(Schema.Number)
const Add = JsonRpc.request("add", { params: Numbers, result: Schema.Number })
const Fail = JsonRpc.request("fail", { params: Schema.Undefined, result: Schema.Number })
const Die = JsonRpc.request("die", { params: Schema.Undefined, result: Schema.Number })
const Wait = JsonRpc.request("wait", { params: Schema.Undefined, result: Schema.Number })
const Wrong = JsonRpc.request("wrong", {
  params: Schema.Undefined,
  result: Schema.filtered(Schema.Number, (n) => n > 0)
})
const Log = JsonRpc.notification("log", { params: Schema.Struct({ text: Schema.String }) })

class Offset extends Context.Service<Offset, number>()("Offset") {}

const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((a, b) => a + b, 0)

/** A side with handlers, and its peer, which sends and receives text. */
const opened = (options: Omit<JsonRpc.Options<[]>, "handlers"> = {}) =>
  Effect.gen(function* () {
    const { client, server } = yield* connected()
    const logged: Array<string> = []
    const waiting = { begun: 0, interrupted: 0 }
    const rpc = yield* JsonRpc.make(server, {
      ...options,
      handlers: [
        JsonRpc.handler(Add, (numbers) => Effect.map(Offset, (offset) => sum(numbers) + offset)),
        JsonRpc.handler(Fail, () => Effect.fail(new JsonRpc.ResponseError({ code: 7, message: "no", data: [1] }))),
        JsonRpc.handler(Die, () => Effect.die(new Error("secret"))),
        JsonRpc.handler(Wait, () =>
          Effect.onInterrupt(
            Effect.suspend(() => {
              waiting.begun++
              return Effect.never
            }),
            () => Effect.sync(() => waiting.interrupted++)
          )
        ),
        JsonRpc.handler(Wrong, () => Effect.succeed(-1)),
        JsonRpc.handler(Log, ({ text }) => Effect.sync(() => logged.push(text)))
      ]
    })
    const running = yield* Effect.forkScoped(Effect.exit(Effect.provideService(rpc.run, Offset, 0)))
    const ask = (text: string) =>
      Effect.andThen(
        client.send(text),
        Effect.map(client.receive, ({ data }): unknown => JSON.parse(String(data)))
      )
    return { ask, client, logged, rpc, running, server, waiting }
  })

const request = (id: unknown, method: string, params?: unknown) => ({ jsonrpc: "2.0", id, method, params })
const result = (id: unknown, value: unknown) => ({ jsonrpc: "2.0", id, result: value })
const error = (id: unknown, code: number, message: string, data?: unknown) => ({
  jsonrpc: "2.0",
  id,
  error: data === undefined ? { code, message } : { code, message, data }
})

describe("a request of the peer", () => {
  it.effect("is answered as the specification says", () =>
    Effect.gen(function* () {
      const { ask, client, logged } = yield* opened()
      const cases: ReadonlyArray<readonly [string, unknown]> = [
        [JSON.stringify(request(1, "add", [1, 2])), result(1, 3)],
        [JSON.stringify(request("a", "add", [])), result("a", 0)],
        [JSON.stringify(request(null, "add", [1])), result(null, 1)],
        [JSON.stringify(request(2, "fail")), error(2, 7, "no", [1])],
        [JSON.stringify(request(3, "die")), error(3, -32603, "Internal error")],
        [JSON.stringify(request(4, "wrong")), error(4, -32603, "Internal error")],
        [JSON.stringify(request(5, "other")), error(5, -32601, "Method not found")],
        [JSON.stringify(request(5, "toString")), error(5, -32601, "Method not found")],
        [JSON.stringify(request(6, "add", ["secret"])), error(6, -32602, "Invalid params")],
        [JSON.stringify(request(6, "add")), error(6, -32602, "Invalid params")],
        [JSON.stringify(request(7, "add", 1)), error(7, -32600, "Invalid Request")],
        [JSON.stringify({ id: 8, method: "add", params: [] }), error(8, -32600, "Invalid Request")],
        [JSON.stringify(request({ a: 1 }, "add", [])), error(null, -32600, "Invalid Request")],
        [JSON.stringify(request(9, "add").method), error(null, -32600, "Invalid Request")],
        [`{"jsonrpc": "2.0", "method": 1, "params": "bar"}`, error(null, -32600, "Invalid Request")],
        [`{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]`, error(null, -32700, "Parse error")],
        [`{"jsonrpc":"2.0","id":1,"method":"add","params":{"__proto__":1}}`, error(null, -32700, "Parse error")],
        ["", error(null, -32700, "Parse error")],
        ["[]", error(null, -32600, "Invalid Request")],
        ["[1]", [error(null, -32600, "Invalid Request")]],
        ["[1,2,3]", [1, 2, 3].map(() => error(null, -32600, "Invalid Request"))]
      ]
      for (const [text, expected] of cases) assert.deepStrictEqual(yield* ask(text), expected, text)
      yield* client.send(new Uint8Array([1]))
      assert.include(String((yield* client.receive).data), "-32700")
      assert.deepStrictEqual(logged, [])
    })
  )

  it.effect("in a batch is answered with the others in one message, and notifications are not", () =>
    Effect.gen(function* () {
      const { ask, client, logged } = yield* opened({ maxBatch: 4 })
      const batch = [
        request(1, "add", [1, 2]),
        { jsonrpc: "2.0", method: "log", params: { text: "a" } },
        { foo: "boo" },
        request("5", "fail")
      ]
      const answers = yield* ask(JSON.stringify(batch))
      assert(Array.isArray(answers))
      assert.sameDeepMembers(answers, [result(1, 3), error(null, -32600, "Invalid Request"), error("5", 7, "no", [1])])
      const notifications = [1, 2].map(() => ({ jsonrpc: "2.0", method: "log", params: { text: "b" } }))
      yield* client.send(JSON.stringify(notifications))
      yield* client.send(JSON.stringify([{ jsonrpc: "2.0", method: "other" }]))
      assert.deepStrictEqual(yield* ask(JSON.stringify([1, 2, 3, 4, 5])), error(null, -32600, "Invalid Request"))
      yield* settled
      assert.deepStrictEqual(logged, ["a", "b", "b"])
    })
  )

  it.effect("is one of at most maxRunning, and has an id of its own", () =>
    Effect.gen(function* () {
      const { ask, client, waiting } = yield* opened({ maxRunning: 2 })
      yield* client.send(JSON.stringify(request(1, "wait")))
      assert.deepStrictEqual(yield* ask(JSON.stringify(request(1, "add", []))), error(1, -32600, "Invalid Request"))
      yield* client.send(JSON.stringify(request(2, "wait")))
      assert.deepStrictEqual(
        yield* ask(JSON.stringify(request(3, "add", []))),
        error(3, -32000, "Too many requests at once")
      )
      yield* settled
      assert.strictEqual(waiting.begun, 2)
    })
  )

  it.effect("is refused once the peer does not read the responses", () =>
    Effect.gen(function* () {
      const Large = JsonRpc.request("large", { params: Schema.Undefined, result: Schema.String })
      for (const message of [
        request(1, "large"),
        [request(1, "large"), request(2, "large")],
        [request(1, "large"), { jsonrpc: "2.0", method: "large" }]
      ]) {
        const { client, server } = yield* connected()
        let handled = 0
        const handler = JsonRpc.handler(Large, () =>
          Effect.sync(() => {
            handled++
            return "x".repeat(100_000)
          })
        )
        const rpc = yield* JsonRpc.make(server, { maxRunning: 2, handlers: [handler] })
        yield* Effect.forkScoped(rpc.run)
        for (let count = 0; count < 100; count++) {
          yield* client.send(JSON.stringify(message))
          yield* settled
        }
        const handledUnread = handled
        yield* settled
        // A few responses are in the buffers.
        assert.isBelow(handledUnread, 20)
        assert.strictEqual(handled, handledUnread)
        const run = yield* Effect.forkScoped(Effect.exit(client.run(() => {})))
        yield* settled
        yield* client.send(JSON.stringify(message))
        yield* settled
        assert.isAbove(handled, handledUnread)
        assert.isTrue(yield* isPending(run))
      }
    })
  )

  it.effect("can be cancelled, if there is a method for it", () =>
    Effect.gen(function* () {
      const { ask, client, waiting } = yield* opened({ cancelMethod: "$/cancelRequest" })
      yield* client.send(JSON.stringify(request(1, "wait")))
      yield* settled
      for (const params of [undefined, [1], { id: 2 }, { id: {} }]) {
        yield* client.send(JSON.stringify({ jsonrpc: "2.0", method: "$/cancelRequest", params }))
      }
      assert.deepStrictEqual(
        yield* ask(JSON.stringify({ jsonrpc: "2.0", method: "$/cancelRequest", params: { id: 1 } })),
        error(1, -32800, "Request cancelled")
      )
      assert.deepStrictEqual(waiting, { begun: 1, interrupted: 1 })
    })
  )

  it.effect("never ends the connection, whatever it is", () =>
    Effect.gen(function* () {
      const { ask, client, running } = yield* opened()
      const values = fc.oneof(
        fc.json(),
        fc.string(),
        fc
          .record(
            {
              jsonrpc: fc.constantFrom("2.0", "1.0", 2),
              id: fc.oneof(fc.integer(), fc.string(), fc.constant(null), fc.object()),
              method: fc.oneof(fc.constantFrom("add", "fail", "log", "die", "__proto__"), fc.anything()),
              params: fc.oneof(fc.array(fc.integer()), fc.object(), fc.string()),
              result: fc.anything(),
              error: fc.anything()
            },
            { requiredKeys: [] }
          )
          .map((value) => {
            try {
              return JSON.stringify(value)
            } catch {
              return "{}"
            }
          })
      )
      for (const text of fc.sample(values, { numRuns: 300, seed: 7 })) yield* client.send(text)
      yield* client.send(JSON.stringify(request("end", "add", [1])))
      for (;;) {
        const { data } = yield* client.receive
        if (data === JSON.stringify(result("end", 1))) break
      }
      assert.deepStrictEqual(yield* ask(JSON.stringify(request(1, "add", [2]))), result(1, 2))
      assert.isTrue(yield* isPending(running))
    })
  )
})

/** Two sides. */
const pair = (options: JsonRpc.Options<[]> = {}) =>
  Effect.gen(function* () {
    const { client, server } = yield* connected()
    const near = yield* JsonRpc.make(client, options)
    yield* Effect.forkScoped(Effect.exit(near.run))
    const far = yield* JsonRpc.make(server, {
      ...options,
      handlers: [
        JsonRpc.handler(Add, (numbers) => Effect.succeed(sum(numbers))),
        JsonRpc.handler(Fail, () => Effect.fail(new JsonRpc.ResponseError({ code: 7, message: "no" }))),
        JsonRpc.handler(Wait, () => Effect.never)
      ]
    })
    const running = yield* Effect.forkScoped(Effect.exit(far.run))
    return { client, far, near, running, server }
  })

describe("a call", () => {
  it.effect("gets its result or its error", () =>
    Effect.gen(function* () {
      const { near } = yield* pair()
      assert.strictEqual(yield* near.call(Add, [1, 2]), 3)
      const failed = yield* Effect.flip(near.call(Fail, undefined))
      assert(failed._tag === "Json_rpc_error")
      assert.deepStrictEqual([failed.code, failed.message], [7, "no"])
      const unknown = yield* Effect.flip(near.call(Die, undefined))
      assert.strictEqual(unknown._tag === "Json_rpc_error" && unknown.code, JsonRpc.ErrorCode.MethodNotFound)
    })
  )

  it.effect("fails typed if the schema refuses its parameters or its result", () =>
    Effect.gen(function* () {
      const { near } = yield* pair()
      const Positive = Schema.Array(Schema.filtered(Schema.Number, (value) => value > 0))
      const Checked = JsonRpc.request("add", { params: Positive, result: Schema.Number })
      const outbound = yield* Effect.flip(near.call(Checked, [-1]))
      assert.strictEqual(outbound._tag === "Invalid_message" && outbound.direction, "outbound")
      const Text = JsonRpc.request("add", { params: Numbers, result: Schema.String })
      const inbound = yield* Effect.flip(near.call(Text, [1]))
      assert.strictEqual(inbound._tag === "Invalid_message" && inbound.direction, "inbound")
      const Scalar = JsonRpc.notification("log", { params: Schema.Number })
      assert.strictEqual((yield* Effect.flip(near.notify(Scalar, 1)))._tag, "Invalid_message")
    })
  )

  it.effect("fails typed if a result is too deep for its schema, and a request with such parameters is refused", () =>
    Effect.gen(function* () {
      const { client, server } = yield* connected()
      const Deep = JsonRpc.request("deep", { params: Schema.Nested, result: Schema.Nested })
      const near = yield* JsonRpc.make(client, {
        handlers: [JsonRpc.handler(Deep, (nested) => Effect.succeed(nested))]
      })
      yield* Effect.forkScoped(Effect.exit(near.run))
      const calling = yield* Effect.forkChild(Effect.flip(near.call(Deep, [])))
      yield* server.receive
      const deep = `${"[".repeat(100_000)}${"]".repeat(100_000)}`
      yield* server.send(`{"jsonrpc":"2.0","id":1,"result":${deep}}`)
      assert.strictEqual((yield* Fiber.join(calling))._tag, "Invalid_message")
      yield* server.send(`{"jsonrpc":"2.0","id":2,"method":"deep","params":${deep}}`)
      assert.deepStrictEqual(JSON.parse(String((yield* server.receive).data)), error(2, -32602, "Invalid params"))
    })
  )

  it.effect("ends with the connection", () =>
    Effect.gen(function* () {
      const { near, server } = yield* pair()
      const waiting = yield* Effect.forkChild(Effect.flip(near.call(Wait, undefined)))
      yield* settled
      yield* server.close()
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "Connection_closed")
    })
  )

  it.effect("that is interrupted cancels the request of the peer", () =>
    Effect.gen(function* () {
      const { client, server } = yield* connected()
      const cancelled = yield* Deferred.make<void>()
      const begun = yield* Deferred.make<void>()
      const near = yield* JsonRpc.make(client, { cancelMethod: "$/cancelRequest" })
      const far = yield* JsonRpc.make(server, {
        cancelMethod: "$/cancelRequest",
        handlers: [
          JsonRpc.handler(Wait, () =>
            Effect.andThen(
              Deferred.succeed(begun, undefined),
              Effect.onInterrupt(Effect.never, () => Deferred.succeed(cancelled, undefined))
            )
          )
        ]
      })
      yield* Effect.forkScoped(Effect.exit(near.run))
      yield* Effect.forkScoped(Effect.exit(far.run))
      const waiting = yield* Effect.forkChild(near.call(Wait, undefined))
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(waiting)
      yield* Deferred.await(cancelled)
      assert.strictEqual((yield* client.isOpen) && (yield* server.isOpen), true)
    })
  )

  it.effect("of each side runs while the other one waits", () =>
    Effect.gen(function* () {
      const { client, server } = yield* connected()
      const near = yield* JsonRpc.make(client, {
        handlers: [JsonRpc.handler(Add, (numbers) => Effect.succeed(sum(numbers)))]
      })
      const far = yield* JsonRpc.make(server, {
        handlers: [JsonRpc.handler(Wait, (_, peer) => Effect.orDie(peer.call(Add, [20, 22])))]
      })
      yield* Effect.forkScoped(Effect.exit(near.run))
      yield* Effect.forkScoped(Effect.exit(far.run))
      assert.strictEqual(yield* near.call(Wait, undefined), 42)
    })
  )

  it.effect("ignores responses to nothing, and twice, and refuses those without a proper error", () =>
    Effect.gen(function* () {
      const { client, server } = yield* connected()
      const near = yield* JsonRpc.make(client)
      yield* Effect.forkScoped(Effect.exit(near.run))
      const first = yield* Effect.forkChild(near.call(Add, [1]))
      const second = yield* Effect.forkChild(Effect.flip(near.call(Add, [2])))
      assert.deepStrictEqual(JSON.parse(String((yield* server.receive).data)), request(1, "add", [1]))
      yield* server.receive
      for (const response of [result(9, 1), result("1", 1), result(null, 1), error(null, -32700, "Parse error")]) {
        yield* server.send(JSON.stringify(response))
      }
      yield* server.sendAll([result(1, 5), result(1, 6)].map((response) => JSON.stringify(response)))
      yield* server.send(JSON.stringify([{ jsonrpc: "2.0", id: 2, error: "no object" }]))
      assert.strictEqual(yield* Fiber.join(first), 5)
      const failed = yield* Fiber.join(second)
      assert.strictEqual(failed._tag === "Json_rpc_error" && failed.code, -32603)
    })
  )
})

describe("a batch", () => {
  it.effect("is sent in one message, and has the outcome of each call", () =>
    Effect.gen(function* () {
      const { near } = yield* pair()
      const [three, refused, nothing, seven] = yield* near.batch([
        JsonRpc.invoke(Add, [1, 2]),
        JsonRpc.invoke(Fail, undefined),
        JsonRpc.invoke(Log, { text: "a" }),
        JsonRpc.invoke(Add, [3, 4])
      ])
      assert.deepStrictEqual([three, nothing, seven], [Exit.succeed(3), Exit.void, Exit.succeed(7)])
      assert.isTrue(Exit.isFailure(refused))
      assert.deepStrictEqual(yield* near.batch([]), [])
      assert.deepStrictEqual(yield* near.batch([JsonRpc.invoke(Log, { text: "b" })]), [Exit.void])
    })
  )
})
