/**
 * The facts of the web-platform-tests in `websockets/` that make sense without a page, over loopback. Each test names the files
 * that state its facts. `docs/standard-websocket.md` lists the files that are left out.
 */
import * as StandardWebSocket from "@effect-websocket/platform/StandardWebSocket"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import { WebSocketServer as WsServer } from "ws"
import { Effect, Layer, Queue } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { noHandlesLeft } from "./support.js"

afterEach(noHandlesLeft)

type Socket = StandardWebSocket.StandardWebSocket

/** The server of the tests: it echoes, and closes after "Goodbye". */
const echo = WebSocketServer.layerHandler((socket) =>
  socket.run((message) =>
    message.data === "Goodbye" ? Effect.andThen(socket.send(message), socket.close()) : socket.send(message)
  )
)

const setup = (options?: StandardWebSocket.Options) =>
  Effect.gen(function* () {
    const server = NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1", protocols: ["echo", "chat"] })
    const context = yield* Layer.build(Layer.provideMerge(echo, server))
    const { url } = yield* Effect.provide(WebSocketServer.address, context)
    const WebSocket = yield* Effect.provide(StandardWebSocket.make(options), NodeWebSocketClient.layer)
    return { url, WebSocket }
  })

/** The next event of a type. */
const once = <Type extends keyof StandardWebSocket.EventMap>(socket: Socket, type: Type) =>
  Effect.callback<StandardWebSocket.EventMap[Type]>((resume) =>
    socket.addEventListener(type, (event) => resume(Effect.succeed(event)), { once: true })
  )

/** A socket that is open. */
const opened = Effect.gen(function* () {
  const { WebSocket, url } = yield* setup()
  const socket = new WebSocket(url)
  yield* once(socket, "open")
  return socket
})

/** A server of `ws` that does something with each connection. Its frames are written as they are. */
const rawServer = (onConnection: (write: (...bytes: ReadonlyArray<number>) => void, end: () => void) => void) =>
  Effect.gen(function* () {
    const server = yield* Effect.acquireRelease(
      Effect.callback<WsServer>((resume) => {
        const starting: WsServer = new WsServer({ port: 0, host: "127.0.0.1" }, () => resume(Effect.succeed(starting)))
        starting.on("connection", (peer, request) => {
          peer.on("error", () => {})
          onConnection(
            (...bytes) => void request.socket.write(Uint8Array.from(bytes)),
            () => void request.socket.end()
          )
        })
      }),
      (server) =>
        Effect.sync(() => {
          for (const client of server.clients) client.terminate()
          server.close()
        })
    )
    const address = server.address()
    assert(typeof address === "object" && address !== null)
    const WebSocket = yield* Effect.provide(StandardWebSocket.make(), NodeWebSocketClient.layer)
    return new WebSocket(`ws://127.0.0.1:${address.port}/`)
  })

const thrownBy = (run: () => unknown): unknown => {
  try {
    run()
  } catch (error) {
    return error
  }
  return undefined
}

/** Asserts that a function throws a `DOMException` with a name. */
const throwsDom = (name: string, run: () => unknown): void => {
  const error = thrownBy(run)
  assert(error instanceof DOMException, `${run} must throw a ${name}`)
  assert.strictEqual(error.name, name)
}

/** The socket's echo of a message: bytes or a text. */
const echoed = (socket: Socket, data: unknown) =>
  Effect.callback<unknown>((resume) => {
    socket.binaryType = "arraybuffer"
    socket.addEventListener(
      "message",
      (event) => resume(Effect.succeed(event.data instanceof ArrayBuffer ? new Uint8Array(event.data) : event.data)),
      { once: true }
    )
    Reflect.apply(socket.send, socket, [data])
  })

/** A constructor that tests may call with anything, as JavaScript can. */
const construct = (WebSocket: StandardWebSocket.Constructor, ...values: ReadonlyArray<unknown>): Socket =>
  Reflect.construct(WebSocket, values)

const types = ["open", "message", "error", "close"] as const

