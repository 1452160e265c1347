import type * as MockPeer from "@effect-websocket/platform/MockPeer"
import * as StandardWebSocket from "@effect-websocket/platform/StandardWebSocket"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import type * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import * as Frame from "@effect-websocket/protocol/Frame"
import { runInNewContext } from "node:vm"
import { WebSocketConstructorTag } from "../src/internal/webSocketConstructor.js"
import { collectGarbage } from "./collectGarbage.js"
import { Context, Effect, Exit, Fiber, Layer, Queue, Scope, TestClock } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import { finalizersIn, latin1, settled, settledLate } from "./support.js"

const url = "ws://test/chat"

/** Every test has a network of its own. */
const withTest = <A, E>(
  test: Effect.Effect<
    A,
    E,
    WebSocketClient.WebSocketClient | WebSocketServer.WebSocketServer | WebSocketTest.WebSocketTest | Scope.Scope
  >
) => test.pipe(Effect.scoped, Effect.provide(Layer.fresh(WebSocketTest.layer)))

/** An event on one line: `open`, `message hello`, `error The URL ...`, `close 1000 bye, clean`. */
const show = (event: Event): string => {
  if ("data" in event)
    return `message ${event.data instanceof ArrayBuffer ? latin1(new Uint8Array(event.data)) : event.data}`
  if ("code" in event && "reason" in event && "wasClean" in event) {
    return `close ${event.code} ${event.reason}${event.wasClean ? ", clean" : ""}`
  }
  return "message" in event ? `error ${event.message}` : event.type
}

/** The events of a socket, in order. */
const watch = (socket: StandardWebSocket.StandardWebSocket) =>
  Effect.map(Queue.unbounded<Event>(), (seen) => {
    for (const type of ["open", "message", "error", "close"]) {
      socket.addEventListener(type, (event) => void Queue.offerUnsafe(seen, event))
    }
    return { socket, event: Queue.take(seen), next: Effect.map(Queue.take(seen), show), more: Queue.size(seen) }
  })

const connect = (options?: StandardWebSocket.Options, protocols?: string | ReadonlyArray<string>) =>
  Effect.flatMap(StandardWebSocket.make(options), (WebSocket) => watch(new WebSocket(url, protocols)))

/** A socket that is open, and its peer. */
const opened = (options?: StandardWebSocket.Options) =>
  Effect.gen(function* () {
    const watched = yield* connect(options)
    const peer = yield* WebSocketTest.acceptPeer()
    assert.strictEqual(yield* watched.next, "open")
    return { ...watched, peer }
  })

const textFrom = (peer: MockPeer.MockPeer) => Effect.map(peer.receive, ({ payload }) => latin1(payload))

/** The name of what a function throws. */
const thrownBy = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    return error instanceof Error ? error.name : "something else"
  }
  return "nothing"
}

