import {
  Serialization,
  Topics,
  UpgradeCheck,
  WebSocketChannel,
  WebSocketClient,
  WebSocketServer,
  WebSocketTest
} from "@effect-websocket/platform"
import type * as WebSocket from "@effect-websocket/platform/WebSocket"
import type { Message } from "@effect-websocket/protocol/Message"
import * as msgpackr from "msgpackr"
import { Option } from "effect"
import {
  Cause,
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Schedule,
  Schema,
  Scope,
  Stream,
  TestClock
} from "./effect/index.js"
import { assert, describe, it, layer } from "./effect/vitest.js"
import { connected, isDefect, isPending, outcome, settled } from "./support.js"

const Ask = Schema.Struct({ ask: Schema.Number })
const Answer = Schema.Struct({ answer: Schema.Number })

const Sums = WebSocketChannel.make({ fromClient: Ask, fromServer: Answer })

/** A server whose channel is typed, and its client, which sends what it likes. */
const typed = <C extends WebSocketChannel.Any>(channel: C, options?: WebSocket.Options) =>
  Effect.gen(function* () {
    const { client, server } = yield* connected(options)
    return { client, plain: server, server: yield* WebSocketChannel.client(mirrored(channel), server) }
  })

/** The channel as the other side sees it. */
const mirrored = <C extends WebSocketChannel.Any>(channel: C) =>
  WebSocketChannel.make<C["fromServer"], C["fromClient"], C["onInvalid"]>({
    fromClient: channel.fromServer,
    fromServer: channel.fromClient,
    serialization: channel.serialization,
    onInvalid: channel.onInvalid
  })

const ask = (value: number): string => JSON.stringify({ ask: value })
const invalid = ["no JSON", "{}", `{"ask":"secret"}`, new Uint8Array([1])]

const errorOf = <E>(exit: Exit.Exit<unknown, E>): E | undefined =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined

describe("reading", () => {
  it.effect("each way of reading delivers decoded values, in order", () =>
    Effect.gen(function* () {
      const { client, server } = yield* typed(Sums)
      yield* client.sendAll([1, 2, 3, 4, 5, 6].map(ask))
      assert.deepStrictEqual(yield* server.receive, { ask: 1 })
      assert.deepStrictEqual(yield* server.receiveOption, Option.some({ ask: 2 }))
      const some = yield* Stream.runCollect(Stream.take(server.messages, 1))
      assert.deepStrictEqual(Array.from(some), [{ ask: 3 }])
      yield* client.sendAll([7, 8].map(ask))
      assert.deepStrictEqual(Array.from(yield* server.receiveAll), [{ ask: 7 }, { ask: 8 }])
      const handled: Array<number> = []
      const running = yield* Effect.forkChild(server.run(({ ask }) => void handled.push(ask)))
      yield* client.sendAll([9, 10].map(ask))
      yield* settled
      assert.deepStrictEqual(handled, [9, 10])
      yield* client.close()
      yield* Fiber.join(running)
    })
  )

  it.effect("ends as that of the plain socket", () =>
    Effect.gen(function* () {
      const { client, server } = yield* typed(Sums)
      yield* Effect.forkChild(client.close())
      assert.deepStrictEqual(yield* server.receiveOption, Option.none())
      assert.deepStrictEqual(Array.from(yield* Stream.runCollect(server.messages)), [])
      yield* server.run(() => {})
      assert.strictEqual((yield* Effect.flip(server.receive))._tag, "Connection_closed")
      assert.strictEqual((yield* Effect.flip(server.receiveAll))._tag, "Connection_closed")
    })
  )

  it.effect("a second reader at once is a defect", () =>
    Effect.gen(function* () {
      const { server } = yield* typed(Sums)
      yield* Effect.forkChild(server.receive)
      yield* settled
      assert.isTrue(isDefect(yield* Effect.exit(server.receive)))
    })
  )

  it.effect("needs a connection that delivers whole messages", () =>
    Effect.gen(function* () {
      const { client } = yield* connected({ delivery: "frames" })
      const exit = yield* Effect.exit(WebSocketChannel.client(Sums, client as object as WebSocket.WebSocket))
      assert.isTrue(isDefect(exit))
    })
  )
})