describe("the constructor", () => {
  it.live(
    "constructor/001, 002; Create-invalid-urls, Create-wrong-scheme, Create-non-absolute-url, url-with-space",
    () =>
      Effect.gen(function* () {
        const { WebSocket } = yield* setup()
        assert.instanceOf(
          thrownBy(() => construct(WebSocket)),
          TypeError
        )
        assert.instanceOf(
          thrownBy(() => Reflect.apply(WebSocket as unknown as () => void, undefined, ["ws://test"])),
          TypeError
        )
        const urls = [
          "/test",
          "test",
          "?test",
          "#test",
          "ws://foo bar.com/",
          "wss://foo bar.com/",
          "ftp://test/",
          "mailto:example@example.org",
          "about:blank",
          "ws://test/#",
          "ws://test/#test",
          "ws://user@:80/"
        ]
        for (const url of urls) throwsDom("SyntaxError", () => new WebSocket(url))
      })
  )

  it.live("Create-http-urls, Create-valid-url-http", () =>
    Effect.gen(function* () {
      const { WebSocket, url } = yield* setup()
      const socket = new WebSocket(url.replace("ws:", "http:"))
      assert.strictEqual(socket.url, new URL(url).href)
      yield* once(socket, "open")
      assert.strictEqual(new WebSocket("https://127.0.0.1:9/x").url, "wss://127.0.0.1:9/x")
    })
  )

  it.live("Create-valid-url-relative", () =>
    Effect.gen(function* () {
      const { url } = yield* setup()
      const baseUrl = url.replace("ws:", "http:")
      const WebSocket = yield* Effect.provide(StandardWebSocket.make({ baseUrl }), NodeWebSocketClient.layer)
      const socket = new WebSocket("echo?x")
      yield* once(socket, "open")
      assert.strictEqual(socket.url, new URL("echo?x", url).href)
    })
  )

  it.live(
    "constructor/004, 005, 007, 021; Create-protocol-with-space, -asciiSep, -nonAscii, -repeated(-case-insensitive)",
    () =>
      Effect.gen(function* () {
        const { WebSocket, url } = yield* setup()
        const separators = [...'()<>@,;:\\"/[]?={} \t']
        const invalid = ["", "a b", "\u0080", "a\u0100", "a\u007f", ...separators, ["a", "b", ""], [null, "\0"]]
        for (const protocols of invalid) throwsDom("SyntaxError", () => construct(WebSocket, url, protocols))
        throwsDom("SyntaxError", () => new WebSocket(url, ["echo", "echo"]))
        throwsDom("SyntaxError", () => new WebSocket(url, ["echo", "eCho"]))
      })
  )

  it.live(
    "constructor/006, 009, 022; Create-valid-url-protocol(-string), -array-protocols, -protocol-empty; protocol/001",
    () =>
      Effect.gen(function* () {
        const { WebSocket, url } = yield* setup()
        for (const [protocols, selected] of [
          [undefined, ""],
          [[], ""],
          ["echo", "echo"],
          [["echo", "chat"], "echo"],
          [new Set(["chat"]), "chat"],
          [{ toString: () => "chat" }, "chat"]
        ]) {
          const socket = construct(WebSocket, { toString: () => url }, protocols)
          assert.strictEqual(socket.protocol, "")
          yield* once(socket, "open")
          assert.strictEqual(socket.protocol, selected)
          socket.close()
        }
      })
  )

  it.live("constructor/012", () =>
    Effect.gen(function* () {
      // None of the offered subprotocols is one of the server's.
      const { WebSocket, url } = yield* setup()
      const socket = new WebSocket(url, ["unknown"])
      socket.onopen = () => assert.fail("opened")
      yield* once(socket, "error")
      const { code, wasClean } = yield* once(socket, "close")
      assert.deepStrictEqual([code, wasClean], [1006, false])
    })
  )

  it.live("constructor/008, 016 to 020 (a NUL within the query); url/001 to 006; Create-verify-url-set-*-port", () =>
    Effect.gen(function* () {
      const { WebSocket } = yield* setup()
      for (const [url, normalised] of [
        ["ws://127.0.0.1:80/", "ws://127.0.0.1/"],
        ["ws://127.0.0.1:443/", "ws://127.0.0.1:443/"],
        ["wss://127.0.0.1:443", "wss://127.0.0.1/"],
        ["WS://LOCALHOST:9/Echo", "ws://localhost:9/Echo"],
        ["ws://127.0.0.1:9/?\u00e5\u00e4\u00f6", "ws://127.0.0.1:9/?%C3%A5%C3%A4%C3%B6"],
        ["ws://127.0.0.1:9/?x\u0000y", "ws://127.0.0.1:9/?x%00y"],
        ["ws:127.0.0.1:9/echo", "ws://127.0.0.1:9/echo"],
        ["wss:/127.0.0.1:9/echo", "wss://127.0.0.1:9/echo"],
        [" ws://127.0.0.1:9/a/../b ", "ws://127.0.0.1:9/b"]
      ] as const) {
        const socket = new WebSocket(url)
        assert.strictEqual(socket.url, normalised)
        assert.isFalse(Reflect.set(socket, "url", "other"))
        assert.isTrue(Reflect.deleteProperty(socket, "url"))
        assert.strictEqual(socket.url, normalised)
        socket.close()
      }
    })
  )

  it.live("constructor/013; CloseEvent/004", () =>
    Effect.gen(function* () {
      const { WebSocket, url } = yield* setup()
      const closed = yield* Queue.unbounded<StandardWebSocket.CloseEvent>()
      for (let i = 0; i < 25; i++) {
        const socket = new WebSocket(url)
        socket.onopen = () => socket.send(`${i}`)
        socket.onmessage = ({ data }) => {
          assert.strictEqual(data, `${i}`)
          socket.close()
        }
        socket.onclose = (event) => void Queue.offerUnsafe(closed, event)
      }
      for (let i = 0; i < 25; i++) assert.isTrue((yield* Queue.take(closed)).wasClean)
    })
  )
})

