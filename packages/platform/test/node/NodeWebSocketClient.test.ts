import * as CookieJar from "@effect-websocket/platform/CookieJar"
import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import { isHandshakeRejected } from "@effect-websocket/protocol/Errors"
import * as Frame from "@effect-websocket/protocol/Frame"
import { Redacted } from "effect"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { Deferred, Effect, Exit, Fiber, Scope } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import {
  answer101,
  childScope,
  closedFacts,
  closing,
  connect,
  elapse,
  facts,
  first,
  frame,
  header,
  ioFacts,
  listen,
  mebibyte,
  memory,
  noHandlesLeft,
  type Peer,
  protocolFacts,
  rawServer,
  serve,
  serveEcho,
  settled,
  stalled,
  stamped,
  tls
} from "./support.js"

afterEach(noHandlesLeft)

/** Connects to a raw server that does as it is told, and what comes of it. */
const attempt = (act: (peer: Peer) => Effect.Effect<void>, options?: WebSocketClient.ConnectOptions) =>
  Effect.gen(function* () {
    const server = yield* rawServer()
    const connecting = yield* Effect.forkChild(Effect.scoped(Effect.asVoid(connect(server.url, options))))
    const peer = yield* server.next
    yield* act(peer)
    const error = yield* Effect.flip(Fiber.join(connecting))
    // Nothing is left of the attempt, whatever the server does.
    yield* peer.left
    return error
  }).pipe(Effect.scoped)

/** Reads the request and answers it with text. */
const answering = (answer: string | ((request: string) => string)) => (peer: Peer) =>
  Effect.map(peer.until("\r\n\r\n"), (request) => peer.write(typeof answer === "string" ? answer : answer(request)))

/** A connection to a raw server, in a scope of its own. */
const connected = (options?: WebSocketClient.ConnectOptions, behind?: Uint8Array) =>
  Effect.gen(function* () {
    const server = yield* rawServer()
    const scope = yield* childScope
    const connecting = yield* Effect.forkChild(Scope.provide(connect(`${server.url}/chat?room=1`, options), scope))
    const peer = yield* server.next
    const request = yield* peer.answer(behind === undefined ? {} : { behind })
    const socket = yield* Fiber.join(connecting)
    return { peer, request, scope, socket }
  })