describe("a message that cannot be decoded", () => {
  it.effect("closes by default: with 1003 if it has the wrong kind, otherwise with 1007", () =>
    Effect.gen(function* () {
      for (const data of invalid) {
        const { client, server } = yield* typed(Sums)
        yield* client.sendAll([ask(1), data, ask(2)])
        assert.deepStrictEqual(yield* server.receive, { ask: 1 })
        const error = yield* Effect.flip(server.receive)
        assert.strictEqual(error._tag, "Protocol_error")
        assert.notInclude(JSON.stringify(error) + error.message, "secret")
        assert.strictEqual(yield* Effect.flip(server.send({ answer: 1 })), error)
        const code = typeof data === "string" ? 1007 : 1003
        assert.strictEqual((yield* server.closeStatus).sent?.code, code)
        assert.notInclude((yield* client.closeStatus).received?.reason ?? "", "secret")
      }
    })
  )

  it.effect("ends each way of reading with the error of the connection", () =>
    Effect.gen(function* () {
      const ways = [
        (socket: WebSocketChannel.TypedWebSocket<unknown, never>) => socket.run(() => {}),
        (socket: WebSocketChannel.TypedWebSocket<unknown, never>) => socket.receive,
        (socket: WebSocketChannel.TypedWebSocket<unknown, never>) => socket.receiveOption,
        (socket: WebSocketChannel.TypedWebSocket<unknown, never>) => socket.receiveAll,
        (socket: WebSocketChannel.TypedWebSocket<unknown, never>) => Stream.runDrain(socket.messages)
      ]
      for (const read of ways) {
        for (const before of [true, false]) {
          const { client, server } = yield* typed(Sums)
          if (before) yield* Effect.andThen(client.send("no JSON"), settled)
          const reading = yield* Effect.forkChild(Effect.flip(read(server)))
          if (!before) yield* Effect.andThen(settled, client.send("no JSON"))
          assert.strictEqual((yield* Fiber.join(reading))._tag, "Protocol_error")
        }
      }
    })
  )

  it.effect("fails the read if that is the policy, and the next read goes on behind it", () =>
    Effect.gen(function* () {
      const channel = WebSocketChannel.make({ fromClient: Ask, fromServer: Answer, onInvalid: "fail" })
      const { client, server } = yield* typed(channel)
      for (const [data, reason] of [
        ["no JSON", "serialization"],
        [`{"ask":"secret"}`, "schema"],
        [new Uint8Array([1]), "kind"]
      ] as const) {
        for (const read of [server.receive, server.receiveOption, server.receiveAll, server.run(() => {})]) {
          yield* client.sendAll([data, ask(1)])
          const error = yield* Effect.flip(read)
          assert(WebSocketChannel.isInvalidMessage(error))
          assert.deepStrictEqual([error.direction, error.reason, error.serialization], ["inbound", reason, "JSON"])
          assert.notInclude(JSON.stringify(error) + error.message + String(error.stack), "secret")
          assert.deepStrictEqual(yield* server.receive, { ask: 1 })
        }
      }
      assert.isTrue(yield* server.isOpen)
    })
  )

  it.effect("is skipped with a hook", () =>
    Effect.gen(function* () {
      const skipped: Array<[string, Message["data"]]> = []
      const note = (error: WebSocketChannel.InvalidMessage, message: Message) => {
        skipped.push([error.reason, message.data])
      }
      for (const onInvalid of [
        note,
        (error: WebSocketChannel.InvalidMessage, message: Message) =>
          Effect.andThen(
            Effect.yieldNow,
            Effect.sync(() => note(error, message))
          )
      ]) {
        const { client, server } = yield* typed(
          WebSocketChannel.make({ fromClient: Ask, fromServer: Answer, onInvalid })
        )
        skipped.length = 0
        yield* client.sendAll(["{}", ask(1), "no", ask(2), new Uint8Array([1]), ask(3)])
        assert.deepStrictEqual(yield* server.receive, { ask: 1 })
        assert.deepStrictEqual(yield* server.receiveOption, Option.some({ ask: 2 }))
        assert.deepStrictEqual(Array.from(yield* server.receiveAll), [{ ask: 3 }])
        yield* client.sendAll(["{}", ask(4), "{}", ask(5)])
        const handled: Array<number> = []
        const running = yield* Effect.forkChild(server.run(({ ask }) => void handled.push(ask)))
        yield* settled
        assert.deepStrictEqual(handled, [4, 5])
        yield* Fiber.interrupt(running)
        assert.deepStrictEqual(
          skipped.map(([reason]) => reason),
          ["schema", "serialization", "kind", "schema", "schema"]
        )
      }
    })
  )

  it.effect("with a hook that throws is a defect of the next read, behind the values before it", () =>
    Effect.gen(function* () {
      const onInvalid = (): void => {
        throw new Error("hook")
      }
      const { client, server } = yield* typed(WebSocketChannel.make({ fromClient: Ask, fromServer: Answer, onInvalid }))
      const streamed: Array<number> = []
      for (const read of [
        Effect.map(server.receiveAll, (values) => streamed.push(...Array.from(values, ({ ask }) => ask))),
        Stream.runForEach(server.messages, ({ ask }) => Effect.sync(() => streamed.push(ask)))
      ]) {
        streamed.length = 0
        yield* client.sendAll([ask(1), ask(2), "{}"])
        const exits = [yield* Effect.exit(read), yield* Effect.exit(server.receive)]
        assert.deepStrictEqual(streamed, [1, 2])
        assert.isTrue(isDefect(exits[1]!))
        // The connection is free for another reader, which skips nothing.
        yield* server.webSocket.receive
      }
    })
  )

  it.effect("is an object that would change the prototype of what it decodes to", () =>
    Effect.gen(function* () {
      const Fields = Schema.recordOf(Schema.Unknown)
      const { client, server } = yield* typed(
        WebSocketChannel.make({ fromClient: Fields, fromServer: Fields, onInvalid: "fail" })
      )
      yield* client.sendAll([`{"a":1,"__proto__":{"admin":true}}`, `{"a":"__proto__"}`])
      assert.strictEqual((yield* Effect.flip(server.receive))._tag, "Invalid_message")
      assert.deepStrictEqual(yield* server.receive, { a: "__proto__" })
    })
  )

  it.effect("is what a recursive schema cannot follow, not a defect", () =>
    Effect.gen(function* () {
      const channel = WebSocketChannel.make({ fromClient: Schema.Nested, fromServer: Schema.Nested, onInvalid: "fail" })
      const { client, server } = yield* typed(channel)
      const depth = 100_000
      yield* client.send("[".repeat(depth) + "]".repeat(depth))
      const error = yield* Effect.flip(server.receive)
      assert.strictEqual(error._tag, "Invalid_message")
      let deep: Schema.Nested = []
      for (let level = 0; level < depth; level++) deep = [deep]
      assert.strictEqual((yield* Effect.flip(server.send(deep)))._tag, "Invalid_message")
      assert.isTrue(yield* server.isOpen)
    })
  )
})