describe("constants and attributes", () => {
  it.live("idlharness: the lengths of the functions, and calls on other objects", () =>
    Effect.gen(function* () {
      const { WebSocket } = yield* setup()
      const { close, send } = WebSocket.prototype
      assert.deepStrictEqual([Reflect.get(WebSocket, "length"), close.length, send.length], [1, 0, 1])
      assert.instanceOf(
        thrownBy(() => Reflect.apply(close, {}, [])),
        TypeError
      )
      for (const name of ["url", "readyState", "bufferedAmount", "protocol", "extensions", "binaryType"]) {
        assert.instanceOf(
          thrownBy(() => Reflect.get(WebSocket.prototype, name)),
          TypeError
        )
      }
    })
  )

  it.live("constants/001 to 006", () =>
    Effect.gen(function* () {
      const { WebSocket, url } = yield* setup()
      const values = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 } as const
      for (const holder of [WebSocket, WebSocket.prototype, new WebSocket(url)]) {
        for (const [name, value] of Object.entries(values)) {
          assert.strictEqual(Reflect.get(holder, name), value)
          assert.isFalse(Reflect.set(holder, name, 9))
          Reflect.deleteProperty(holder, name)
          assert.strictEqual(Reflect.get(holder, name), value)
        }
      }
      const names: Array<string> = []
      for (const name in WebSocket) names.push(name)
      assert.includeMembers(names, Object.keys(values))
    })
  )

  it.live(
    "readyState/001 to 008; bufferedAmount/001 to 003, 006, 010, -defineProperty-getter, -deleting, -getting; extensions/001",
    () =>
      Effect.gen(function* () {
        const { WebSocket, url } = yield* setup()
        const socket = new WebSocket(url)
        for (const [name, value] of [
          ["readyState", 0],
          ["bufferedAmount", 0],
          ["extensions", ""],
          ["protocol", ""]
        ] as const) {
          assert.isFalse(Reflect.set(socket, name, "other"))
          Reflect.deleteProperty(socket, name)
          assert.strictEqual(Reflect.get(socket, name), value)
          assert.isTrue(name in WebSocket.prototype)
        }
        yield* once(socket, "open")
        assert.strictEqual(socket.readyState, WebSocket.OPEN)
        socket.close()
        assert.strictEqual(socket.readyState, WebSocket.CLOSING)
        yield* once(socket, "close")
        assert.strictEqual(socket.readyState, WebSocket.CLOSED)
        Object.defineProperty(WebSocket.prototype, "bufferedAmount", { get: () => "mine" })
        assert.strictEqual<unknown>(Reflect.get(socket, "bufferedAmount"), "mine")
      })
  )

  it.live("Create-Secure-extensions-empty", () =>
    Effect.gen(function* () {
      const socket = yield* opened
      assert.strictEqual(socket.extensions, "")
    })
  )

  it.live("binaryType-wrong-value; Create-Secure-valid-url-binaryType-blob", () =>
    Effect.gen(function* () {
      const { WebSocket, url } = yield* setup()
      const socket = new WebSocket(url)
      assert.strictEqual(socket.binaryType, "blob")
      socket.binaryType = "arraybuffer"
      for (const value of ["notBlobOrArrayBuffer", "BLOB", "", undefined]) {
        Reflect.set(socket, "binaryType", value)
        assert.strictEqual(socket.binaryType, "arraybuffer")
      }
    })
  )
})