describe("the request", () => {
  it.live("has the headers that RFC 6455 requires, and those of the app", () =>
    Effect.gen(function* () {
      const { peer, request, scope, socket } = yield* connected({
        headers: { "X-Room": ["1", "2"], Cookie: "a=b" },
        origin: "http://example.com"
      })
      assert.match(request, /^GET \/chat\?room=1 HTTP\/1\.1\r\n/)
      assert.strictEqual(header(request, "Host"), socket.url.slice(5).replace("/chat?room=1", ""))
      assert.strictEqual(header(request, "Upgrade"), "websocket")
      assert.strictEqual(header(request, "Connection"), "Upgrade")
      assert.strictEqual(header(request, "Sec-WebSocket-Version"), "13")
      assert.match(header(request, "Sec-WebSocket-Key") ?? "", /^[A-Za-z0-9+/]{22}==$/)
      assert.strictEqual(header(request, "Origin"), "http://example.com")
      assert.strictEqual(header(request, "Cookie"), "a=b")
      assert.deepStrictEqual(request.match(/X-Room: \d/g), ["X-Room: 1", "X-Room: 2"])
      assert.strictEqual(header(request, "Sec-WebSocket-Extensions"), undefined)
      assert.strictEqual(socket.remoteAddress, "127.0.0.1")
      yield* Effect.forkChild(peer.farewell)
      yield* Scope.close(scope, Exit.void)
    })
  )

  it.live("names an IPv6 host in brackets", () =>
    Effect.gen(function* () {
      const server = yield* rawServer({ host: "::1" })
      const connecting = yield* Effect.forkChild(Effect.scoped(connect(`ws://[::1]:${server.port}`)))
      const peer = yield* server.next
      const request = yield* peer.until("\r\n\r\n")
      assert.strictEqual(header(request, "Host"), `[::1]:${server.port}`)
      assert.match(request, /^GET \/ HTTP/)
      peer.reset()
      yield* Effect.flip(Fiber.join(connecting))
    })
  )

  it.live.each<readonly [url: string, host: string]>([
    ["wss://localhost", "localhost"],
    ["wss://localhost:443", "localhost"],
    ["wss://localhost:80", "localhost:80"]
  ])("names the port only where it is not the default: %s", ([url, host]) =>
    Effect.scoped(
      Effect.gen(function* () {
        const requests = yield* Deferred.make<string>()
        const server = Tls.createServer(tls, (socket) => {
          socket.on("error", () => {})
          socket.once("data", (bytes) => {
            Deferred.doneUnsafe(requests, Exit.succeed(bytes.toString("latin1")))
            socket.end("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
          })
        })
        const port = yield* listen(server)
        // A socket that is connected already leads to the port, whatever the URL says.
        const socket = yield* Effect.callback<Net.Socket>((resume) => {
          const socket = Net.connect(port, "127.0.0.1", () => resume(Effect.succeed(socket)))
        })
        const error = yield* WebSocketClient.connect(url).pipe(
          Effect.scoped,
          Effect.flip,
          Effect.provide(NodeWebSocketClient.layerWith({ tls: { ca: tls.cert }, createConnection: () => socket }))
        )
        assert.strictEqual(facts(error)["status"], 404)
        assert.strictEqual(header(yield* Deferred.await(requests), "Host"), host)
      })
    )
  )

  it.live.each<readonly [name: string, url: string, options: WebSocketClient.ConnectOptions]>([
    ["a line break in a header", "", { headers: { "X-A": "a\r\nB: c" } }],
    ["a control character in a header", "", { headers: { "X-A": "\u0000" } }],
    ["a bad header name", "", { headers: { "X A": "a" } }],
    ["a header of the handshake", "", { headers: { "sec-websocket-key": "a" } }],
    ["a bad subprotocol", "", { protocols: ["a b"] }],
    ["a line break in the origin", "", { origin: "a\r\nb" }],
    ["a line break in the URL", "/a\r\nb", {}],
    ["a fragment", "/#a", {}]
  ])("is not sent with %s", ([, path, options]) =>
    Effect.scoped(
      Effect.gen(function* () {
        let connections = 0
        const port = yield* listen(
          Net.createServer((socket) => {
            connections++
            socket.destroy()
          })
        )
        const error = yield* Effect.flip(Effect.scoped(connect(`ws://127.0.0.1:${port}${path}`, options)))
        assert.strictEqual(facts(error)["_tag"], "Protocol_error")
        assert.strictEqual(facts(error)["origin"], "local")
        // The only connection that was made is one of our own, of which the server has told.
        yield* Effect.callback<void>((resume) => {
          const socket = Net.connect(port, "127.0.0.1").resume()
          socket.once("close", () => resume(Effect.void))
        })
        assert.strictEqual(connections, 1)
      })
    )
  )
})

describe("the answer", () => {
  it.live.each([200, 301, 401, 403, 404, 426, 429, 500, 503])("rejects status %d, with headers and body", (status) =>
    Effect.gen(function* () {
      const body = "no, and why ✗"
      const error = yield* attempt(
        answering(
          `HTTP/1.1 ${status} Whatever\r\nX-Why: because\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n` +
            `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
        )
      )
      if (!isHandshakeRejected(error)) return assert.fail(String(error))
      assert.strictEqual(error.status, status)
      assert.deepStrictEqual(error.headers["x-why"], "because")
      assert.deepStrictEqual(error.headers["set-cookie"], ["a", "b"])
      assert.strictEqual(Buffer.from(error.body).toString(), body)
      assert.strictEqual(error.bodyTruncated, false)
    })
  )

  it.live.each<readonly [name: string, head: string, bytes: number, kept: number, truncated: boolean]>([
    ["of 64 KiB", "Content-Length: 65536", 65536, 65536, false],
    ["above 64 KiB", "Content-Length: 200000", 200_000, 65536, true],
    ["without an end", "Transfer-Encoding: chunked", 200_000, 65536, true],
    ["up to the end of TCP", "Connection: close", 100, 100, false]
  ])("rejects with a body %s", ([name, head, bytes, kept, truncated]) =>
    Effect.gen(function* () {
      const chunk = head.endsWith("chunked") ? `${bytes.toString(16)}\r\n` : ""
      const error = yield* attempt((peer) =>
        Effect.map(peer.until("\r\n\r\n"), () => {
          peer.write(`HTTP/1.1 403 Forbidden\r\n${head}\r\n\r\n${chunk}${"x".repeat(bytes)}`)
          if (name.startsWith("up")) peer.end()
        })
      )
      if (!isHandshakeRejected(error)) return assert.fail(String(error))
      assert.strictEqual(error.body.length, kept)
      assert.strictEqual(error.bodyTruncated, truncated)
    })
  )

  it.live("rejects with a body that ends too early", () =>
    Effect.gen(function* () {
      const error = yield* attempt((peer) =>
        Effect.map(answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nhal")(peer), () => peer.end())
      )
      if (!isHandshakeRejected(error)) return assert.fail(String(error))
      assert.strictEqual(Buffer.from(error.body).toString(), "hal")
      assert.strictEqual(error.bodyTruncated, true)
    })
  )

  it.live.each<readonly [name: string, answer: (request: string) => string]>([
    [
      "no tokens",
      (request) =>
        answer101(request)
          .replace(/Upgrade: .*\r\n/, "")
          .replace(/Connection: .*\r\n/, "")
    ],
    ["no Upgrade", (request) => answer101(request).replace(/Upgrade: .*\r\n/, "")],
    ["another Upgrade", (request) => answer101(request).replace("websocket", "h2c")],
    ["no Connection", (request) => answer101(request).replace(/Connection: .*\r\n/, "")],
    ["no accept value", (request) => answer101(request).replace(/Sec-WebSocket-Accept: .*\r\n/, "")],
    ["another accept value", (request) => answer101(request).replace(/(Sec-WebSocket-Accept): .*\r\n/, "$1: AAAA\r\n")],
    ["two accept values", (request) => answer101(request).replace(/(Sec-WebSocket-Accept: .*\r\n)/, "$1$1")],
    ["a protocol nobody asked for", (request) => answer101(request, ["Sec-WebSocket-Protocol: other"])],
    ["two protocols", (request) => answer101(request, ["Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: a"])],
    ["an extension", (request) => answer101(request, ["Sec-WebSocket-Extensions: permessage-deflate"])]
  ])("fails for a 101 with %s", ([, answer]) =>
    Effect.gen(function* () {
      const error = yield* attempt(answering(answer), { protocols: ["a"] })
      assert.deepInclude(facts(error), { _tag: "Protocol_error", origin: "remote", closeCode: undefined })
    })
  )

  it.live.each<readonly [name: string, answer: string, reason: string]>([
    ["what is no HTTP", "\u0016\u0003\u0001 no HTTP at all\r\n\r\n", "InvalidResponse"],
    ["a status that is no number", "HTTP/1.1 abc Whatever\r\n\r\n", "InvalidResponse"],
    ["endless header bytes", `HTTP/1.1 101 Switching Protocols\r\nX: ${"x".repeat(100_000)}`, "HeadersTooLarge"],
    ["endless headers", `HTTP/1.1 101 Switching Protocols\r\n${"X: y\r\n".repeat(20_000)}`, "HeadersTooLarge"]
  ])("fails for %s", ([, answer, reason]) =>
    Effect.gen(function* () {
      assert.deepStrictEqual(facts(yield* attempt(answering(answer))), ioFacts(reason, "handshake"))
    })
  )

  it.effect.each(["", "HTTP/1.1 10", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"])(
    "fails where it does not come in time: %j",
    (bytes) =>
      Effect.gen(function* () {
        const error = yield* attempt(
          (peer) => answering(bytes)(peer).pipe(Effect.andThen(elapse("300 millis")), Effect.andThen(peer.left)),
          { openTimeout: "300 millis" }
        )
        assert.deepStrictEqual(facts(error), ioFacts("Timeout", "open"))
      })
  )

  const requestGone = "before a byte of the request is read"
  it.live.each<readonly [name: string, bytes: string]>([
    [requestGone, ""],
    ["before a byte", ""],
    ["in the status line", "HTTP/1.1 10"],
    ["in the headers", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websoc"],
    ["behind an interim answer", "HTTP/1.1 100 Continue\r\n\r\n"]
  ])("fails for a reset and for an end %s", ([name, bytes]) =>
    Effect.gen(function* () {
      for (const leave of ["reset", "end"] as const) {
        const error = yield* attempt((peer) =>
          Effect.gen(function* () {
            if (name !== requestGone) yield* peer.until("\r\n\r\n")
            if (bytes !== "")
              yield* Effect.callback<void>((resume) => void peer.socket.write(bytes, () => resume(Effect.void)))
            peer[leave]()
          })
        )
        // Where the request was not read, connecting itself may have failed.
        if (name === requestGone && facts(error)["operation"] === "connect") {
          assert.deepStrictEqual(facts(error), ioFacts("Connect", "connect"))
        } else {
          assert.deepStrictEqual(facts(error), ioFacts("Reset", "handshake"))
        }
      }
    })
  )

  it.live.each(["reset", "end"] as const)("tells a %s right behind the 101", (leave) =>
    Effect.gen(function* () {
      const server = yield* rawServer()
      const using = yield* Effect.forkChild(
        Effect.scoped(Effect.flip(Effect.flatMap(connect(server.url), (socket) => socket.receive)))
      )
      const peer = yield* server.next
      yield* peer.answer()
      peer[leave]()
      const error = facts(yield* Fiber.join(using))
      const ended = closedFacts(1006, "remote", false)
      // libuv tells an end where a reset comes together with data.
      if (leave === "end" || error["_tag"] === "Connection_closed") assert.deepStrictEqual(error, ended)
      else assert.deepInclude(error, { _tag: "Io_error", reason: "Reset" })
    }).pipe(Effect.scoped)
  )
})

describe("no way to the server", () => {
  it.live("fails if nobody listens", () =>
    Effect.gen(function* () {
      const port = yield* Effect.scoped(listen(Net.createServer()))
      const error = yield* Effect.flip(Effect.scoped(connect(`ws://127.0.0.1:${port}`)))
      assert.deepStrictEqual(facts(error), ioFacts("Connect", "connect"))
    })
  )

  it.live("fails if the name has no address", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(connect("ws://nonexistent.invalid")))
      assert.deepStrictEqual(facts(error), ioFacts("Resolve", "connect"))
    })
  )

  it.live("leaves nothing behind when it is interrupted", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = yield* rawServer()
        const connecting = yield* Effect.forkChild(Effect.scoped(connect(server.url)))
        const peer = yield* server.next
        yield* peer.until("\r\n\r\n")
        yield* Fiber.interrupt(connecting)
        yield* peer.left
      })
    )
  )
})