describe("the constructor", () => {
  it.effect("passes the options, the subprotocols and the URL to the client", () =>
    withTest(
      Effect.gen(function* () {
        const { next, socket } = yield* connect({ headers: { "X-Test": "1" } }, ["chat.v2", "chat.v1"])
        const attempt = yield* WebSocketTest.nextAttempt
        assert.strictEqual(attempt.request.url, "/chat")
        assert.deepInclude(attempt.request.headers, { "x-test": "1", "sec-websocket-protocol": "chat.v2, chat.v1" })
        yield* attempt.accept({ protocol: "chat.v1" })
        assert.strictEqual(yield* next, "open")
        assert.strictEqual(socket.protocol, "chat.v1")
        assert.strictEqual(socket.url, url)
      })
    )
  )

  it.effect("offers no subprotocols of the client's", () =>
    withTest(
      Effect.gen(function* () {
        const client = yield* WebSocketClient.WebSocketClient
        const offering: WebSocketClient.Service = {
          connect: (input, options) => client.connect(input, { ...options, protocols: options?.protocols ?? ["chat"] })
        }
        yield* Effect.provideService(connect(), WebSocketClient.WebSocketClient, offering)
        const { request } = yield* WebSocketTest.nextAttempt
        assert.notProperty(request.headers, "sec-websocket-protocol")
      })
    )
  )

  it.effect("resolves a relative URL with a base only", () =>
    withTest(
      Effect.gen(function* () {
        const WithoutBase = yield* StandardWebSocket.make()
        assert.strictEqual(
          thrownBy(() => new WithoutBase("/chat")),
          "SyntaxError"
        )
        const WithBase = yield* StandardWebSocket.make({ baseUrl: "https://test/app/" })
        assert.strictEqual(new WithBase("chat?x").url, "wss://test/app/chat?x")
      })
    )
  )

  it.effect("converts all arguments before it checks one", () =>
    withTest(
      Effect.gen(function* () {
        const WebSocket = yield* StandardWebSocket.make()
        const broken = {
          toString: () => {
            throw new RangeError("a mistake")
          }
        }
        const cases: ReadonlyArray<readonly [args: ReadonlyArray<unknown>, error: string]> = [
          [[Symbol("x")], "TypeError"],
          [[broken], "RangeError"],
          [["malformed", Symbol("x")], "TypeError"],
          [["malformed", ["a", broken]], "RangeError"],
          [["malformed", "no token"], "SyntaxError"]
        ]
        for (const [args, error] of cases) {
          assert.strictEqual(
            thrownBy(() => Reflect.construct(WebSocket, args)),
            error
          )
        }
      })
    )
  )

  it.effect("fails if the server selects none of the subprotocols", () =>
    withTest(
      Effect.gen(function* () {
        const { next, socket } = yield* connect({}, "chat.v1")
        const peer = yield* WebSocketTest.acceptPeer()
        yield* peer.expectReset
        assert.strictEqual(yield* next, "error The server selected none of the subprotocols (WebSockets standard §2.2)")
        assert.strictEqual(yield* next, "close 1006 ")
        assert.strictEqual(socket.readyState, socket.CLOSED)
      })
    )
  )

  it.effect("tells in the event `error` why the handshake failed", () =>
    withTest(
      Effect.gen(function* () {
        const { event, next } = yield* connect()
        const attempt = yield* WebSocketTest.nextAttempt
        yield* attempt.reject(403, { body: "members only" })
        const error = yield* event
        assert.deepInclude("error" in error ? error.error : undefined, { _tag: "Handshake_rejected", status: 403 })
        assert.strictEqual(yield* next, "close 1006 ")
      })
    )
  )

  it.effect("reports a defect of the app as an error", () =>
    withTest(
      Effect.gen(function* () {
        const { next } = yield* connect({ closeTimeout: -1 })
        assert.include(yield* next, "closeTimeout")
        assert.strictEqual(yield* next, "close 1006 ")
      })
    )
  )
})