describe("events", () => {
  it.live("eventhandlers; events/001 to 014", () =>
    Effect.gen(function* () {
      const { WebSocket, url } = yield* setup()
      const socket = new WebSocket(url)
      for (const type of types) {
        const name = `on${type}` as const
        assert.isTrue(name in socket)
        assert.isNull(socket[name])
        const called: Array<unknown> = []
        const handler = function (this: unknown, event: Event) {
          called.push(this, event)
        }
        socket[name] = handler
        assert.strictEqual(socket[name], handler)
        const event = new Event(type)
        socket.dispatchEvent(event)
        assert.deepStrictEqual(called, [socket, event])
        for (const value of [1, ";", undefined, null, Symbol("x")]) {
          Reflect.set(socket, name, handler)
          Reflect.set(socket, name, value)
          assert.isNull(socket[name])
        }
        // HTML keeps objects, and does not call them.
        const object = { handleEvent: () => called.push("called") }
        Reflect.set(socket, name, object)
        assert.strictEqual<unknown>(socket[name], object)
        socket.dispatchEvent(new Event(type))
        assert.strictEqual(called.length, 2)
        socket[name] = null
      }
    })
  )

  it.live("events/015, 017, 018; CloseEvent/001, 002", () =>
    Effect.gen(function* () {
      // A text, and then a frame with the reserved opcode 3, which fails the connection.
      const socket = yield* rawServer((write) => write(0x81, 4, 0x74, 0x65, 0x73, 0x74, 0x83, 3, 0x4c, 0x4f, 0x4c))
      const seen = yield* Queue.unbounded<string>()
      for (const type of types) {
        socket.addEventListener(type, function (this: unknown, event: Event) {
          assert.strictEqual(this, socket)
          assert.strictEqual(event.target, socket)
          assert.strictEqual(event.currentTarget, socket)
          assert.strictEqual(event.eventPhase, 2)
          assert.isFalse(event.bubbles || event.cancelable)
          assert.instanceOf(event, Event)
          if (type === "message") assert.instanceOf(event, Reflect.get(globalThis, "MessageEvent"))
          const CloseEvent: unknown = Reflect.get(globalThis, "CloseEvent")
          if (type === "close" && typeof CloseEvent === "function") assert.strictEqual(event.constructor, CloseEvent)
          Queue.offerUnsafe(seen, `${event.type} ${socket.readyState}`)
          // The class of messages is the runtime's, and some versions do not name it.
          if (type !== "message") {
            assert.strictEqual(String(event), type === "close" ? "[object CloseEvent]" : "[object Event]")
          }
        })
      }
      assert.strictEqual(yield* Queue.take(seen), "open 1")
      assert.strictEqual(yield* Queue.take(seen), "message 1")
      assert.strictEqual(yield* Queue.take(seen), "error 3")
      assert.strictEqual(yield* Queue.take(seen), "close 3")
    })
  )

  it.live("events/016, 019", () =>
    Effect.gen(function* () {
      const { WebSocket, url } = yield* setup()
      const socket = new WebSocket(url)
      const order: Array<number> = []
      types.forEach((type, index) => {
        const removed = () => order.push(-1)
        socket.addEventListener(type, () => order.push(3 * index + 1))
        socket[`on${type}`] = () => order.push(3 * index)
        socket.addEventListener(type, removed)
        // A handler that is replaced keeps its place.
        socket[`on${type}`] = () => order.push(3 * index + 2)
        socket.addEventListener(type, () => order.push(3 * index + 3))
        socket.removeEventListener(type, removed)
      })
      yield* once(socket, "open")
      socket.send("Goodbye")
      yield* once(socket, "close")
      assert.deepStrictEqual(order, [1, 2, 3, 4, 5, 6, 10, 11, 12])
    })
  )

  it.live("events/020", () =>
    Effect.gen(function* () {
      const { WebSocket } = yield* setup()
      const socket = new WebSocket("ws://127.0.0.1:1/")
      assert.instanceOf(yield* once(socket, "error"), Event)
      const { code, reason, wasClean } = yield* once(socket, "close")
      assert.deepStrictEqual([code, reason, wasClean], [1006, "", false])
    })
  )
})