describe("wss:", () => {
  it.live("works with a trusted certificate, also for 1 MiB", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho({ tls })
      const payload = new Uint8Array(mebibyte).fill(7)
      for (const url of [server.address.url, `wss://localhost:${server.address.port}`]) {
        const status = yield* Effect.gen(function* () {
          const socket = yield* WebSocketClient.connect(url)
          yield* socket.send(payload)
          const { data } = yield* socket.receive
          assert.isTrue(typeof data !== "string" && Buffer.compare(data, payload) === 0)
          yield* socket.close(4000, "done")
          return yield* socket.closeStatus
        }).pipe(Effect.scoped, Effect.provide(NodeWebSocketClient.layerWith({ tls: { ca: tls.cert } })))
        assert.isTrue(status.clean)
        assert.strictEqual(status.received?.code, 4000)
      }
    })
  )

  it.live("fails for a certificate that is not trusted", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho({ tls })
      const error = yield* Effect.flip(Effect.scoped(connect(server.address.url)))
      assert.deepStrictEqual(facts(error), ioFacts("CertificateSelfSigned", "tls"))
    })
  )

  it.live("fails if the server does not speak TLS", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = yield* rawServer()
        const connecting = yield* Effect.forkChild(Effect.scoped(connect(`wss://127.0.0.1:${server.port}`)))
        const peer = yield* server.next
        peer.write("HTTP/1.1 400 Bad Request\r\n\r\n")
        assert.deepStrictEqual(facts(yield* Effect.flip(Fiber.join(connecting))), ioFacts("Tls", "tls"))
      })
    )
  )

  it.live("fails if the connection ends during the TLS handshake", () =>
    Effect.scoped(
      Effect.gen(function* () {
        for (const leave of ["reset", "end"] as const) {
          const server = yield* rawServer()
          const connecting = yield* Effect.forkChild(Effect.scoped(connect(`wss://127.0.0.1:${server.port}`)))
          const peer = yield* server.next
          yield* peer.until("\u0016")
          peer[leave]()
          assert.deepStrictEqual(facts(yield* Effect.flip(Fiber.join(connecting))), ioFacts("Tls", "tls"))
        }
      })
    )
  )
})

