import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import { DurableObjectWebSockets } from "@effect-websocket/platform/workers"
import type { CloseStatus } from "@effect-websocket/platform/WebSocket"
import { Context, Deferred, Effect, Layer, Logger, Schema } from "../effect/index.js"
import { assert, describe, it, vi } from "../effect/vitest.js"
import { FakeContext, FakeWebSocket } from "./FakeDurableObject.js"
import { FakeResponse, stubWorkers, upgradeRequest } from "./stubWorkers.js"

stubWorkers(FakeWebSocket)

const State = Schema.Struct({ name: Schema.String, count: Schema.Number })
type State = typeof State.Type
type Socket = DurableObjectWebSockets.Socket<State>

const nameOf = (request: UpgradeCheck.Request): string => String(request.query["name"])

/** A Durable Object, which can sleep, and what the platform keeps of it. */
const makeObject = (
  own: Partial<DurableObjectWebSockets.Options<State, State, never, never, never, never>> & {
    readonly layer?: Layer.Layer<never, unknown>
  } = {}
) => {
  const context = new FakeContext()
  const logged: Array<string> = []
  const logger = Logger.layer([
    Logger.make((entry) => {
      const text = [entry.message].flat().map(String).join(" ")
      logged.push(`${Logger.levelOf(entry)} ${text}`)
    })
  ])
  const make = () =>
    DurableObjectWebSockets.make(context, {
      state: State,
      check: (request) => Effect.succeed(UpgradeCheck.accept({ name: nameOf(request), count: 0 })),
      layer: logger,
      ...own
    })
  const object = { current: make() }
  const connect = async (path = "/?name=a", headers: Record<string, string> = {}) => {
    const before = new Set(context.accepted.keys())
    const response: unknown = await object.current.fetch(upgradeRequest(path, headers))
    assert.instanceOf(response, FakeResponse)
    const socket = [...context.accepted.keys()].find((each) => !before.has(each))
    await Promise.all(context.waiting)
    return { response, socket }
  }
  const open = async (path?: string, headers?: Record<string, string>) => {
    const { response, socket } = await connect(path, headers)
    assert.strictEqual(response.status, 101, response.body ?? "")
    assert.instanceOf(socket, FakeWebSocket)
    return socket
  }
  return {
    context,
    logged,
    connect,
    open,
    sleep: () => void (object.current = make()),
    say: (socket: FakeWebSocket, text: string | ArrayBuffer) => object.current.webSocketMessage(socket, text),
    end: (socket: FakeWebSocket, code: number, reason = "", wasClean = true) =>
      object.current.webSocketClose(socket, code, reason, wasClean),
    fail: (socket: FakeWebSocket, error: unknown) => object.current.webSocketError(socket, error),
    sockets: () => object.current
  }
}

const count = (socket: Socket) =>
  Effect.gen(function* () {
    const { count, name } = yield* socket.state
    yield* socket.setState({ name, count: count + 1 })
    yield* socket.send(`${name} ${count + 1}`)
  })