describe("messages", () => {
  it.effect("arrive in order, with the microtasks of one before the next", () =>
    withTest(
      Effect.gen(function* () {
        const { peer, socket } = yield* opened()
        const seen: Array<string> = []
        const nextMessage = () =>
          new Promise<void>((resolve) => {
            socket.onmessage = (event) => {
              seen.push(String(event.data))
              resolve()
            }
          })
        const read = (async () => {
          for (let i = 0; i < 5; i++) await nextMessage()
        })()
        yield* peer.send(...["a", "b", "c", "d", "e"].map((text) => Frame.text(text)))
        yield* Effect.promise(() => read)
        assert.deepStrictEqual(seen, ["a", "b", "c", "d", "e"])
      })
    )
  )

  it.effect("arrive in tasks of their own, also if several chunks arrive in one step, or for two sockets", () =>
    withTest(
      Effect.gen(function* () {
        const one = yield* opened()
        const two = yield* opened()
        const seen: Array<string> = []
        const all = new Promise<void>((resolve) => {
          for (const { socket } of [one, two]) {
            socket.onmessage = ({ data }) => {
              seen.push(`${data}`)
              const later = async () => {
                for (let i = 0; i < 3; i++) await undefined
                if (seen.push(`after ${data}`) === 8) resolve()
              }
              void later()
            }
          }
        })
        yield* Effect.sync(() => {
          for (const [{ peer }, text] of [
            [one, "a"],
            [one, "b"],
            [two, "c"],
            [one, "d"]
          ] as const) {
            Effect.runSync(peer.send(Frame.text(text)))
          }
        })
        yield* Effect.promise(() => all)
        const texts = seen.filter((text) => text.length === 1)
        assert.deepStrictEqual(
          seen,
          texts.flatMap((text) => [text, `after ${text}`])
        )
        assert.deepStrictEqual(
          seen.filter((text) => "abd".includes(text)),
          ["a", "b", "d"]
        )
      })
    )
  )

  it.effect("can be answered, also if a Close arrived with them", () =>
    withTest(
      Effect.gen(function* () {
        const { next, peer, socket } = yield* opened()
        socket.onmessage = ({ data }) => void Promise.resolve().then(() => socket.send(`${data}, too`))
        yield* peer.send(Frame.text("last"), Frame.close(1000))
        assert.strictEqual(yield* textFrom(peer), "last, too")
        yield* peer.expectClose({ code: 1000 })
        yield* peer.end
        assert.strictEqual(yield* next, "message last")
        assert.strictEqual(yield* next, "close 1000 , clean")
      })
    )
  )

  it.effect("can be answered before a Close that arrived with them, also if timers come before their events", () =>
    withTest(
      Effect.gen(function* () {
        const { peer, socket } = yield* opened()
        socket.onmessage = ({ data }) => socket.send(`${data}, too`)
        // Within a callback of `setImmediate`, so that expired timers come next, and then `setImmediate` again.
        yield* Effect.promise(() => new Promise<void>((resolve) => void setImmediate(resolve)))
        yield* peer.send(Frame.text("last"), Frame.close(1000))
        yield* Effect.promise(async () => {
          for (let i = 0; i < 100; i++) await undefined
          const expired = performance.now() + 3
          while (performance.now() < expired);
        })
        assert.strictEqual(yield* textFrom(peer), "last, too")
        yield* peer.expectClose({ code: 1000 })
      })
    )
  )

  it.effect("can be answered before a Close or a violation that arrives on its own before their events", () =>
    withTest(
      Effect.gen(function* () {
        for (const [end, code] of [
          [Frame.close(1000), 1000],
          [Frame.make(3), 1002]
        ] as const) {
          const { peer, socket } = yield* opened()
          socket.onmessage = ({ data }) => void Promise.resolve().then(() => socket.send(`${data}, too`))
          yield* Effect.promise(async () => {
            await new Promise((resolve) => void setImmediate(resolve))
            Effect.runSync(peer.send(Frame.text("last")))
            // As between two chunks of one read of TLS: the reader takes the message, but its event is a later task.
            for (let i = 0; i < 100; i++) await undefined
            Effect.runSync(peer.send(end))
          })
          assert.strictEqual(yield* textFrom(peer), "last, too")
          yield* peer.expectClose({ code })
        }
      })
    )
  )

  it.effect("have the type of the time of their event", () =>
    withTest(
      Effect.gen(function* () {
        const { event, peer, socket } = yield* opened()
        socket.addEventListener("message", () => {
          socket.binaryType = "arraybuffer"
        })
        yield* peer.send(
          Frame.binary(new Uint8Array([1, 2])),
          Frame.binary(new Uint8Array([3])),
          Frame.binary(new Uint8Array(0))
        )
        const [first, second, third] = [yield* event, yield* event, yield* event].map((each) =>
          "data" in each ? each.data : undefined
        )
        assert(first instanceof Blob && second instanceof ArrayBuffer && third instanceof ArrayBuffer)
        assert.deepStrictEqual(new Uint8Array(yield* Effect.promise(() => first.arrayBuffer())), new Uint8Array([1, 2]))
        assert.deepStrictEqual(new Uint8Array(second), new Uint8Array([3]))
        assert.strictEqual(third.byteLength, 0)
      })
    )
  )

  it.effect("have the origin of the URL", () =>
    withTest(
      Effect.gen(function* () {
        const { event, peer } = yield* opened()
        yield* peer.send(Frame.text("hello"))
        const message = yield* event
        assert.strictEqual("origin" in message ? message.origin : undefined, "ws://test")
      })
    )
  )

  it.effect("are dropped once the socket is closing", () =>
    withTest(
      Effect.gen(function* () {
        const { next, peer, socket } = yield* opened()
        socket.onmessage = () => socket.close(4000, "enough")
        yield* peer.send(Frame.text("one"), Frame.text("two"))
        assert.strictEqual(yield* next, "message one")
        yield* peer.send(Frame.text("three"))
        yield* peer.answerClose({ code: 4000, reason: "enough" })
        assert.strictEqual(yield* next, "close 4000 , clean")
      })
    )
  )

  it.effect("reach the other listeners if one throws, and the error is uncaught", () =>
    withTest(
      Effect.gen(function* () {
        const { next, peer, socket } = yield* opened()
        const uncaught: Array<unknown> = []
        const others = process.listeners("uncaughtException")
        process.removeAllListeners("uncaughtException").on("uncaughtException", (error) => uncaught.push(error))
        yield* Effect.addFinalizer(() =>
          Effect.sync(() => {
            process.removeAllListeners("uncaughtException")
            for (const listener of others) process.on("uncaughtException", listener)
          })
        )
        const mistake = new Error("a mistake")
        socket.onmessage = () => {
          throw mistake
        }
        yield* peer.send(Frame.text("one"), Frame.text("two"))
        assert.strictEqual(yield* next, "message one")
        assert.strictEqual(yield* next, "message two")
        yield* settled
        assert.deepStrictEqual(uncaught, [mistake, mistake])
      })
    )
  )
})