describe("sending", () => {
  it.effect("encodes, one value or several", () =>
    Effect.gen(function* () {
      const { client, server } = yield* typed(Sums)
      yield* server.send({ answer: 1 })
      yield* server.sendAll([{ answer: 2 }, { answer: 3 }])
      yield* server.sendAll([])
      const got = [yield* client.receive, yield* client.receive, yield* client.receive]
      assert.deepStrictEqual(
        got.map(({ data }) => data),
        [`{"answer":1}`, `{"answer":2}`, `{"answer":3}`]
      )
    })
  )

  it.effect("a value that cannot be encoded fails typed, and nothing is sent", () =>
    Effect.gen(function* () {
      const Positive = Schema.filtered(Schema.Number, (value) => value > 0)
      const Checked = Schema.transformEffect(Schema.Number, Schema.Number, {
        decode: (value: number) => Effect.succeed(value),
        encode: (value: number) =>
          Effect.andThen(Effect.yieldNow, value > 0 ? Effect.succeed(value) : Effect.fail("negative"))
      })
      for (const schema of [Positive, Checked]) {
        const { client, server } = yield* typed(WebSocketChannel.make({ fromClient: schema, fromServer: schema }))
        for (const send of [server.send(-1), server.sendAll([1, -1, 2]), WebSocketChannel.broadcast([server], -1)]) {
          const error = yield* Effect.flip(send)
          assert(WebSocketChannel.isInvalidMessage(error))
          assert.deepStrictEqual([error.direction, error.reason], ["outbound", "schema"])
        }
        yield* server.sendAll([4, 5])
        yield* server.send(6)
        assert.strictEqual((yield* client.receive).data, "4")
        assert.strictEqual((yield* client.receive).data, "5")
        assert.strictEqual((yield* client.receive).data, "6")
      }
    })
  )

  it.effect("a value without JSON fails typed", () =>
    Effect.gen(function* () {
      const channel = WebSocketChannel.make({ fromClient: Schema.Unknown, fromServer: Schema.Unknown })
      const { server } = yield* typed(channel)
      const cyclic: Array<unknown> = []
      cyclic.push(cyclic)
      for (const value of [undefined, 1n, () => 1, cyclic]) {
        const error = yield* Effect.flip(server.send(value))
        assert(WebSocketChannel.isInvalidMessage(error))
        assert.deepStrictEqual([error.direction, error.reason], ["outbound", "serialization"])
      }
    })
  )

  it.effect("in `run` happens in place, and fails the run", () =>
    Effect.gen(function* () {
      const Positive = Schema.filtered(Schema.Number, (value) => value > 0)
      const { client, server } = yield* typed(
        WebSocketChannel.make({ fromClient: Schema.Number, fromServer: Positive })
      )
      const running = yield* Effect.forkChild(Effect.exit(server.run((value) => server.send(value))))
      yield* client.sendAll(["1", "2", "-1", "3"])
      assert.strictEqual(errorOf(yield* Fiber.join(running))?._tag, "Invalid_message")
      assert.strictEqual((yield* client.receive).data, "1")
      assert.strictEqual((yield* client.receive).data, "2")
    })
  )
})