describe("the connection", () => {
  it.live("keeps the frames that come in one packet with the answer", () =>
    Effect.gen(function* () {
      const { peer, scope, socket } = yield* connected(
        {},
        Buffer.concat([
          frame(first.text, "early", false),
          frame(first.binary, new Uint8Array(100_000), false),
          frame(first.text, "cut", false).subarray(0, 1)
        ])
      )
      peer.write(frame(first.text, "cut", false).subarray(1))
      assert.strictEqual((yield* socket.receive).data, "early")
      assert.strictEqual((yield* socket.receive).data.length, 100_000)
      assert.strictEqual((yield* socket.receive).data, "cut")
      yield* Effect.forkChild(peer.farewell)
      yield* Scope.close(scope, Exit.void)
    })
  )

  it.live("masks every frame with another key", () =>
    Effect.gen(function* () {
      const { peer, scope, socket } = yield* connected()
      yield* socket.send("one")
      yield* socket.send("two")
      const bytes = yield* Effect.all([peer.frame, peer.frame])
      assert.deepStrictEqual(
        bytes.map(({ first, masked, payload }) => [first, masked, payload.toString()]),
        [
          [first.text, true, "one"],
          [first.text, true, "two"]
        ]
      )
      yield* Effect.forkChild(peer.farewell)
      yield* Scope.close(scope, Exit.void)
    })
  )

  it.live.each<readonly [name: string, bytes: Uint8Array, code: number, error: Record<string, unknown>]>([
    ["a masked frame", frame(first.text, "a", true), 1002, protocolFacts("RFC 6455 §5.1", 1002)],
    ["a reserved bit", frame(0xc1, "a", false), 1002, protocolFacts("RFC 6455 §5.2", 1002)],
    ["bad UTF-8", frame(0x01, new Uint8Array([0xff]), false), 1007, protocolFacts("RFC 6455 §8.1", 1007)],
    [
      "a length above the limit",
      Buffer.from([first.binary, 0x7f, 0, 0x20, 0, 0, 0, 0, 0, 0]),
      1009,
      { _tag: "Payload_too_large", direction: "inbound" }
    ]
  ])("closes with the code of %s", ([, bytes, code, expected]) =>
    Effect.scoped(
      Effect.gen(function* () {
        const { peer, socket } = yield* connected()
        peer.write(Buffer.concat([frame(first.text, "valid", false), bytes]))
        assert.strictEqual((yield* socket.receive).data, "valid")
        assert.deepInclude(facts(yield* Effect.flip(socket.receive)), expected)
        assert.strictEqual((yield* peer.frame).payload.readUInt16BE(), code)
        peer.end()
        yield* socket.closeStatus
      })
    )
  )

  it.live("reports an end without a Close, and a reset", () =>
    Effect.gen(function* () {
      const ended = yield* connected()
      ended.peer.end()
      assert.deepStrictEqual(facts(yield* Effect.flip(ended.socket.receive)), closedFacts(1006, "remote", false))
      const broken = yield* connected()
      broken.peer.reset()
      const error = yield* Effect.flip(broken.socket.receive)
      assert.deepStrictEqual(facts(error), ioFacts("Reset", "read"))
      assert.strictEqual(yield* Effect.flip(broken.socket.send("late")), error)
    })
  )
})