describe("send", () => {
  it.live("send/001 to 003; Send-before-open", () =>
    Effect.gen(function* () {
      const { WebSocket, url } = yield* setup()
      const socket = new WebSocket(url)
      assert.instanceOf(
        thrownBy(() => Reflect.apply(socket.send, socket, [])),
        TypeError
      )
      throwsDom("InvalidStateError", () => socket.send("a"))
      throwsDom("InvalidStateError", () => socket.send("a\uDC00x"))
      yield* once(socket, "open")
    })
  )

  it.live(
    "send/004 to 006, 008 to 010, 012; Send-data, -0byte-data, -65K-data, -null, -unicode, -(Un)paired-surrogates",
    () =>
      Effect.gen(function* () {
        const socket = yield* opened
        const texts = ["", "a", "\u00e5 \u6f22 \u{1d306}", "x".repeat(65_000), "y".repeat(70_000)]
        for (const text of texts) assert.strictEqual(yield* echoed(socket, text), text)
        assert.strictEqual(yield* echoed(socket, "a\uD800b\uDC00"), "a\uFFFDb\uFFFD")
        for (const value of [null, undefined, 1, {}, [1, 2], socket, new SharedArrayBuffer(3)]) {
          assert.strictEqual(yield* echoed(socket, value), String(value))
        }
      })
  )

  it.live("binary/001, 002, 004, 005; Send-binary-*; extended-payload-length", () =>
    Effect.gen(function* () {
      const socket = yield* opened
      const bytes = Uint8Array.from({ length: 72 }, (_, index) => index)
      const { buffer } = bytes
      const sent: ReadonlyArray<readonly [unknown, Uint8Array]> = [
        [buffer, bytes],
        [new Blob([bytes]), bytes],
        [new Float32Array(buffer), bytes],
        [new Float64Array(buffer), bytes],
        [new Int32Array(buffer), bytes],
        [new Int16Array(buffer, 2), bytes.subarray(2)],
        [new Uint16Array(buffer, 2, 4), bytes.subarray(2, 10)],
        [new Uint8Array(buffer, 2, 4), bytes.subarray(2, 6)],
        [new DataView(buffer, 1, 3), bytes.subarray(1, 4)],
        [new ArrayBuffer(0), new Uint8Array(0)],
        ...[125, 126, 127, 0xffff, 0x10000].map((size) => [new ArrayBuffer(size), new Uint8Array(size)] as const)
      ]
      for (const [data, expected] of sent) assert.deepStrictEqual(yield* echoed(socket, data), expected)
      socket.binaryType = "blob"
      socket.send(bytes)
      const { data } = yield* once(socket, "message")
      assert(data instanceof Blob)
      assert.deepStrictEqual(new Uint8Array(yield* Effect.promise(() => data.arrayBuffer())), bytes)
    })
  )

  it.live("bufferedAmount/004, 005, 007 to 009, -arraybuffer, -blob, -large, -unicode; send/007, 011", () =>
    Effect.gen(function* () {
      const socket = yield* opened
      let total = 0
      const sent: ReadonlyArray<readonly [string | ArrayBuffer | Blob, number]> = [
        ["\u00e5\u6f22\u{1d306}", 9],
        [new ArrayBuffer(10), 10],
        [new Blob(["x".repeat(100)]), 100],
        ["z".repeat(65_000), 65_000]
      ]
      for (const [data, bytes] of sent) {
        assert.isUndefined(socket.send(data))
        total += bytes
        assert.strictEqual(socket.bufferedAmount, total)
      }
      const received = yield* Queue.unbounded<unknown>()
      socket.onmessage = ({ data }) => void Queue.offerUnsafe(received, data)
      for (const _ of sent) yield* Queue.take(received)
      assert.strictEqual(socket.bufferedAmount, 0)
      socket.close()
      assert.isUndefined(socket.send("more"))
      assert.strictEqual(socket.bufferedAmount, 4)
      yield* once(socket, "close")
      assert.isUndefined(socket.send(new ArrayBuffer(3)))
      assert.strictEqual(socket.bufferedAmount, 7)
    })
  )
})