class Offset extends Context.Service<Offset, { readonly gate: Effect.Effect<void>; readonly by: number }>()("Offset") {}

/** Decodes and encodes with a service, once the gate is open. */
const Shifted = Schema.transformEffect(Schema.Number, Schema.Number, {
  decode: (value: number) =>
    Effect.gen(function* () {
      const { by, gate } = yield* Offset
      yield* gate
      return value === 0 ? yield* Effect.fail("zero") : value + by
    }),
  encode: (value: number) => Effect.map(Offset, ({ by }) => value - by)
})
const Shifts = WebSocketChannel.make({ fromClient: Shifted, fromServer: Shifted, onInvalid: "fail" })

describe("a schema that waits", () => {
  const offset = (gate: Effect.Effect<void> = Effect.void) => Effect.provideService(Offset, { gate, by: 100 })

  it.effect("gets its services from the context of who reads and sends", () =>
    Effect.gen(function* () {
      const { client, server } = yield* typed(Shifts)
      yield* client.sendAll(["1", "2", "3", "4"])
      assert.strictEqual(yield* server.receive.pipe(offset(Effect.yieldNow)), 101)
      assert.deepStrictEqual(yield* server.receiveOption.pipe(offset()), Option.some(102))
      assert.deepStrictEqual(Array.from(yield* server.receiveAll.pipe(offset())), [103])
      const some = yield* Stream.runCollect(Stream.take(server.messages, 1)).pipe(offset())
      assert.deepStrictEqual(Array.from(some), [104])
      yield* server.sendAll([105, 106]).pipe(offset())
      yield* server.send(107).pipe(offset())
      for (const data of ["5", "6", "7"]) assert.strictEqual((yield* client.receive).data, data)
      const running = yield* Effect.forkChild(server.run((value) => server.send(value)).pipe(offset(Effect.yieldNow)))
      yield* client.sendAll(["8", "9"])
      for (const data of ["8", "9"]) assert.strictEqual((yield* client.receive).data, data)
      yield* client.send("0")
      assert.strictEqual(errorOf(yield* Effect.exit(Fiber.join(running)))?._tag, "Invalid_message")
    })
  )

  it.effect("that is interrupted loses no message: the next read decodes it again", () =>
    Effect.gen(function* () {
      const { client, server } = yield* typed(Shifts)
      yield* client.sendAll(["1", "2"])
      for (const read of [server.receive, server.receiveAll, server.run(() => {}), Stream.runDrain(server.messages)]) {
        const reading = yield* Effect.forkChild(read.pipe(offset(Effect.never)))
        yield* settled
        yield* Fiber.interrupt(reading)
      }
      assert.strictEqual(yield* server.receive.pipe(offset()), 101)
      assert.strictEqual(yield* server.receive.pipe(offset()), 102)
    })
  )

  it.effect("keeps its place as the reader meanwhile", () =>
    Effect.gen(function* () {
      const { client, server } = yield* typed(Shifts)
      const gate = yield* Deferred.make<void>()
      yield* client.send("1")
      const reading = yield* Effect.forkChild(server.receive.pipe(offset(Deferred.await(gate))))
      assert.isTrue(yield* isPending(reading))
      assert.isTrue(isDefect(yield* Effect.exit(server.receive.pipe(offset()))))
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Fiber.join(reading), 101)
    })
  )

  it.effect("whose connection is dropped meanwhile still delivers, and then the end", () =>
    Effect.gen(function* () {
      const { client, server } = yield* typed(Shifts)
      const gate = yield* Deferred.make<void>()
      yield* client.send("1")
      const reading = yield* Effect.forkChild(server.receive.pipe(offset(Deferred.await(gate))))
      yield* settled
      yield* server.abort
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Fiber.join(reading), 101)
      assert.strictEqual((yield* Effect.flip(server.receive.pipe(offset())))._tag, "Connection_closed")
    })
  )

  it.effect("that dies leaves the connection free for another reader", () =>
    Effect.gen(function* () {
      const { client, server } = yield* typed(Shifts)
      yield* client.send("1")
      const dying = Effect.uninterruptible(server.receive.pipe(offset(Effect.die("bug"))))
      assert.isTrue(isDefect(yield* Effect.exit(dying)))
      assert.strictEqual(yield* server.receive.pipe(offset()), 101)
    })
  )
})