describe("scopes", () => {
  it.live.each<readonly [name: string, use: Effect.Effect<unknown, string>, code: number]>([
    ["a success", Effect.void, 1000],
    ["an interruption", Effect.interrupt, 1001],
    ["a failure", Effect.fail("no"), 1011],
    ["a defect", Effect.die("no"), 1011]
  ])("closes after %s", ([, use, code]) =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = yield* rawServer()
        const fiber = yield* Effect.forkChild(Effect.scoped(Effect.andThen(connect(server.url), use)))
        const peer = yield* server.next
        yield* peer.answer()
        assert.deepStrictEqual((yield* peer.farewell).payload, closing(code))
        const exit = yield* Fiber.await(fiber)
        assert.strictEqual(Exit.isSuccess(exit), code === 1000)
      })
    )
  )

  it.live("waits for the server to end TCP", () =>
    Effect.gen(function* () {
      const { peer, scope, socket } = yield* connected()
      const closed = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      const close = yield* peer.frame
      peer.write(frame(first.close, close.payload, false))
      yield* settled(() => peer.socket.bytesRead)
      assert.strictEqual(peer.socket.readableEnded, false)
      assert.isUndefined(Fiber.pollUnsafe(closed))
      peer.end()
      yield* Fiber.join(closed)
      assert.strictEqual((yield* socket.closeStatus).clean, true)
    })
  )

  it.effect("drops a server that never answers the Close, also for an interrupted fiber", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = yield* rawServer()
        const open = yield* Deferred.make<void>()
        const fiber = yield* Effect.forkChild(
          Effect.scoped(
            Effect.andThen(
              connect(server.url, { closeTimeout: "50 millis" }),
              Effect.andThen(Deferred.succeed(open, undefined), Effect.never)
            )
          )
        )
        const peer = yield* server.next
        yield* peer.answer()
        yield* Deferred.await(open)
        const interrupted = yield* Effect.forkChild(Fiber.interrupt(fiber))
        assert.deepStrictEqual((yield* peer.frame).payload, closing(1001))
        yield* elapse("50 millis")
        yield* Fiber.join(interrupted)
        yield* peer.left
      })
    )
  )

  it.effect("drops a server that never reads", () =>
    Effect.gen(function* () {
      const { peer, scope, socket } = yield* connected({ closeTimeout: "50 millis" })
      peer.socket.pause()
      const sender = yield* Effect.forkChild(Effect.forever(socket.send(new Uint8Array(65536))))
      yield* stalled(socket)
      const closed = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* elapse("50 millis")
      yield* Fiber.join(closed)
      assert.strictEqual((yield* socket.closeStatus).clean, false)
      assert.deepStrictEqual(facts(yield* Effect.flip(Fiber.join(sender))), closedFacts(1006, "local", false))
      peer.socket.resume()
      yield* peer.left
    })
  )
})