describe("close", () => {
  it.live("close-invalid; Close-0, -NaN, -null, -string; Close-2999-reason, -onlyReason, -Reason-124Bytes", () =>
    Effect.gen(function* () {
      const socket = yield* opened
      for (const code of [0, 500, 999, 1001, 1005, 2999, 5000, NaN, "string", null, 0x10000 + 1000, "reason"]) {
        throwsDom("InvalidAccessError", () => Reflect.apply(socket.close, socket, [code]))
      }
      throwsDom("InvalidAccessError", () => socket.close(2999, "reason"))
      throwsDom("SyntaxError", () => socket.close(1000, "x".repeat(124)))
      throwsDom("SyntaxError", () => socket.close(1000, "\u00e5".repeat(62)))
      assert.strictEqual(socket.readyState, socket.OPEN)
    })
  )

  it.live(
    "Close-1000(-reason, -verify-code), -1005(-verify-code), -3000, -4999, -undefined, -unpaired-surrogates",
    () =>
      Effect.gen(function* () {
        const { WebSocket, url } = yield* setup()
        const cases: ReadonlyArray<readonly [args: ReadonlyArray<unknown>, code: number]> = [
          [[], 1005],
          [[undefined], 1005],
          [[undefined, undefined], 1005],
          [[1000], 1000],
          [[1000, "x".repeat(123)], 1000],
          [[3000.4, "reason"], 3000],
          [["4999", "a\uD800b"], 4999]
        ]
        for (const [args, code] of cases) {
          const socket = new WebSocket(url)
          yield* once(socket, "open")
          Reflect.apply(socket.close, socket, args)
          const event = yield* once(socket, "close")
          assert.deepStrictEqual([event.code, event.wasClean], [code, true])
        }
      })
  )

  it.live(
    "close/001 to 006, close-basic, close-connecting, close-multiple, close-nested; Close-readyState-Closed, -Closing",
    () =>
      Effect.gen(function* () {
        const { WebSocket, url } = yield* setup()
        const socket = new WebSocket(url)
        socket.onopen = () => assert.fail("opened")
        let closes = 0
        socket.addEventListener("close", () => {
          closes++
          assert.strictEqual(socket.readyState, WebSocket.CLOSED)
          socket.close()
          assert.strictEqual(socket.readyState, WebSocket.CLOSED)
        })
        assert.isUndefined(socket.close())
        socket.close(3000)
        assert.strictEqual(socket.readyState, WebSocket.CLOSING)
        yield* once(socket, "error")
        const { code, wasClean } = yield* once(socket, "close")
        assert.deepStrictEqual([code, wasClean], [1006, false])
        // Another connection that comes and goes has turns enough for a second event.
        const other = new WebSocket(url)
        yield* once(other, "open")
        other.close()
        yield* once(other, "close")
        assert.strictEqual(closes, 1)
      })
  )

  it.live(
    "closing-handshake/002, 003; CloseEvent/clean-close; Close-server-initiated-close; Send-and-close order",
    () =>
      Effect.gen(function* () {
        const socket = yield* opened
        socket.onerror = () => assert.fail("failed")
        socket.send("Goodbye")
        assert.strictEqual((yield* once(socket, "message")).data, "Goodbye")
        const { code, wasClean } = yield* once(socket, "close")
        assert.deepStrictEqual([code, wasClean], [1000, true])
      })
  )

  it.live("closing-handshake/004", () =>
    Effect.gen(function* () {
      // A Close with 1000, and a text behind it.
      const socket = yield* rawServer((write) => write(0x88, 2, 0x03, 0xe8, 0x81, 1, 0x61))
      socket.onmessage = socket.onerror = () => assert.fail("data after the Close")
      const { code, wasClean } = yield* once(socket, "close")
      assert.deepStrictEqual([code, wasClean], [1000, true])
    })
  )

  it.live("CloseEvent/003, 004: a connection that ends without a Close", () =>
    Effect.gen(function* () {
      const socket = yield* rawServer((_, end) => end())
      const { code, reason, wasClean } = yield* once(socket, "close")
      assert.deepStrictEqual([code, reason, wasClean], [1006, "", false])
    })
  )
})