describe("serializations", () => {
  it.effect("lines of JSON: a message has any number of values, and sendAll sends one", () =>
    Effect.gen(function* () {
      const channel = WebSocketChannel.make({
        fromClient: Ask,
        fromServer: Answer,
        serialization: Serialization.ndjson,
        onInvalid: "fail"
      })
      const { client, server } = yield* typed(channel)
      yield* client.sendAll(["", "\n \n", `${ask(1)}\n${ask(2)}\r\n\n${ask(3)}`, `${ask(4)}\n{}`, ask(5)])
      assert.deepStrictEqual(yield* server.receive, { ask: 1 })
      assert.deepStrictEqual(Array.from(yield* server.receiveAll), [{ ask: 2 }, { ask: 3 }])
      assert.strictEqual((yield* Effect.flip(server.receive))._tag, "Invalid_message")
      assert.deepStrictEqual(yield* server.receive, { ask: 5 })
      yield* server.sendAll([{ answer: 1 }, { answer: 2 }])
      yield* server.sendAll([])
      yield* server.send({ answer: 3 })
      assert.strictEqual((yield* client.receive).data, `{"answer":1}\n{"answer":2}\n`)
      assert.strictEqual((yield* client.receive).data, `{"answer":3}\n`)
    })
  )

  it.effect("MessagePack, in binary messages", () =>
    Effect.gen(function* () {
      const channel = WebSocketChannel.make({
        fromClient: Ask,
        fromServer: Answer,
        serialization: Serialization.messagePack(msgpackr),
        onInvalid: "fail"
      })
      const { client, server } = yield* typed(channel)
      yield* client.sendAll([msgpackr.encode({ ask: 1 }), "text", new Uint8Array([0x82, 0xa1]), new Uint8Array()])
      assert.deepStrictEqual(yield* server.receive, { ask: 1 })
      for (const reason of ["kind", "serialization", "serialization"] as const) {
        const error = yield* Effect.flip(server.receive)
        assert.strictEqual(WebSocketChannel.isInvalidMessage(error) && error.reason, reason)
      }
      yield* server.send({ answer: 2 })
      const { data } = yield* client.receive
      assert(typeof data !== "string")
      assert.deepStrictEqual(msgpackr.decode(data), { answer: 2 })
    })
  )

  it.effect("one of the app", () =>
    Effect.gen(function* () {
      const words = Serialization.text({
        name: "words",
        encode: (value) => (Array.isArray(value) ? value.join(" ") : ""),
        decode: (text) => text.split(" ")
      })
      const Words = Schema.Array(Schema.String)
      const { client, server } = yield* typed(
        WebSocketChannel.make({ fromClient: Words, fromServer: Words, serialization: words })
      )
      yield* client.send("a b")
      assert.deepStrictEqual(yield* server.receive, ["a", "b"])
      yield* server.send(["c", "d"])
      assert.strictEqual((yield* client.receive).data, "c d")
    })
  )
})