describe("send", () => {
  it.effect("keeps the order, also behind a Blob that is read slowly", () =>
    withTest(
      Effect.gen(function* () {
        const { peer, socket } = yield* opened()
        let read: (bytes: ArrayBuffer) => void = () => {}
        const slow = new Blob(["slow"])
        slow.arrayBuffer = () => new Promise((resolve) => (read = resolve))
        socket.send("first")
        socket.send(slow)
        socket.send(new Uint8Array([0x6f, 0x6b]))
        socket.close()
        assert.strictEqual(socket.bufferedAmount, 5 + 4 + 2)
        assert.strictEqual(yield* textFrom(peer), "first")
        yield* settled
        assert.strictEqual(socket.bufferedAmount, 4 + 2)
        read(new TextEncoder().encode("slow").buffer)
        assert.strictEqual(yield* textFrom(peer), "slow")
        assert.strictEqual(yield* textFrom(peer), "ok")
        assert.deepStrictEqual(yield* peer.answerClose(), { code: 1005, reason: "" })
      })
    )
  )

  it.effect("fails the connection if a Blob cannot be read", () =>
    withTest(
      Effect.gen(function* () {
        const { next, peer, socket } = yield* opened()
        const gone = new Blob(["gone"])
        gone.arrayBuffer = () => Promise.reject(new Error("The file has changed"))
        socket.send(gone)
        socket.send("after it")
        yield* peer.answerClose({ code: 1011 })
        assert.strictEqual(yield* next, "error The file has changed")
        assert.strictEqual(yield* next, "close 1006 ")
        assert.strictEqual(socket.bufferedAmount, 4 + 8)
      })
    )
  )

  it.effect("reports a failure that has no value", () =>
    withTest(
      Effect.gen(function* () {
        const { next, peer, socket } = yield* opened()
        const gone = new Blob(["gone"])
        gone.arrayBuffer = () => Promise.reject(undefined)
        socket.send(gone)
        yield* peer.answerClose({ code: 1011 })
        assert.strictEqual(yield* next, "error undefined")
        assert.strictEqual(yield* next, "close 1006 ")
      })
    )
  )

  it.effect("is followed by no message once it has failed the connection", () =>
    withTest(
      Effect.gen(function* () {
        const { next, peer, socket } = yield* opened({ maxSendBytes: 3 })
        socket.send("long")
        yield* peer.expectClose({ code: 1011 })
        yield* settled
        assert.strictEqual(socket.readyState, socket.CLOSING)
        yield* peer.send(Frame.text("late"))
        yield* peer.sendClose(1011)
        yield* peer.end
        assert.include(yield* next, "error ")
        assert.strictEqual(yield* next, "close 1006 ")
      })
    )
  )

  it.effect("fails the connection if a message is above `maxSendBytes`", () =>
    withTest(
      Effect.gen(function* () {
        const { event, next, peer, socket } = yield* opened({ maxSendBytes: 3 })
        socket.send("long")
        yield* peer.answerClose({ code: 1011 })
        const error = yield* event
        assert.deepInclude("error" in error ? error.error : undefined, { _tag: "Payload_too_large", max: 3 })
        assert.strictEqual(yield* next, "close 1006 ")
      })
    )
  )

  it.effect("copies bytes", () =>
    withTest(
      Effect.gen(function* () {
        const { peer, socket } = yield* opened()
        const bytes = new Uint8Array([0x61, 0x62, 0x63, 0x64])
        socket.send(bytes.subarray(1, 3))
        socket.send(bytes.buffer)
        socket.send(new DataView(bytes.buffer, 3))
        bytes.fill(0)
        assert.strictEqual(yield* textFrom(peer), "bc")
        assert.strictEqual(yield* textFrom(peer), "abcd")
        assert.strictEqual(yield* textFrom(peer), "d")
      })
    )
  )

  it.effect("takes bytes of another realm, and the bytes of a transferred buffer, of which none are left", () =>
    withTest(
      Effect.gen(function* () {
        const { peer, socket } = yield* opened()
        const transferred = new Uint8Array(3)
        structuredClone(transferred.buffer, { transfer: [transferred.buffer] })
        socket.send(runInNewContext("Uint8Array.of(0x61, 0x62).buffer"))
        socket.send(runInNewContext("Uint8Array.of(0x63, 0x64).subarray(1)"))
        socket.send(transferred)
        socket.send(transferred.buffer)
        for (const expected of ["ab", "d", "", ""]) {
          const { opcode, payload } = yield* peer.receive
          assert.deepStrictEqual([opcode, latin1(payload)], [2, expected])
        }
      })
    )
  )

  it.effect("refuses shared and resizable memory, symbols and no argument", () =>
    withTest(
      Effect.gen(function* () {
        const { socket } = yield* opened()
        const resizable: ArrayBuffer = Reflect.construct(ArrayBuffer, [1, { maxByteLength: 2 }])
        const refused = [
          [new Uint8Array(new SharedArrayBuffer(1))],
          [resizable],
          [new Uint8Array(resizable)],
          [Symbol("x")],
          []
        ]
        for (const values of refused) {
          assert.strictEqual(
            thrownBy(() => Reflect.apply(socket.send, socket, values)),
            "TypeError"
          )
        }
      })
    )
  )

  it.effect("waits for a slow peer, and counts what waits", () =>
    withTest(
      Effect.gen(function* () {
        const { peer, socket } = yield* opened({ sendHighWaterMark: 10, sendLowWaterMark: 5 })
        const network = yield* WebSocketTest.network(peer)
        yield* network.clientToServer.stall
        for (let i = 0; i < 5; i++) socket.send("ten bytes!")
        yield* settled
        assert.strictEqual(socket.bufferedAmount, 50)
        yield* network.clientToServer.unstall
        for (let i = 0; i < 5; i++) assert.strictEqual(yield* textFrom(peer), "ten bytes!")
        yield* settled
        assert.strictEqual(socket.bufferedAmount, 0)
      })
    )
  )

  it.effect("counts, after the end, what was not sent", () =>
    withTest(
      Effect.gen(function* () {
        const { next, peer, socket } = yield* opened()
        socket.send("sent")
        assert.strictEqual(yield* textFrom(peer), "sent")
        yield* peer.sendClose(1000)
        yield* peer.expectClose()
        yield* peer.end
        assert.strictEqual(yield* next, "close 1000 , clean")
        socket.send("é")
        socket.send(new Blob(["abc"]))
        assert.strictEqual(socket.bufferedAmount, 2 + 3)
      })
    )
  )
})