describe("connect without a client", () => {
  it.live.each<readonly [name: string, use: Effect.Effect<unknown, string>, code: number]>([
    ["a success", Effect.void, 1000],
    ["an interruption", Effect.interrupt, 1001],
    ["a failure", Effect.fail("no"), 1011]
  ])("closes after %s, as that of a client does", ([, use, code]) =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = yield* rawServer()
        const connecting = Effect.andThen(NodeWebSocketClient.connect(server.url), use)
        const fiber = yield* Effect.forkChild(Effect.scoped(connecting))
        const peer = yield* server.next
        yield* peer.answer()
        assert.deepStrictEqual((yield* peer.farewell).payload, closing(code))
        yield* Fiber.await(fiber)
      })
    )
  )

  it.live("fails as connect of a client does, and leaves nothing", () =>
    Effect.gen(function* () {
      const server = yield* rawServer()
      const open = (options?: NodeWebSocketClient.ConnectOptions) =>
        Effect.asVoid(Effect.scoped(NodeWebSocketClient.connect(server.url, options)))

      const rejected = yield* Effect.forkChild(Effect.flip(open()))
      const first = yield* server.next
      yield* answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")(first)
      const error = yield* Fiber.join(rejected)
      assert.isTrue(isHandshakeRejected(error) && error.status === 404)
      yield* first.left

      const late = yield* Effect.forkChild(Effect.flip(open({ openTimeout: "50 millis" })))
      const second = yield* server.next
      assert.deepStrictEqual(facts(yield* Fiber.join(late)), ioFacts("Timeout", "open"))
      yield* second.left

      const interrupted = yield* Effect.forkChild(open())
      const third = yield* server.next
      yield* Fiber.interrupt(interrupted)
      yield* third.left

      // Typed, before anything is sent: these are data, and no options of a client.
      for (const options of [
        { protocols: ["a b"] },
        { headers: { "a b": "1" } },
        { cookies: { "a b": "1" } },
        { auth: { username: "a:b", password: Redacted.make("") } }
      ]) {
        assert.deepInclude(facts(yield* Effect.flip(open(options))), { _tag: "Protocol_error", origin: "local" })
      }
      const twice = NodeWebSocketClient.connect("ws://a:b@127.0.0.1", { auth: { token: Redacted.make("c") } })
      assert.deepInclude(facts(yield* Effect.flip(Effect.scoped(twice))), { _tag: "Protocol_error", origin: "local" })
    })
  )

  it.live("has the deliveries, the subprotocols and the compression of a client", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho({ protocols: ["chat"], compression: true })
      const { hostname, port } = server.address
      const framed = yield* NodeWebSocketClient.connect("/chat", {
        baseUrl: `ws://${hostname}:${port}`,
        delivery: "frames",
        protocols: ["chat"]
      })
      assert.deepStrictEqual([framed.url, framed.protocol], [`ws://${hostname}:${port}/chat`, "chat"])
      yield* framed.send(Frame.text("hello"))
      assert.strictEqual(Frame.toText(yield* framed.receive), "hello")
      const compressed = yield* NodeWebSocketClient.connect(server.address.url, { compression: true })
      assert.strictEqual(compressed.extensions[0]?.name, "permessage-deflate")
    })
  )

  it.live("sends the cookies of the jar and its own, which the server decodes to the same values", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const route = yield* server.route({
        check: () => Effect.succeed(UpgradeCheck.accept(undefined, { headers: { "Set-Cookie": "session=1" } }))
      })
      const cookies = { theme: "dark & light; 100%", name: "Zoë" }
      const seen = yield* Effect.forkChild(
        Effect.replicateEffect(Effect.scoped(Effect.map(route.accept(), ({ request }) => request.cookies)), 2)
      )
      const visit = Effect.scoped(
        Effect.flatMap(NodeWebSocketClient.connect(server.address.url, { cookies }), (socket) => socket.closeStatus)
      )
      yield* Effect.andThen(visit, visit).pipe(Effect.provide(CookieJar.layer))
      assert.deepStrictEqual(yield* Fiber.join(seen), [cookies, { session: "1", ...cookies }])
    })
  )

  it.live("has a key from the app's source of randomness", () =>
    Effect.gen(function* () {
      const server = yield* rawServer()
      const random = { getRandomValues: (bytes: Uint8Array) => void bytes.fill(7) }
      yield* Effect.forkChild(Effect.scoped(NodeWebSocketClient.connect(server.url, { random })))
      const peer = yield* server.next
      assert.strictEqual(header(yield* peer.until("\r\n\r\n"), "Sec-WebSocket-Key"), "BwcHBwcHBwcHBwcHBwcHBw==")
    })
  )
})