describe("an app", () => {
  const Chat = WebSocketChannel.protocols({
    "chat.v2": WebSocketChannel.make({ fromClient: Ask, fromServer: Answer }),
    "chat.v1": WebSocketChannel.make({ fromClient: Schema.Number, fromServer: Schema.Number })
  })

  layer(WebSocketTest.layer)((it) => {
    it.effect("is typed on both sides by one channel", () =>
      Effect.gen(function* () {
        yield* Layer.build(
          WebSocketChannel.layerRoute(Sums, {
            path: "/sums",
            check: (request) => Effect.succeed(UpgradeCheck.accept(request.path)),
            handler: (socket) =>
              socket.run(({ ask }) => socket.send({ answer: ask + socket.value.length + socket.request.path.length }))
          })
        )
        const socket = yield* WebSocketChannel.connect(Sums, "ws://test/sums")
        yield* socket.send({ ask: 1 })
        assert.deepStrictEqual(yield* socket.receive, { answer: 11 })
        yield* socket.close(1000, "done")
        assert.deepStrictEqual(outcome(yield* socket.closeStatus), [1000, 1000, "local", true])
      })
    )

    it.effect("selects a channel by subprotocol, the server's first choice", () =>
      Effect.gen(function* () {
        yield* Layer.build(
          WebSocketChannel.layerHandler(Chat, (socket) =>
            socket.protocol === "chat.v2"
              ? socket.run(({ ask }) => socket.send({ answer: ask }))
              : socket.run((ask) => socket.send(ask))
          )
        )
        const socket = yield* WebSocketChannel.connect(Chat, "ws://test")
        assert(socket.protocol === "chat.v2")
        yield* socket.send({ ask: 1 })
        assert.deepStrictEqual(yield* socket.receive, { answer: 1 })
        const old = yield* WebSocketChannel.client(
          Chat,
          yield* WebSocketClient.connect("ws://test", { protocols: ["chat.v1"] })
        )
        assert(old.protocol === "chat.v1")
        yield* old.send(2)
        assert.strictEqual(yield* old.receive, 2)
        const refused = yield* Effect.flip(WebSocketClient.connect("ws://test", { protocols: ["other"] }))
        assert.strictEqual(refused._tag === "Handshake_rejected" && refused.status, 400)
      })
    )
  })

  layer(WebSocketTest.layer)((it) => {
    it.effect("fails to connect to a server that selects none of the subprotocols", () =>
      Effect.gen(function* () {
        yield* Effect.forkScoped(WebSocketServer.run((socket) => socket.run(() => {})))
        const error = yield* Effect.flip(WebSocketChannel.connect(Chat, "ws://test"))
        assert.strictEqual(error._tag, "Protocol_error")
      })
    )
  })

  it.effect("broadcasts a value that is encoded once for each channel", () =>
    Effect.gen(function* () {
      let encodings = 0
      const Counted = Schema.transformEffect(Schema.Number, Schema.Number, {
        decode: (value: number) => Effect.succeed(value),
        encode: (value: number) => Effect.sync(() => (encodings++, value))
      })
      const One = WebSocketChannel.make({ fromClient: Counted, fromServer: Counted })
      const Two = WebSocketChannel.make({
        fromClient: Counted,
        fromServer: Counted,
        serialization: Serialization.ndjson
      })
      const connections = [yield* connected(), yield* connected(), yield* connected()]
      const sockets = yield* Effect.forEach(connections, ({ client }, index) =>
        WebSocketChannel.client(index < 2 ? One : Two, client)
      )
      yield* WebSocketChannel.broadcast(sockets, 7)
      const got = yield* Effect.forEach(connections, ({ server }) => Effect.map(server.receive, ({ data }) => data))
      assert.deepStrictEqual([encodings, got], [2, ["7", "7", "7\n"]])
      yield* WebSocketChannel.broadcast(new Set<(typeof sockets)[number]>(), 8)
      assert.strictEqual(encodings, 2)
    })
  )

  it.effect("publishes a value to a topic, encoded once for all members", () =>
    Effect.gen(function* () {
      let encodings = 0
      const Counted = Schema.transformEffect(Schema.Number, Schema.Number, {
        decode: (value: number) => (value > 0 ? Effect.succeed(value) : Effect.fail("negative")),
        encode: (value: number) => (value > 0 ? Effect.sync(() => (encodings++, value)) : Effect.fail("negative"))
      })
      const channel = WebSocketChannel.make({ fromClient: Ask, fromServer: Counted })
      const topics = yield* Topics.Topics
      const connections = [yield* connected(), yield* connected()]
      for (const { server } of connections) yield* topics.attach(server, "numbers")
      yield* topics.publish("numbers", yield* WebSocketChannel.encode(channel, 7))
      for (const { client } of connections) {
        const typed = yield* WebSocketChannel.client(channel, client)
        assert.strictEqual(yield* typed.receive, 7)
      }
      assert.strictEqual(encodings, 1)
      const error = yield* Effect.flip(WebSocketChannel.encode(channel, -1))
      assert.deepStrictEqual([error.direction, error.reason], ["outbound", "schema"])
    }).pipe(Effect.provide(Topics.layer()))
  )
})