describe("close", () => {
  it.effect("refuses a BigInt as the code", () =>
    withTest(
      Effect.gen(function* () {
        const { socket } = yield* opened()
        assert.strictEqual(
          thrownBy(() => Reflect.apply(socket.close, socket, [1000n])),
          "TypeError"
        )
        assert.strictEqual(socket.readyState, socket.OPEN)
      })
    )
  )
})

describe("readyState", () => {
  /** The socket is `CLOSING` although the peer has not answered, and from then on no message arrives. */
  const isClosing = ({ more, next, peer, socket }: Effect.Success<ReturnType<typeof opened>>, code: number) =>
    Effect.gen(function* () {
      yield* peer.expectClose({ code })
      yield* settled
      assert.strictEqual(socket.readyState, socket.CLOSING)
      yield* peer.send(Frame.text("late"))
      yield* settled
      assert.strictEqual(yield* more, 0)
      yield* peer.sendClose(code)
      yield* peer.end
      return yield* next
    })

  it.effect("is CLOSING once a timeout or a limit of the rate closes the connection", () =>
    withTest(
      Effect.gen(function* () {
        const idle = yield* opened({ idleTimeout: "1 seconds" })
        yield* TestClock.adjust("1 seconds")
        assert.strictEqual(yield* isClosing(idle, 1001), "close 1001 , clean")

        const flooded = yield* opened({ receiveRate: { messages: 3, interval: "1 seconds", strategy: "close" } })
        // The first two events wait for their tasks while more arrives than the rate allows.
        flooded.socket.addEventListener(
          "message",
          () => Effect.runSync(flooded.peer.send(Frame.text("c"), Frame.text("d"))),
          { once: true }
        )
        yield* flooded.peer.send(Frame.text("a"), Frame.text("b"))
        for (const text of ["a", "b", "c", "d"]) assert.strictEqual(yield* flooded.next, `message ${text}`)
        assert.strictEqual(yield* isClosing(flooded, 1008), "close 1008 , clean")
      })
    )
  )

  it.effect("is CLOSING once the heartbeat has failed, or the peer has broken a rule", () =>
    withTest(
      Effect.gen(function* () {
        const silent = yield* opened({ heartbeatInterval: "1 seconds", heartbeatTimeout: "1 seconds" })
        yield* TestClock.adjust("1 seconds")
        yield* settledLate
        yield* TestClock.adjust("1 seconds")
        yield* settledLate
        assert.strictEqual(silent.socket.readyState, silent.socket.CLOSING)

        const broken = yield* opened()
        yield* broken.peer.send(Frame.continuation("no beginning"))
        assert.include(yield* isClosing(broken, 1002), "error ")
        assert.strictEqual(yield* broken.next, "close 1006 ")
      })
    )
  )

  it.effect("is CLOSING once the scope ends", () =>
    withTest(
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const watched = yield* Scope.provide(connect(), scope)
        const peer = yield* WebSocketTest.acceptPeer()
        assert.strictEqual(yield* watched.next, "open")
        yield* Effect.forkScoped(Scope.close(scope, Exit.void))
        assert.strictEqual(yield* isClosing({ ...watched, peer }, 1000), "close 1000 , clean")
      })
    )
  )
})