describe("backpressure", () => {
  it.live("suspends send while the server does not read, within bounded memory", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* connected()
      peer.socket.pause()
      const payload = new Uint8Array(65536)
      // Several times as much as may be held.
      const total = 4_000
      const before = memory()
      let sent = 0
      yield* Effect.forkChild(
        Effect.repeat(
          Effect.tap(socket.send(payload), () => Effect.sync(() => sent++)),
          { times: total - 1 }
        )
      )
      yield* stalled(socket)
      assert.strictEqual(yield* settled(() => sent), sent)
      assert.isBelow(sent, total)
      assert.isAtMost(yield* socket.bufferedBytes, 65536 + payload.length + 14)
      assert.isBelow(memory() - before, 64 * mebibyte)
      yield* peer.count((bytes) => bytes >= total * (payload.length + 14))
      assert.strictEqual(yield* settled(() => sent), total)
      yield* socket.abort
    })
  )

  it.live("pauses the transport while nobody reads, and loses nothing", () =>
    Effect.gen(function* () {
      const { peer, socket } = yield* connected()
      for (let i = 0; i < 1000; i++) peer.write(frame(first.binary, stamped(i), false))
      assert.isAbove(yield* settled(() => peer.socket.writableLength), 16 * mebibyte)
      for (let i = 0; i < 1000; i++) {
        const { data } = yield* socket.receive
        assert.isTrue(typeof data !== "string" && data.length === 65536 && Buffer.from(data).readUInt32BE() === i)
      }
      assert.strictEqual(peer.socket.writableLength, 0)
      yield* socket.abort
    })
  )

  it.live("holds between both ends of the library", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const connecting = yield* Effect.forkChild(connect(server.address.url))
      const receiver = yield* server.accept()
      const sender = yield* Fiber.join(connecting)
      const sending = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 1000 }, (_, i) => i),
          (i) => sender.send(stamped(i)),
          { discard: true }
        )
      )
      yield* stalled(sender)
      assert.isUndefined(Fiber.pollUnsafe(sending))
      for (let i = 0; i < 1000; i++) {
        const { data } = yield* receiver.receive
        assert.isTrue(typeof data !== "string" && Buffer.from(data).readUInt32BE() === i)
      }
      yield* Fiber.join(sending)
    })
  )
})