describe("a reconnecting client", () => {
  const url = "ws://test/sums"

  /** Every test has a network and a clock of its own. */
  const withTest = <A, E>(
    test: Effect.Effect<
      A,
      E,
      WebSocketClient.WebSocketClient | WebSocketServer.WebSocketServer | WebSocketTest.WebSocketTest | Scope.Scope
    >
  ) => test.pipe(Effect.scoped, Effect.provide(Layer.fresh(WebSocketTest.layer)))

  const everySecond = { schedule: Schedule.spaced("1 second") }
  const accepted = Effect.flatMap(WebSocketServer.accept(), (socket) => WebSocketChannel.server(Sums, socket))

  it.effect("goes on over an outage: hooks, values and outcomes", () =>
    withTest(
      Effect.gen(function* () {
        const connections: Array<number> = []
        const socket = yield* WebSocketChannel.reconnecting(Sums, url, {
          ...everySecond,
          onConnect: (connection, number) => {
            connections.push(number)
            return connection.send({ ask: 100 * number })
          }
        })
        const outage = yield* Scope.make()
        const first = yield* Effect.provideService(accepted, Scope.Scope, outage)
        assert.deepStrictEqual(yield* first.receive, { ask: 100 })
        assert.strictEqual(yield* socket.send({ ask: 1 }), "delivered")
        assert.deepStrictEqual(yield* first.receive, { ask: 1 })
        yield* first.send({ answer: 1 })
        yield* socket.awaitOpen
        yield* settled
        yield* first.abort
        yield* settled

        const late = yield* Effect.forkChild(socket.send({ ask: 2 }, { validFor: "500 millis" }))
        const outcome = yield* socket.offer({ ask: 3 })
        yield* settled
        assert.strictEqual(yield* socket.waitingMessages, 2)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* Fiber.join(late), "dropped")
        const second = yield* accepted
        assert.deepStrictEqual(yield* second.receive, { ask: 200 })
        assert.deepStrictEqual(yield* second.receive, { ask: 3 })
        assert.strictEqual(yield* outcome, "delivered")
        yield* second.sendAll([{ answer: 2 }, { answer: 3 }])
        assert.deepStrictEqual(yield* socket.receive, { answer: 1 })
        assert.deepStrictEqual(yield* socket.receiveOption, Option.some({ answer: 2 }))
        const rest = yield* Effect.forkChild(Stream.runCollect(socket.messages))
        yield* settled
        yield* second.close()
        assert.deepStrictEqual([...(yield* Fiber.join(rest))], [{ answer: 3 }])
        assert.deepStrictEqual(connections, [1, 2])
        assert.deepStrictEqual(yield* socket.state.get, { _tag: "Closed", failure: undefined })
        yield* socket.close()
        assert.strictEqual(yield* socket.send({ ask: 4 }), "dropped")
      })
    )
  )

  it.effect("sends nothing of a value that cannot be encoded", () =>
    withTest(
      Effect.gen(function* () {
        const socket = yield* WebSocketChannel.reconnecting(Sums, url)
        const server = yield* accepted
        const wrong = { ask: "secret" } as object as { readonly ask: number }
        for (const attempt of [Effect.asVoid(socket.send(wrong)), Effect.asVoid(socket.offer(wrong))]) {
          const error = yield* Effect.flip(attempt)
          assert.isTrue(WebSocketChannel.isInvalidMessage(error))
          assert.notInclude(JSON.stringify(error), "secret")
        }
        yield* socket.send({ ask: 1 })
        assert.deepStrictEqual(yield* server.receive, { ask: 1 })
      })
    )
  )

  it.effect("an invalid message ends it by default, behind the values before it", () =>
    withTest(
      Effect.gen(function* () {
        const socket = yield* WebSocketChannel.reconnecting(Sums, url, everySecond)
        const server = yield* WebSocketServer.accept()
        yield* server.sendAll([`{"answer":1}`, "no JSON", `{"answer":2}`])
        assert.deepStrictEqual(yield* socket.receive, { answer: 1 })
        assert.strictEqual((yield* Effect.flip(socket.receive))._tag, "Protocol_error")
        const { received } = yield* server.closeStatus
        assert.strictEqual(received?.code, 1007)
      })
    )
  )

  it.effect("with the policy to fail, `classify` decides", () =>
    withTest(
      Effect.gen(function* () {
        const Strict = WebSocketChannel.make({ fromClient: Ask, fromServer: Answer, onInvalid: "fail" })
        const failures: Array<string> = []
        const socket = yield* WebSocketChannel.reconnecting(Strict, url, {
          ...everySecond,
          classify: (failure) => {
            failures.push(failure._tag)
            return failures.length === 1 ? "reconnect" : "fail"
          }
        })
        const first = yield* WebSocketServer.accept()
        yield* first.sendAll([`{"answer":1}`, new Uint8Array([1])])
        assert.strictEqual((yield* first.closeStatus).received?.code, 1003)
        yield* TestClock.adjust("1 second")
        const second = yield* WebSocketServer.accept()
        yield* second.sendAll([`{"answer":2}`, "no JSON"])
        assert.deepStrictEqual(yield* socket.receive, { answer: 1 })
        assert.deepStrictEqual(yield* socket.receive, { answer: 2 })
        assert.isTrue(WebSocketChannel.isInvalidMessage(yield* Effect.flip(socket.receive)))
        assert.deepStrictEqual(failures, ["Invalid_message", "Invalid_message"])
        assert.strictEqual((yield* second.closeStatus).received?.code, 1007)
      })
    )
  )

  it.effect("a function skips an invalid message, and `onConnect` leaves later values of a message to readers", () =>
    withTest(
      Effect.gen(function* () {
        const skipped: Array<string> = []
        const Lines = WebSocketChannel.make({
          fromClient: Ask,
          fromServer: Schema.NullOr(Schema.Number),
          serialization: Serialization.ndjson,
          onInvalid: ({ reason }) => void skipped.push(reason)
        })
        const socket = yield* WebSocketChannel.reconnecting(Lines, url, {
          onConnect: (connection) => connection.receive
        })
        const server = yield* WebSocketServer.accept()
        yield* server.sendAll(["1\n2\n", `"x"`, "null"])
        assert.strictEqual(yield* socket.receive, 2)
        assert.isNull(yield* socket.receive)
        assert.deepStrictEqual(skipped, ["schema"])
      })
    )
  )
})