describe("the end", () => {
  it.effect("is not clean if the peer resets the connection", () =>
    withTest(
      Effect.gen(function* () {
        const { event, more, next, peer, socket } = yield* opened()
        yield* peer.send(Frame.text("last"))
        assert.strictEqual(yield* next, "message last")
        yield* peer.abort
        const error = yield* event
        assert.deepInclude("error" in error ? error.error : undefined, { _tag: "Io_error", reason: "Reset" })
        assert.strictEqual(yield* next, "close 1006 ")
        yield* settled
        assert.strictEqual(yield* more, 0)
        assert.strictEqual(socket.readyState, socket.CLOSED)
      })
    )
  )

  it.effect("is an error if the peer breaks a limit", () =>
    withTest(
      Effect.gen(function* () {
        const { next, peer } = yield* opened({ limits: { maxMessageBytes: 3 } })
        yield* peer.send(Frame.text("long"))
        yield* peer.answerClose({ code: 1009 })
        assert.include(yield* next, "error ")
        assert.strictEqual(yield* next, "close 1006 ")
      })
    )
  )

  it.effect("has the code of the peer's Close", () =>
    withTest(
      Effect.gen(function* () {
        const { next, peer, socket } = yield* opened()
        socket.close(3000, "mine")
        yield* peer.expectClose({ code: 3000, reason: "mine" })
        yield* peer.sendClose(3001, "theirs")
        yield* peer.end
        assert.strictEqual(yield* next, "close 3001 theirs, clean")
      })
    )
  )

  it.effect("begins with the peer's Close", () =>
    withTest(
      Effect.gen(function* () {
        const { more, next, peer, socket } = yield* opened()
        yield* peer.sendClose(1001, "restart")
        yield* peer.expectClose({ code: 1001 })
        yield* settled
        assert.strictEqual(socket.readyState, socket.CLOSING)
        assert.strictEqual(yield* more, 0)
        yield* peer.end
        assert.strictEqual(yield* next, "close 1001 restart, clean")
        assert.strictEqual(socket.readyState, socket.CLOSED)
      })
    )
  )

  it.effect("comes with that of the scope, also for messages that wait", () =>
    withTest(
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const { next, socket } = yield* Scope.provide(
          connect({ sendHighWaterMark: 10, closeTimeout: "1 seconds" }),
          scope
        )
        const peer = yield* WebSocketTest.acceptPeer()
        assert.strictEqual(yield* next, "open")
        const network = yield* WebSocketTest.network(peer)
        yield* network.clientToServer.stall
        for (let i = 0; i < 3; i++) socket.send("ten bytes!")
        yield* settled
        const closing = yield* Effect.forkScoped(Scope.close(scope, Exit.void))
        yield* settled
        yield* TestClock.adjust("1 seconds")
        yield* Fiber.join(closing)
        assert.include(yield* next, "error ")
        assert.strictEqual(yield* next, "close 1006 ")
        assert.isAtLeast(socket.bufferedAmount, 20)
      })
    )
  )

  it.effect("comes while the handshake is under way, with `close`", () =>
    withTest(
      Effect.gen(function* () {
        const { more, next, socket } = yield* connect()
        const attempt = yield* WebSocketTest.nextAttempt
        socket.close()
        assert.strictEqual(socket.readyState, socket.CLOSING)
        assert.strictEqual(yield* next, "error The WebSocket was closed before it was open")
        assert.strictEqual(yield* next, "close 1006 ")
        yield* Effect.exit(attempt.accept())
        yield* settled
        assert.strictEqual(yield* more, 0)
      })
    )
  )

  it.effect("comes if `close` is called in the turn in which the connection opens", () =>
    withTest(
      Effect.gen(function* () {
        const { next, socket } = yield* connect()
        const attempt = yield* WebSocketTest.nextAttempt
        const peer = yield* attempt.accept()
        socket.close()
        yield* peer.answerClose({ code: 1001 })
        assert.strictEqual(yield* next, "error The WebSocket was closed before it was open")
        assert.strictEqual(yield* next, "close 1006 ")
      })
    )
  )

  it.effect("comes with that of the scope", () =>
    withTest(
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const { next, socket } = yield* Scope.provide(connect(), scope)
        const peer = yield* WebSocketTest.acceptPeer()
        assert.strictEqual(yield* next, "open")
        yield* Effect.forkScoped(Scope.close(scope, Exit.void))
        assert.deepStrictEqual(yield* peer.answerClose(), { code: 1000, reason: "" })
        assert.strictEqual(yield* next, "close 1000 , clean")
        assert.strictEqual(socket.readyState, socket.CLOSED)
      })
    )
  )

  it.effect("comes with that of the scope while the handshake is under way", () =>
    withTest(
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const { next } = yield* Scope.provide(connect(), scope)
        yield* WebSocketTest.nextAttempt
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(yield* next, "error The scope of the WebSocket ended")
        assert.strictEqual(yield* next, "close 1006 ")
      })
    )
  )

  it.effect("comes at once if the scope has ended before", () =>
    withTest(
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const WebSocket = yield* Scope.provide(StandardWebSocket.make(), scope)
        yield* Scope.close(scope, Exit.void)
        const { next } = yield* watch(new WebSocket(url))
        assert.strictEqual(yield* next, "error The scope of the WebSocket ended")
        assert.strictEqual(yield* next, "close 1006 ")
      })
    )
  )

  it.effect("leaves nothing in the scope, and the socket can be collected", () =>
    withTest(
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const reference = yield* Effect.gen(function* () {
          const { next, peer, socket } = yield* Scope.provide(opened(), scope)
          socket.close()
          yield* peer.answerClose()
          assert.strictEqual(yield* next, "close 1005 , clean")
          return new WeakRef(socket)
        })
        yield* settled
        // A peer has a place until it is over, and its end is later than that of the socket.
        assert.strictEqual(finalizersIn(scope), 0)
        for (let i = 0; i < 10 && reference.deref() !== undefined; i++) {
          yield* settled
          collectGarbage()
        }
        assert.isUndefined(reference.deref())
        yield* Scope.close(scope, Exit.void)
      })
    )
  )
})

/** As much of a WebSocket as Effect 3 and Effect 4 have in common. */
interface Opening {
  addEventListener(type: "open", listener: () => void): void
}

describe("layerWebSocketConstructor", () => {
  it.effect("is the constructor of the client in the context", () =>
    withTest(
      Effect.gen(function* () {
        const layer = StandardWebSocket.layerWebSocketConstructor({ headers: { "X-Test": "1" } })
        const make: (url: string, protocols: Array<string>) => Opening = Context.get(
          yield* Layer.build(layer),
          WebSocketConstructorTag
        )
        const socket = make(url, ["chat.v1"])
        const attempt = yield* WebSocketTest.nextAttempt
        assert.deepInclude(attempt.request.headers, { "x-test": "1", "sec-websocket-protocol": "chat.v1" })
        yield* attempt.accept({ protocol: "chat.v1" })
        yield* Effect.callback<void>((resume) => socket.addEventListener("open", () => resume(Effect.void)))
      })
    )
  )
})