describe("DurableObjectWebSockets", () => {
  describe("fetch", () => {
    it("accepts with the state, the subprotocol, the headers and the tags", async () => {
      const object = makeObject({
        protocols: ["chat.v2", "chat.v1"],
        check: (request) =>
          Effect.succeed(
            UpgradeCheck.accept(
              { name: nameOf(request), count: 0 },
              { headers: { "Set-Cookie": ["a=1", "b=2"], "X-Test": "1" } }
            )
          ),
        tags: ({ name }, { path }) => [name, path],
        onOpen: (socket) => socket.send(`${socket.protocol} ${socket.tags.join()}`)
      })
      const { response, socket } = await object.connect("/room?name=b", { "Sec-WebSocket-Protocol": "chat.v1, other" })
      assert.deepStrictEqual(
        [response.status, response.headers.get("sec-websocket-protocol"), response.headers.get("x-test")],
        [101, "chat.v1", "1"]
      )
      assert.deepStrictEqual(response.headers.getSetCookie(), ["a=1", "b=2"])
      // Workers write these.
      for (const name of ["connection", "upgrade", "sec-websocket-accept"]) {
        assert.isNull(response.headers.get(name), name)
      }
      assert.instanceOf(response.webSocket, FakeWebSocket)
      assert.deepStrictEqual(socket?.sent, ["chat.v1 b,/room"])
    })

    it("refuses by the check, the origin or the handshake, and takes nothing over", async () => {
      const object = makeObject({
        check: ({ path }) =>
          path === "/fails"
            ? Effect.fail(UpgradeCheck.reject(401, { headers: { "X-Why": "unknown" } }))
            : Effect.succeed(UpgradeCheck.reject(403, { body: "no" }))
      })
      const statusOf = async (path: string, headers: Record<string, string> = {}) =>
        (await object.connect(path, headers)).response.status
      const { response } = await object.connect("/")
      assert.deepStrictEqual([response.status, response.body], [403, "no\n"])
      assert.strictEqual((await object.connect("/fails")).response.headers.get("x-why"), "unknown")
      assert.strictEqual(await statusOf("/", { Origin: "https://other" }), 403)
      assert.strictEqual(await statusOf("/", { "Sec-WebSocket-Version": "8" }), 426)
      assert.strictEqual(await statusOf("/", { "Sec-WebSocket-Key": "short" }), 400)
      const plain: unknown = await object
        .sockets()
        .fetch({ method: "GET", url: "https://test/", headers: new Headers() })
      assert.propertyVal(Object(plain), "status", 426)
      assert.strictEqual(object.context.accepted.size, 0)
    })

    it("takes a request of a Worker, which has the header Upgrade only", async () => {
      const object = makeObject({ check: ({ host }) => Effect.succeed(UpgradeCheck.accept({ name: host, count: 0 })) })
      const headers = new Headers({ Upgrade: "websocket" })
      const response: unknown = await object.sockets().fetch({ method: "GET", url: "https://test/", headers })
      assert.propertyVal(Object(response), "status", 101)
    })

    it("answers 500 for a check that dies, an invalid answer and a state that does not fit", async () => {
      const checks: Record<string, () => Effect.Effect<UpgradeCheck.Accept<State> | UpgradeCheck.Reject>> = {
        "/throws": () => {
          throw new Error("on purpose")
        },
        "/dies": () => Effect.die("on purpose"),
        "/status": () => Effect.succeed(UpgradeCheck.reject(200)),
        "/protocol": () => Effect.succeed(UpgradeCheck.accept({ name: "a", count: 0 }, { protocol: "other" })),
        "/options": () =>
          Effect.succeed(UpgradeCheck.accept({ name: "a", count: 0 }, { options: { maxFrameSize: 1 } })),
        "/large": () => Effect.succeed(UpgradeCheck.accept({ name: "x".repeat(2049), count: 0 })),
        "/tags": () => Effect.succeed(UpgradeCheck.accept({ name: "a", count: 11 }))
      }
      const object = makeObject({
        check: ({ path }) => checks[path]!(),
        tags: ({ count }) => Array.from({ length: count }, String)
      })
      for (const path of Object.keys(checks)) {
        const { response } = await object.connect(path, { "Sec-WebSocket-Protocol": "chat" })
        assert.strictEqual(response.status, 500, path)
      }
      assert.strictEqual(object.context.accepted.size, 0)
      assert.deepStrictEqual(
        object.logged.map((line) => line.split(" ")[0]),
        Object.keys(checks).map(() => "ERROR")
      )
    })

    it("answers 503 if the check takes too long, even if it cannot be interrupted", async () => {
      const object = makeObject({ handshakeTimeout: "1 millis", check: () => Effect.uninterruptible(Effect.never) })
      const { response } = await object.connect()
      assert.deepStrictEqual([response.status, response.headers.get("retry-after")], [503, "5"])
    })

    it("interrupts the check if the client goes away", async () => {
      const interrupted = Deferred.makeUnsafe<void>()
      const started = Deferred.makeUnsafe<void>()
      const object = makeObject({
        check: () =>
          Effect.onInterrupt(Effect.andThen(Deferred.succeed(started, undefined), Effect.never), () =>
            Deferred.succeed(interrupted, undefined)
          )
      })
      const controller = new AbortController()
      const answered = object.sockets().fetch(upgradeRequest("/", {}, controller.signal))
      await Effect.runPromise(Deferred.await(started))
      controller.abort()
      await Effect.runPromise(Deferred.await(interrupted))
      await answered
      assert.strictEqual(object.context.accepted.size, 0)
    })
  })

  describe("state", () => {
    it("survives a sleep between two messages", async () => {
      const object = makeObject({ onMessage: count, protocols: ["chat"] })
      const socket = await object.open("/?name=a", { "Sec-WebSocket-Protocol": "chat" })
      await object.say(socket, "1")
      object.sleep()
      await object.say(socket, "2")
      assert.deepStrictEqual(socket.sent, ["a 1", "a 2"])
    })

    it("is refused above 2,048 bytes, and the old one is kept", async () => {
      const object = makeObject({
        onMessage: (socket, { data }) =>
          socket.setState({ name: "x".repeat(Number(data)), count: 0 }).pipe(
            Effect.matchEffect({
              onFailure: ({ message }) => socket.send(message),
              onSuccess: () => Effect.void
            }),
            Effect.andThen(socket.state),
            Effect.flatMap(({ name }) => socket.send(String(name.length)))
          )
      })
      const socket = await object.open()
      // Around the name: 11 bytes of the clone, and 36 of JSON with the code of a Close.
      for (const size of ["2001", "2002"]) await object.say(socket, size)
      assert.deepStrictEqual(socket.sent, [
        "2001",
        "The state of the connection takes 2049 bytes, with the subprotocol; 2048 are allowed",
        "2001"
      ])
      object.sleep()
      await object.say(socket, "0")
      assert.strictEqual(socket.sent.at(-1), "0")
    })

    it("is refused if the platform keeps less", async () => {
      const object = makeObject({
        onMessage: (socket) =>
          Effect.flatMap(Effect.flip(socket.setState({ name: "a", count: 1 })), ({ reason }) => socket.send(reason))
      })
      const socket = await object.open()
      socket.maxAttachment = 10
      await object.say(socket, "")
      assert.deepStrictEqual(socket.sent, ["size"])
    })

    it("is refused if JSON would change it, or has no JSON", async () => {
      const refused = async (state: number) => {
        const object = makeObject({
          onMessage: (socket) =>
            Effect.flatMap(
              Effect.flip(socket.setState({ name: "a", count: state })),
              ({ message, operation, reason }) => socket.send(`${operation} ${reason} ${message}`)
            )
        })
        const socket = await object.open()
        await object.say(socket, "")
        return socket.sent[0]
      }
      assert.include(await refused(Number.NaN), "encode schema")
      assert.include(await refused(Object(1n)), "encode schema")
    })

    it("of an old schema closes with 1011, and no handler runs", async () => {
      const handled: Array<string> = []
      const note = (what: string) => () => Effect.sync(() => handled.push(what))
      const object = makeObject({ onMessage: note("message"), onClose: note("close") })
      for (const attached of [
        { name: "a" },
        null,
        new TextEncoder().encode("{"),
        new TextEncoder().encode('{"s":{}}')
      ]) {
        const socket = await object.open()
        object.sleep()
        socket.serializeAttachment(attached)
        await Promise.all([object.say(socket, "1"), object.say(socket, "2"), object.end(socket, 1011)])
        assert.deepStrictEqual(socket.closes, [[1011, ""]])
      }
      assert.deepStrictEqual(handled, [])
      assert.deepStrictEqual(
        new Set(object.logged.map((line) => line.slice(0, 45))),
        new Set(["WARN The state of a connection cannot be read"])
      )
      assert.strictEqual(object.logged.length, 4)
    })

    it("can be any schema, also one that waits", async () => {
      const context = new FakeContext()
      const Slow = Schema.transformEffect(Schema.String, Schema.Number, {
        decode: (text) => Effect.as(Effect.yieldNow, Number(text)),
        encode: (number) => Effect.as(Effect.yieldNow, String(number))
      })
      const make = () =>
        DurableObjectWebSockets.make(context, {
          state: Slow,
          check: () => Effect.succeed(UpgradeCheck.accept(1)),
          onMessage: (socket) =>
            Effect.flatMap(socket.state, (state) =>
              Effect.andThen(socket.setState(state + 1), socket.send(String(state)))
            )
        })
      await make().fetch(upgradeRequest("/"))
      const [socket] = context.accepted.keys()
      assert.instanceOf(socket, FakeWebSocket)
      const object = make()
      await Promise.all([object.webSocketMessage(socket, ""), object.webSocketMessage(socket, "")])
      assert.deepStrictEqual(socket.sent, ["1", "2"])
    })
  })

  describe("events", () => {
    it("of one connection run in order, those of others do not wait", async () => {
      const gate = Deferred.makeUnsafe<void>()
      const handled: Array<string> = []
      const object = makeObject({
        onMessage: (socket, { data }) =>
          Effect.gen(function* () {
            const { name } = yield* socket.state
            handled.push(`${name} begins ${String(data)}`)
            if (data === "wait") yield* Deferred.await(gate)
            handled.push(`${name} ends ${String(data)}`)
          }),
        onClose: (socket) => Effect.map(socket.state, ({ name }) => handled.push(`${name} closes`))
      })
      const slow = await object.open("/?name=slow")
      const other = await object.open("/?name=other")
      const all = Promise.all([object.say(slow, "wait"), object.say(slow, "next"), object.end(slow, 1000)])
      await object.say(other, "fast")
      assert.deepStrictEqual(handled, ["slow begins wait", "other begins fast", "other ends fast"])
      // The answer to the Close waits for the answers to the messages before it.
      assert.deepStrictEqual(slow.closes, [])
      await Effect.runPromise(Deferred.succeed(gate, undefined))
      await all
      assert.deepStrictEqual(handled.slice(3), ["slow ends wait", "slow begins next", "slow ends next", "slow closes"])
      assert.deepStrictEqual(slow.closes, [[1000, ""]])
    })

    it("wait for onOpen", async () => {
      const gate = Deferred.makeUnsafe<void>()
      const object = makeObject({
        onOpen: (socket) => Effect.andThen(Deferred.await(gate), socket.send("welcome")),
        onMessage: (socket, message) => socket.send(message)
      })
      const response: unknown = await object.sockets().fetch(upgradeRequest("/"))
      assert.propertyVal(Object(response), "status", 101)
      const [socket] = object.context.accepted.keys()
      assert.instanceOf(socket, FakeWebSocket)
      const said = object.say(socket, "early")
      assert.deepStrictEqual(socket.sent, [])
      await Effect.runPromise(Deferred.succeed(gate, undefined))
      await said
      assert.deepStrictEqual(socket.sent, ["welcome", "early"])
    })

    it("keep binary messages binary", async () => {
      const object = makeObject({ onMessage: (socket, message) => socket.send(message) })
      const socket = await object.open()
      await object.say(socket, Uint8Array.of(1, 2).buffer)
      assert.deepStrictEqual(socket.sent, [Uint8Array.of(1, 2)])
    })

    it("that wait are bounded, and the connection closes with 1009 at once", async () => {
      const [started, gate] = [Deferred.makeUnsafe<void>(), Deferred.makeUnsafe<void>()]
      const handled: Array<unknown> = []
      const ends: Array<CloseStatus> = []
      const object = makeObject({
        maxUnreadBytes: 1000,
        onMessage: (_, { data }) =>
          Effect.gen(function* () {
            handled.push(data)
            yield* Deferred.succeed(started, undefined)
            yield* Deferred.await(gate)
          }),
        onClose: (_, status) => Effect.sync(() => ends.push(status))
      })
      const socket = await object.open()
      const first = object.say(socket, "first")
      await Effect.runPromise(Deferred.await(started))
      const rest = Array.from({ length: 3 }, () => object.say(socket, "x".repeat(400)))
      assert.deepStrictEqual(socket.closes, [[1009, ""]])
      await Effect.runPromise(Deferred.succeed(gate, undefined))
      await Promise.all([first, ...rest, object.end(socket, 1009)])
      // What waited is dropped, because it could not be answered.
      assert.deepStrictEqual(handled, ["first"])
      assert.deepInclude({ ...ends[0]?.error }, { _tag: "Payload_too_large", limit: "unread" })
    })

    it("of a message that is too large come after those before it", async () => {
      const object = makeObject({
        limits: { maxMessageBytes: 5 },
        onMessage: (socket, message) => socket.send(message)
      })
      const socket = await object.open()
      await Promise.all(["small", "too large", "late"].map((text) => object.say(socket, text)))
      assert.deepStrictEqual(socket.sent, ["small"])
      assert.deepStrictEqual(socket.closes, [[1009, ""]])
    })

    it("that fail close with 1011, and are logged", async () => {
      const object = makeObject({
        onMessage: (_, { data }) => (data === "die" ? Effect.die(new Error("on purpose")) : Effect.fail("on purpose")),
        onClose: () => Effect.die(new Error("on purpose"))
      })
      for (const text of ["die", "fail"]) {
        const socket = await object.open()
        await Promise.all([object.say(socket, text), object.say(socket, text)])
        assert.deepStrictEqual(socket.closes, [[1011, ""]])
        await object.end(socket, 1011)
      }
      assert.deepStrictEqual(
        object.logged.map((line) => line.split(" ")[0]),
        ["ERROR", "ERROR", "WARN", "ERROR"]
      )
    })

    it("whose handler throws close with 1011, too", async () => {
      const object = makeObject({
        onOpen: () => {
          throw new Error("on purpose")
        }
      })
      const socket = await object.open()
      assert.deepStrictEqual(socket.closes, [[1011, ""]])
    })
  })

  describe("closing", () => {
    const ending = () => {
      const ends: Array<unknown> = []
      const object = makeObject({
        onMessage: (socket, { data }) =>
          socket.close(4321, String(data)).pipe(
            Effect.andThen(socket.close()),
            Effect.andThen(Effect.flip(socket.send("late"))),
            Effect.map((error) => ends.push({ ...error }))
          ),
        onClose: (socket, { clean, error, initiator, received, sent }) =>
          Effect.map(socket.isOpen, (open) =>
            ends.push([initiator, sent?.code, received?.code, clean, Reflect.get(error, "code"), open])
          )
      })
      return { object, ends }
    }

    it("by the handler sends its code once, and then nothing", async () => {
      const { ends, object } = ending()
      const socket = await object.open()
      await Promise.all([object.say(socket, "bye"), object.say(socket, "again")])
      assert.deepStrictEqual([socket.closes, socket.sent], [[[4321, "bye"]], []])
      assert.deepInclude(Object(ends[0]), { code: 4321, reason: "bye", initiator: "local" })
      await object.end(socket, 4321)
      assert.deepStrictEqual(ends.slice(1), [["local", 4321, 4321, true, 4321, false]])
    })

    it("is remembered by an object that sleeps meanwhile", async () => {
      const { ends, object } = ending()
      const socket = await object.open()
      await object.say(socket, "bye")
      object.sleep()
      await object.say(socket, "dropped")
      assert.deepStrictEqual(await object.sockets().run(object.sockets().room.sockets()), [])
      await object.end(socket, 4321)
      assert.deepStrictEqual(ends.slice(1), [["local", 4321, 4321, true, 4321, false]])
    })

    it("by the peer is answered with its code, or without one", async () => {
      const { ends, object } = ending()
      const [first, second] = [await object.open(), await object.open()]
      await object.end(first, 3456, "why")
      object.sleep()
      await object.end(second, 1005)
      assert.deepStrictEqual([first.closes, second.closes], [[[3456, "why"]], [[undefined, undefined]]])
      assert.deepStrictEqual(ends, [
        ["remote", 3456, 3456, true, 3456, false],
        ["remote", 1005, 1005, true, 1005, false]
      ])
    })

    it("without a Close is reported as 1006, once", async () => {
      const { ends, object } = ending()
      const [first, second] = [await object.open(), await object.open()]
      await Promise.all([object.end(first, 1006, "", false), object.fail(first, new Error("broken"))])
      await object.fail(second, new Error("broken"))
      const expected = ["remote", undefined, undefined, false, 1006, false]
      assert.deepStrictEqual(ends, [expected, expected])
    })

    it("refuses codes and reasons that a Close cannot have", async () => {
      const tags: Array<string> = []
      const object = makeObject({
        onMessage: (socket) =>
          Effect.forEach([socket.close(1006), socket.close(1000, "x".repeat(124))], (closing) =>
            Effect.map(Effect.flip(closing), ({ _tag }) => tags.push(_tag))
          )
      })
      const socket = await object.open()
      await object.say(socket, "")
      assert.deepStrictEqual([tags, socket.closes], [["Protocol_error", "Payload_too_large"], []])
    })

    it("fails to send on a connection that the platform has lost", async () => {
      const errors: Array<unknown> = []
      const object = makeObject({
        onMessage: (socket) => Effect.map(Effect.flip(socket.send("late")), (error) => errors.push({ ...error }))
      })
      const socket = await object.open()
      socket.readyState = 3
      await object.say(socket, "")
      socket.readyState = 1
      socket.closes.push([1000, ""])
      await object.say(socket, "")
      assert.deepInclude(Object(errors[0]), { _tag: "Connection_closed", code: 1006 })
      assert.deepInclude(Object(errors[1]), { _tag: "Io_error", operation: "write" })
    })
  })

  describe("room", () => {
    it("has the open connections by tag, and sends to them, also after a sleep", async () => {
      const object = makeObject({
        tags: ({ name }) => [name],
        onMessage: (socket, { data }) => socket.room.broadcast(data, { except: socket })
      })
      const [a, b, c] = [await object.open("/?name=a"), await object.open("/?name=b"), await object.open("/?name=b")]
      object.sleep()
      await object.say(a, "hello")
      assert.deepStrictEqual([a.sent, b.sent, c.sent], [[], ["hello"], ["hello"]])
      b.serializeAttachment(null)
      const { room, run } = object.sockets()
      const names = await run(
        Effect.flatMap(room.sockets("b"), (sockets) => Effect.forEach(sockets, ({ state }) => state))
      )
      assert.deepStrictEqual(names, [{ name: "b", count: 0 }])
      // Its state could not be read.
      assert.deepStrictEqual(b.closes, [[1011, ""]])
      await run(room.broadcast("bye", { tag: "b" }))
      assert.deepStrictEqual([a.sent, b.sent, c.sent], [[], ["hello"], ["hello", "bye"]])
    })

    it("has the time of the last answer of the platform", async () => {
      const autoResponse = { request: "ping", response: "pong" }
      const object = makeObject({
        autoResponse,
        onMessage: (socket) => Effect.flatMap(socket.autoRespondedAt, ({ _tag }) => socket.send(_tag))
      })
      assert.deepInclude(Object(object.context.autoResponse), autoResponse)
      const socket = await object.open()
      await object.say(socket, "")
      object.context.answeredAt = new Date()
      await object.say(socket, "")
      assert.deepStrictEqual(socket.sent, ["None", "Some"])
    })
  })

  describe("services", () => {
    class Greeting extends Context.Service<Greeting, string>()("test/Greeting") {}

    it("are made once, and again if that failed", async () => {
      const context = new FakeContext()
      let attempts = 0
      const layer = Layer.effect(
        Greeting,
        Effect.suspend(() => (attempts++ === 0 ? Effect.fail("not yet") : Effect.succeed("hello")))
      )
      const object = DurableObjectWebSockets.make(context, {
        state: Schema.Null,
        check: () => Effect.succeed(UpgradeCheck.accept(null)),
        onMessage: (socket) => Effect.flatMap(Greeting, (greeting) => socket.send(greeting)),
        layer: Layer.provideMerge(layer, Logger.layer([]))
      })
      const status = async () => Reflect.get(Object(await object.fetch(upgradeRequest("/"))), "status")
      assert.deepStrictEqual([await status(), await status()], [500, 101])
      const [socket] = context.accepted.keys()
      assert.instanceOf(socket, FakeWebSocket)
      await object.webSocketMessage(socket, "")
      assert.deepStrictEqual([socket.sent, attempts], [["hello"], 2])
      assert.strictEqual(await object.run(Effect.map(Greeting, (greeting) => greeting.length)), 5)
    })

    it("that fail close the connection of the event with 1011", async () => {
      const log = vi.spyOn(console, "log").mockReturnValue(undefined)
      const object = makeObject({ onMessage: count })
      const socket = await object.open()
      const broken = DurableObjectWebSockets.make(object.context, {
        state: State,
        check: () => Effect.succeed(UpgradeCheck.reject(403)),
        onMessage: count,
        layer: Layer.effectDiscard(Effect.fail("on purpose"))
      })
      await broken.webSocketMessage(socket, "")
      assert.deepStrictEqual([socket.sent, socket.closes], [[], [[1011, ""]]])
      assert.strictEqual(log.mock.calls.length, 1)
      log.mockRestore()
    })

    it("run an effect whose failure rejects", async () => {
      const failed = makeObject()
        .sockets()
        .run(Effect.fail(new Error("on purpose")))
      assert.propertyVal(Object(await failed.catch((error: unknown) => error)), "message", "on purpose")
    })
  })

  it("throws for options that make no sense", () => {
    for (const options of [{ maxUnreadBytes: 0 }, { limits: { maxMessageBytes: -1 } }, { protocols: ["a b"] }]) {
      assert.throws(() => makeObject(options), RangeError)
    }
  })
})
