import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as Origin from "@effect-websocket/protocol/Origin"
import * as Http from "node:http"
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import * as Tls from "node:tls"
import { Cause, Deferred, Effect, Exit, Fiber, Layer, Queue, Scope } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { collectGarbage } from "../collectGarbage.js"
import { interruptedAt } from "../scheduling.js"
import {
  childScope,
  closedFacts,
  closing,
  elapse,
  eventually,
  facts,
  first,
  frame,
  header,
  ioFacts,
  key,
  listen,
  mebibyte,
  memory,
  noHandlesLeft,
  Peer,
  protocolFacts,
  rawClient,
  rawWebSocket,
  readResponse,
  serve,
  serveEcho,
  settled,
  stalled,
  stamped,
  tls,
  upgradeRequest,
  withLog
} from "./support.js"

afterEach(noHandlesLeft)

/** Asserts that a server still serves. */
const assertServes = (port: number) =>
  Effect.scoped(
    Effect.gen(function* () {
      const peer = yield* rawWebSocket(port)
      peer.write(frame(first.text, "still there", true))
      assert.strictEqual((yield* peer.frame).payload.toString(), "still there")
      peer.write(frame(first.close, closing(1000), true))
      assert.deepStrictEqual((yield* peer.frame).payload, closing(1000))
    })
  )

describe("a handler with a check", () => {
  it.live("answers 403 before the upgrade, and opens for the others", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const check = ({ headers }: UpgradeCheck.Request) => headers["x-token"] === "secret"
      // A check that answers yes or no.
      yield* Layer.build(
        WebSocketServer.layerHandler((socket) => socket.run((message) => socket.send(message)), {
          check: (request) => Effect.succeed(check(request) ? UpgradeCheck.accept() : UpgradeCheck.reject(403))
        }).pipe(Layer.provide(Layer.succeed(WebSocketServer.WebSocketServer, server)))
      )
      const refused = yield* rawClient(server.address.port)
      refused.write(upgradeRequest())
      assert.match((yield* readResponse(refused)).head, /^HTTP\/1\.1 403 Forbidden\r\n/)
      const peer = yield* rawClient(server.address.port)
      peer.write(upgradeRequest({ "X-Token": "secret" }))
      assert.match(yield* peer.until("\r\n\r\n"), /^HTTP\/1\.1 101 /)
      peer.write(frame(first.text, "hello", true))
      assert.strictEqual((yield* peer.frame).payload.toString(), "hello")
      peer.write(frame(first.close, closing(1000), true))
      assert.deepStrictEqual((yield* peer.frame).payload, closing(1000))
    })
  )
})

describe("the opening handshake", () => {
  it.live("answers 101 and hands the request over", () =>
    Effect.gen(function* () {
      const server = yield* serve({ protocols: ["b", "a"] })
      const peer = yield* rawClient(server.address.port)
      peer.write(upgradeRequest({ "Sec-WebSocket-Protocol": "a, b", "X-Room": "1" }))
      const socket = yield* server.accept()
      const answer = yield* peer.until("\r\n\r\n")
      assert.match(answer, /^HTTP\/1\.1 101 Switching Protocols\r\n/)
      assert.strictEqual(header(answer, "Sec-WebSocket-Protocol"), "b")
      assert.strictEqual(header(answer, "Sec-WebSocket-Extensions"), undefined)
      assert.strictEqual(socket.protocol, "b")
      assert.strictEqual(socket.url, "/chat?room=1")
      assert.strictEqual(socket.remoteAddress, "127.0.0.1")
      assert.deepStrictEqual(socket.request.headers["x-room"], "1")
      yield* socket.abort
    })
  )

  it.live.each<readonly [name: string, request: string, status: number]>([
    ["another method", upgradeRequest({}, "POST / HTTP/1.1"), 400],
    ["HTTP/1.0", upgradeRequest({}, "GET / HTTP/1.0"), 400],
    ["no key", upgradeRequest({ "Sec-WebSocket-Key": undefined }), 400],
    ["two keys", upgradeRequest({ "Sec-WebSocket-Key": [key, key] }), 400],
    ["a key of 15 bytes", upgradeRequest({ "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAA" }), 400],
    ["a key that is not base64", upgradeRequest({ "Sec-WebSocket-Key": "!GhlIHNhbXBsZSBub25jZQ==" }), 400],
    ["no Upgrade", upgradeRequest({ Upgrade: undefined }), 400],
    ["another Upgrade", upgradeRequest({ Upgrade: "h2c" }), 400],
    ["no Connection", upgradeRequest({ Connection: undefined }), 400],
    ["Connection without the token", upgradeRequest({ Connection: "keep-alive" }), 400],
    ["no version", upgradeRequest({ "Sec-WebSocket-Version": undefined }), 400],
    ["two versions", upgradeRequest({ "Sec-WebSocket-Version": ["13", "13"] }), 400],
    ["version 8", upgradeRequest({ "Sec-WebSocket-Version": "8" }), 426],
    ["a malformed protocol", upgradeRequest({ "Sec-WebSocket-Protocol": "a b" }), 400],
    ["two hosts", upgradeRequest({ Host: ["a", "b"] }), 400],
    ["another origin", upgradeRequest({ Origin: "http://evil.example" }), 403]
  ])("refuses %s, completely and in the log", ([, request, status]) =>
    withLog((log) =>
      Effect.scoped(
        Effect.gen(function* () {
          const server = yield* serveEcho()
          const peer = yield* rawClient(server.address.port)
          peer.write(request)
          const response = yield* readResponse(peer)
          assert.strictEqual(response.status, status)
          assert.strictEqual(header(response.head, "Connection"), "close")
          assert.notStrictEqual(response.body.trim(), "")
          assert.strictEqual(header(response.head, "Sec-WebSocket-Version"), status === 426 ? "13" : undefined)
          assert.strictEqual(header(response.head, "Upgrade"), status === 426 ? "websocket" : undefined)
          assert.deepStrictEqual(
            log.map((entry) => entry.level),
            ["WARN"]
          )
          assert.include(log[0]?.message.join(), response.body.trim())
          yield* assertServes(server.address.port)
        })
      )
    )
  )

  it.live("answers 426 to a request that is not an upgrade", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho()
      const peer = yield* rawClient(server.address.port)
      peer.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      const response = yield* readResponse(peer)
      assert.strictEqual(response.status, 426)
      assert.strictEqual(header(response.head, "Upgrade"), "websocket")
      assert.match(header(response.head, "Connection") ?? "", /\bclose\b/)
      assert.notStrictEqual(response.body.trim(), "")
      yield* assertServes(server.address.port)
    })
  )

  it.live("answers 400 to anything that is not HTTP", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho()
      const peer = yield* rawClient(server.address.port)
      peer.write("\u0016\u0003\u0001 garbage\r\n\r\n")
      assert.match((yield* peer.rest).toString(), /^HTTP\/1\.1 400 /)
      yield* assertServes(server.address.port)
    })
  )

  it.live("answers 431 to endless header bytes", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho()
      const peer = yield* rawClient(server.address.port)
      peer.write(`GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(32 * 1024)}`)
      assert.match(yield* peer.until("\r\n"), /^HTTP\/1\.1 431 /)
      yield* peer.left
      yield* assertServes(server.address.port)
    })
  )

  it.live.each<readonly [name: string, origin: string | undefined]>([
    ["no origin", undefined],
    ["the same origin", "http://127.0.0.1"]
  ])("accepts %s", ([, origin]) =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = yield* serveEcho()
        const peer = yield* rawClient(server.address.port)
        peer.write(upgradeRequest({ Origin: origin }))
        assert.match(yield* peer.until("\r\n\r\n"), /^HTTP\/1\.1 101 /)
      })
    )
  )

  it.live("asks the origin policy it was given", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho({ origin: Origin.allowList(["https://good.example"]) })
      const good = yield* rawClient(server.address.port)
      good.write(upgradeRequest({ Origin: "https://good.example" }))
      assert.match(yield* good.until("\r\n\r\n"), /^HTTP\/1\.1 101 /)
      const same = yield* rawClient(server.address.port)
      same.write(upgradeRequest({ Origin: "http://127.0.0.1" }))
      assert.strictEqual((yield* readResponse(same)).status, 403)
    })
  )

  const firstOf = (short: Effect.Effect<Buffer>, long: Effect.Effect<Buffer>) =>
    Effect.raceFirst(
      Effect.map(long, (bytes) => `long: ${bytes.toString()}`),
      Effect.map(short, (bytes) => `short: ${bytes.toString()}`)
    )

  it.live.each(["", "GET / HT", upgradeRequest().slice(0, -2)])(
    "gives up on a request that does not arrive: %j",
    (bytes) =>
      Effect.scoped(
        Effect.gen(function* () {
          const patient = yield* serveEcho()
          const other = yield* rawClient(patient.address.port)
          const server = yield* serveEcho({ handshakeTimeout: "100 millis" })
          const peer = yield* rawClient(server.address.port)
          if (bytes !== "") peer.write(bytes)
          // The default is 10 seconds.
          assert.match(yield* firstOf(peer.rest, other.rest), /^short: HTTP\/1\.1 408 /)
        })
      )
  )

  it.live("gives up on a TLS handshake that does not come", () =>
    Effect.gen(function* () {
      const patient = yield* serveEcho({ tls })
      const other = yield* rawClient(patient.address.port)
      const server = yield* serveEcho({ tls, handshakeTimeout: "100 millis" })
      const peer = yield* rawClient(server.address.port)
      // The default is 10 seconds.
      assert.strictEqual(yield* firstOf(peer.rest, other.rest), "short: ")
    })
  )

  it.live("answers 503 if no accept takes the request in time", () =>
    Effect.gen(function* () {
      const server = yield* serve({ handshakeTimeout: "100 millis" })
      const peer = yield* rawClient(server.address.port)
      peer.write(upgradeRequest())
      assert.strictEqual((yield* readResponse(peer)).status, 503)
    })
  )

  it.live("keeps the frames that come in one packet with the request", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho()
      const peer = yield* rawClient(server.address.port)
      const large = "x".repeat(100_000)
      peer.write(
        Buffer.concat([
          Buffer.from(upgradeRequest()),
          frame(first.text, "early", true),
          frame(first.text, large, true),
          frame(first.text, "cut", true).subarray(0, 3)
        ])
      )
      yield* peer.until("\r\n\r\n")
      peer.write(frame(first.text, "cut", true).subarray(3))
      assert.strictEqual((yield* peer.frame).payload.toString(), "early")
      assert.strictEqual((yield* peer.frame).payload.toString(), large)
      assert.strictEqual((yield* peer.frame).payload.toString(), "cut")
    })
  )

  it.live.each<readonly [name: string, bytes: string]>([
    ["before a byte", ""],
    ["in the request line", "GET / HT"],
    ["in the headers", upgradeRequest().slice(0, 40)],
    ["behind the request", upgradeRequest()],
    ["behind a refused request", upgradeRequest({ Origin: "http://evil.example" })]
  ])("survives a reset and an end %s", ([, bytes]) =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = yield* serveEcho()
        for (const leave of ["reset", "end"] as const) {
          const peer = yield* rawClient(server.address.port)
          if (bytes !== "")
            yield* Effect.callback<void>((resume) => void peer.socket.write(bytes, () => resume(Effect.void)))
          peer[leave]()
          if (leave === "reset") yield* peer.closed
          yield* assertServes(server.address.port)
        }
      })
    )
  )

  it.live("survives a reset while the request waits for an accept", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const gone = yield* rawClient(server.address.port)
      gone.write(upgradeRequest())
      // Another request that came later is waiting by the time its own refusal is answered.
      const refused = yield* rawClient(server.address.port)
      refused.write(upgradeRequest({ "Sec-WebSocket-Key": undefined }))
      assert.strictEqual((yield* readResponse(refused)).status, 400)
      gone.reset()
      const peer = yield* rawClient(server.address.port)
      peer.write(upgradeRequest({}, "GET /second HTTP/1.1"))
      refused.end()
      yield* refused.closed
      let socket = yield* server.accept()
      // The one that is gone may be taken where the reset has not been seen yet, but then it is over.
      if (socket.url !== "/second") {
        assert.strictEqual((yield* socket.closeStatus).clean, false)
        socket = yield* server.accept()
      }
      assert.strictEqual(socket.url, "/second")
      yield* peer.until("\r\n\r\n")
      yield* socket.abort
    })
  )
})

describe("bad input", () => {
  const rows: ReadonlyArray<readonly [name: string, bytes: Uint8Array, code: number, error: Record<string, unknown>]> =
    [
      ["an unmasked frame", frame(first.text, "a", false), 1002, protocolFacts("RFC 6455 §5.1", 1002)],
      ["a reserved bit", frame(0xc1, "a", true), 1002, protocolFacts("RFC 6455 §5.2", 1002)],
      ["a reserved opcode", frame(0x83, "a", true), 1002, protocolFacts("RFC 6455 §5.2", 1002)],
      ["a continuation of nothing", frame(0x80, "a", true), 1002, protocolFacts("RFC 6455 §5.4", 1002)],
      [
        "a close code that may not travel",
        frame(first.close, closing(1006), true),
        1002,
        protocolFacts("RFC 6455 §7.4", 1002)
      ],
      [
        "bad UTF-8 in a message that has not ended",
        frame(0x01, new Uint8Array([0xff]), true),
        1007,
        protocolFacts("RFC 6455 §8.1", 1007)
      ],
      [
        "a length above the limit, on the header",
        Buffer.from([first.binary, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        1009,
        { _tag: "Payload_too_large" }
      ]
    ]
  it.live.each(rows)("closes with the code of %s, and ends TCP first", ([, bytes, code, expected]) =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = yield* serve()
        const handled = yield* Deferred.make<ReadonlyArray<unknown>>()
        yield* Effect.forkScoped(
          server.run((socket) => {
            const messages: Array<unknown> = []
            return Effect.flatMap(Effect.flip(socket.run((message) => void messages.push(message.data))), (error) =>
              Deferred.succeed(handled, [...messages, error])
            )
          })
        )
        const peer = yield* rawWebSocket(server.address.port)
        peer.write(Buffer.concat([frame(first.text, "valid", true), bytes]))
        const { payload } = yield* peer.frame
        assert.strictEqual(payload.readUInt16BE(), code)
        assert.strictEqual((yield* peer.rest).length, 0)
        const [message, error] = yield* Deferred.await(handled)
        assert.strictEqual(message, "valid")
        assert.deepInclude(facts(error), expected)
        peer.end()
        yield* peer.closed
      })
    )
  )

  it.live("ignores data behind a Close", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho()
      const peer = yield* rawWebSocket(server.address.port)
      peer.write(Buffer.concat([frame(first.close, closing(4000, "bye"), true), frame(0xff, "nonsense", true)]))
      assert.deepStrictEqual((yield* peer.frame).payload, closing(4000))
      assert.strictEqual((yield* peer.rest).length, 0)
    })
  )

  it.live("reports an end without a Close, and a reset", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const ended = yield* rawClient(server.address.port)
      ended.write(upgradeRequest())
      const first = yield* server.accept()
      ended.end()
      assert.deepStrictEqual(facts(yield* Effect.flip(first.receive)), closedFacts(1006, "remote", false))
      yield* ended.closed
      const broken = yield* rawClient(server.address.port)
      broken.write(upgradeRequest())
      const second = yield* server.accept()
      yield* broken.until("\r\n\r\n")
      broken.reset()
      const error = yield* Effect.flip(second.receive)
      assert.deepStrictEqual(facts(error), ioFacts("Reset", "read"))
      assert.strictEqual(yield* Effect.flip(second.send("late")), error)
      assert.strictEqual((yield* second.closeStatus).error, error)
    })
  )
})

describe("scopes", () => {
  /** Opens a connection in a scope of its own, and what its peer sees. */
  const accepted = (options?: Partial<NodeWebSocketServer.PortOptions>) =>
    Effect.gen(function* () {
      const server = yield* serve(options)
      const peer = yield* rawClient(server.address.port)
      peer.write(upgradeRequest())
      const scope = yield* childScope
      const socket = yield* Scope.provide(server.accept(), scope)
      yield* peer.until("\r\n\r\n")
      return { server, peer, scope, socket }
    })

  it.live.each<readonly [name: string, exit: Exit.Exit<void, string>, code: number]>([
    ["a success", Exit.void, 1000],
    ["an interruption", Exit.interrupt(), 1001],
    ["a failure", Exit.fail("no"), 1011],
    ["a defect", Exit.die("no"), 1011]
  ])("closes after %s", ([, exit, code]) =>
    Effect.scoped(
      Effect.gen(function* () {
        const { peer, scope, socket } = yield* accepted()
        const closed = yield* Effect.forkChild(Scope.close(scope, exit))
        assert.deepStrictEqual((yield* peer.farewell).payload, closing(code))
        yield* Fiber.join(closed)
        const status = yield* socket.closeStatus
        assert.strictEqual(status.clean, true)
        assert.deepStrictEqual(facts(status.error), closedFacts(code, "local"))
      })
    )
  )

  it.live.each<readonly [name: string, handler: Effect.Effect<void, string>, code: number]>([
    ["succeeds", Effect.void, 1000],
    ["fails", Effect.fail("no"), 1011],
    ["dies", Effect.die("no"), 1011]
  ])("closes when a handler %s, and no other connection", ([, handler, code]) =>
    withLog(() =>
      Effect.scoped(
        Effect.gen(function* () {
          const server = yield* serve()
          yield* Effect.forkScoped(
            server.run((socket) =>
              Effect.gen(function* () {
                const { data } = yield* socket.receive
                if (data === "end") return yield* handler
                yield* socket.send(data)
                return yield* Effect.never
              })
            )
          )
          const other = yield* rawWebSocket(server.address.port)
          const peer = yield* rawWebSocket(server.address.port)
          peer.write(frame(first.text, "end", true))
          assert.deepStrictEqual((yield* peer.farewell).payload, closing(code))
          other.write(frame(first.text, "mine", true))
          assert.strictEqual((yield* other.frame).payload.toString(), "mine")
        })
      )
    )
  )

  it.live("closes with 1001 when run is interrupted", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const running = yield* Effect.forkChild(server.run(() => Effect.never))
      const peer = yield* rawWebSocket(server.address.port)
      const interrupted = yield* Effect.forkChild(Fiber.interrupt(running))
      assert.deepStrictEqual((yield* peer.farewell).payload, closing(1001))
      yield* Fiber.join(interrupted)
    })
  )

  it.effect("drops a peer that never answers the Close, also for an interrupted fiber", () =>
    Effect.gen(function* () {
      const server = yield* serve({ closeTimeout: "50 millis" })
      const running = yield* Effect.forkChild(server.run(() => Effect.never))
      const peer = yield* rawWebSocket(server.address.port)
      const interrupted = yield* Effect.forkChild(Fiber.interrupt(running))
      assert.deepStrictEqual((yield* peer.frame).payload, closing(1001))
      yield* elapse("50 millis")
      yield* Fiber.join(interrupted)
      yield* peer.left
    })
  )

  it.effect("drops a peer that never reads", () =>
    Effect.gen(function* () {
      const { peer, scope, socket } = yield* accepted({ closeTimeout: "50 millis" })
      peer.socket.pause()
      const sender = yield* Effect.forkChild(Effect.forever(socket.send(new Uint8Array(65536))))
      yield* stalled(socket)
      const closed = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* elapse("50 millis")
      yield* Fiber.join(closed)
      assert.strictEqual((yield* socket.closeStatus).clean, false)
      const exit = yield* Fiber.await(sender)
      assert.deepStrictEqual(Exit.isFailure(exit) && facts(Cause.squash(exit.cause)), {
        ...closedFacts(1006, "local", false)
      })
      peer.socket.resume()
      yield* peer.left
    })
  )

  it.live("closes the remaining connections with 1001 when the layer is released, and frees the port", () =>
    Effect.gen(function* () {
      const port = yield* Effect.scoped(
        Effect.gen(function* () {
          const scope = yield* childScope
          const server = yield* Scope.provide(serve(), scope)
          const peers: Array<Peer> = []
          for (let i = 0; i < 3; i++) {
            const peer = yield* rawClient(server.address.port)
            peer.write(upgradeRequest())
            yield* Scope.provide(server.accept(), yield* Effect.scope)
            yield* peer.until("\r\n\r\n")
            peers.push(peer)
          }
          const waiting = yield* rawClient(server.address.port)
          waiting.write(upgradeRequest())
          const idle = yield* rawClient(server.address.port)
          idle.write("GET / HT")
          // A complete answer on one more connection: by then the request before it waits.
          const refused = yield* rawClient(server.address.port)
          refused.write(upgradeRequest({ Upgrade: undefined }))
          yield* readResponse(refused)
          const released = yield* Effect.forkChild(Scope.close(scope, Exit.void))
          // All Closes go out before the first is answered.
          const closes = yield* Effect.forEach(peers, (peer) => peer.frame)
          assert.deepStrictEqual(
            closes.map(({ payload }) => payload),
            peers.map(() => closing(1001))
          )
          assert.strictEqual((yield* readResponse(waiting)).status, 503)
          const late = yield* Effect.callback<string>((resume) => {
            const socket = Net.connect(server.address.port, "127.0.0.1")
            socket.once("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code ?? "")))
          })
          assert.strictEqual(late, "ECONNREFUSED")
          for (const peer of peers) {
            peer.write(frame(first.close, closing(1001), true))
            assert.strictEqual((yield* peer.rest).length, 0)
            peer.end()
          }
          yield* Fiber.join(released)
          yield* idle.left
          return server.address.port
        })
      )
      yield* Effect.scoped(serve({ port }))
    })
  )
})

describe("the listener", () => {
  it.live("reports its address", () =>
    Effect.gen(function* () {
      const local = yield* serve()
      assert.isAbove(local.address.port, 0)
      assert.deepStrictEqual(local.address, {
        hostname: "127.0.0.1",
        port: local.address.port,
        url: `ws://127.0.0.1:${local.address.port}`,
        socketPath: undefined
      })
      const secure = yield* serve({ tls })
      assert.strictEqual(secure.address.url, `wss://127.0.0.1:${secure.address.port}`)
    })
  )

  it.live("fails if the port is in use", () =>
    Effect.gen(function* () {
      const { address } = yield* serve()
      const error = yield* Effect.flip(Effect.scoped(serve({ port: address.port })))
      assert.deepStrictEqual(facts(error), ioFacts("Listen", "listen"))
      assert.strictEqual((error.cause as NodeJS.ErrnoException).code, "EADDRINUSE")
    })
  )

  it.live("serves wss:", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho({ tls })
      const peer = yield* Effect.acquireRelease(
        Effect.callback<Peer>((resume) => {
          const socket = Tls.connect({ port: server.address.port, host: "127.0.0.1", ca: tls.cert }, () =>
            resume(Effect.succeed(new Peer(socket)))
          )
        }),
        (peer) =>
          Effect.andThen(
            Effect.sync(() => peer.socket.destroy()),
            peer.closed
          )
      )
      peer.write(upgradeRequest())
      yield* peer.until("\r\n\r\n")
      peer.write(frame(first.text, "secret", true))
      assert.strictEqual((yield* peer.frame).payload.toString(), "secret")
      peer.write(frame(first.close, closing(1000), true))
      assert.deepStrictEqual((yield* peer.frame).payload, closing(1000))
      assert.strictEqual((yield* peer.rest).length, 0)
    })
  )
})

describe("fromUpgrade", () => {
  it.live("accepts on a server of the app, with the head", () =>
    Effect.gen(function* () {
      const own = Http.createServer((_, response) => response.end("mine"))
      const upgrades = yield* Queue.unbounded<readonly [Http.IncomingMessage, Duplex, Buffer]>()
      own.on("upgrade", (...upgrade) => Queue.offerUnsafe(upgrades, upgrade))
      const port = yield* listen(own)

      const good = yield* rawClient(port)
      good.write(Buffer.concat([Buffer.from(upgradeRequest()), frame(first.text, "early", true)]))
      yield* Effect.scoped(
        Effect.gen(function* () {
          const socket = yield* NodeWebSocketServer.fromUpgrade(...(yield* Queue.take(upgrades)))
          yield* good.until("\r\n\r\n")
          assert.strictEqual((yield* socket.receive).data, "early")
          yield* Effect.forkDetach(good.farewell)
        })
      )
      yield* good.closed

      const bad = yield* rawClient(port)
      bad.write(upgradeRequest({ "Sec-WebSocket-Key": undefined }))
      const error = yield* Effect.flip(NodeWebSocketServer.fromUpgrade(...(yield* Queue.take(upgrades))))
      assert.deepStrictEqual(facts(error), protocolFacts("RFC 6455 §4.2.1"))
      assert.strictEqual((yield* readResponse(bad)).status, 400)

      const evil = yield* rawClient(port)
      evil.write(upgradeRequest({ Origin: "http://evil.example" }))
      const refused = yield* Effect.flip(NodeWebSocketServer.fromUpgrade(...(yield* Queue.take(upgrades))))
      assert.deepStrictEqual(facts(refused), protocolFacts("RFC 6455 §10.2"))
      assert.strictEqual((yield* readResponse(evil)).status, 403)
    })
  )

  it.live("refuses a request of which Node has dropped headers, as many as the server of the app says", () =>
    Effect.gen(function* () {
      const own = Http.createServer()
      const upgrades = yield* Queue.unbounded<readonly [Http.IncomingMessage, Duplex, Buffer]>()
      own.on("upgrade", (...upgrade) => Queue.offerUnsafe(upgrades, upgrade))
      const port = yield* listen(own)
      const request = upgradeRequest({ A: Array.from({ length: 1100 }, () => "") })
      const refused = yield* rawClient(port)
      refused.write(request)
      // Newer versions of Node may refuse it themselves.
      const accepting = yield* Effect.forkChild(
        Effect.flatMap(Queue.take(upgrades), (upgrade) => Effect.exit(NodeWebSocketServer.fromUpgrade(...upgrade)))
      )
      assert.match(yield* refused.until("\r\n"), /^HTTP\/1\.1 431 /)
      yield* Fiber.interrupt(accepting)

      own.maxHeadersCount = 0
      const accepted = yield* rawClient(port)
      accepted.write(request)
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* NodeWebSocketServer.fromUpgrade(...(yield* Queue.take(upgrades)))
          assert.match(yield* accepted.until("\r\n\r\n"), /^HTTP\/1\.1 101 /)
          yield* Effect.forkDetach(accepted.farewell)
        })
      )
      yield* accepted.closed
    })
  )

  it.live("is a defect for a socket that carries a WebSocket, which goes on", () =>
    Effect.gen(function* () {
      const own = Http.createServer()
      const upgrades = yield* Queue.unbounded<readonly [Http.IncomingMessage, Duplex, Buffer]>()
      own.on("upgrade", (...upgrade) => Queue.offerUnsafe(upgrades, upgrade))
      const port = yield* listen(own)
      const peer = yield* rawClient(port)
      peer.write(upgradeRequest())
      const upgrade = yield* Queue.take(upgrades)
      const calledBefore = NodeWebSocketServer.fromUpgrade(...upgrade)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const socket = yield* NodeWebSocketServer.fromUpgrade(...upgrade)
          for (const second of [calledBefore, NodeWebSocketServer.fromUpgrade(...upgrade)]) {
            const exit = yield* Effect.exit(second)
            assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
          }
          const head = yield* peer.until("\r\n\r\n")
          assert.isTrue(head.endsWith("\r\n\r\n"))
          peer.write(frame(first.text, "heard", true))
          assert.strictEqual((yield* socket.receive).data, "heard")
          yield* Effect.forkDetach(peer.farewell)
        })
      )
      yield* peer.closed
    })
  )

  it.live("opens nothing for a client that ended before, at whatever moment", () =>
    Effect.gen(function* () {
      const own = Http.createServer()
      const upgrades = yield* Queue.unbounded<readonly [Http.IncomingMessage, Duplex, Buffer]>()
      own.on("upgrade", (...upgrade) => Queue.offerUnsafe(upgrades, upgrade))
      const port = yield* listen(own)
      for (const when of ["before the call", "behind the call"] as const) {
        const peer = yield* rawClient(port)
        peer.write(upgradeRequest())
        const upgrade = yield* Queue.take(upgrades)
        const accept = () => NodeWebSocketServer.fromUpgrade(...upgrade)
        const called = when === "behind the call" ? accept() : undefined
        peer.end()
        const [, socket] = upgrade
        yield* eventually(() => socket.readableEnded)
        assert.deepStrictEqual(facts(yield* Effect.flip(called ?? accept())), ioFacts("Reset", "handshake"))
        assert.strictEqual((yield* peer.rest).length, 0)
      }
    })
  )

  it.live("answers in the order of the requests", () =>
    Effect.gen(function* () {
      const responses: Array<Http.ServerResponse> = []
      const own = Http.createServer((_, response) => responses.push(response))
      const upgrades = yield* Queue.unbounded<readonly [Http.IncomingMessage, Duplex, Buffer]>()
      own.on("upgrade", (...upgrade) => Queue.offerUnsafe(upgrades, upgrade))
      const peer = yield* rawClient(yield* listen(own))
      peer.write(`GET / HTTP/1.1\r\nHost: a\r\n\r\n${upgradeRequest()}`)
      const accepting = yield* Effect.forkChild(NodeWebSocketServer.fromUpgrade(...(yield* Queue.take(upgrades))))
      yield* Effect.yieldNow
      responses[0]?.end("mine")
      assert.match(yield* peer.until("mine"), /^HTTP\/1\.1 200 /)
      assert.match(yield* peer.until("\r\n\r\n"), /^HTTP\/1\.1 101 /)
      const socket = yield* Fiber.join(accepting)
      yield* Effect.forkDetach(peer.farewell)
      yield* socket.close()
    })
  )

  it.live("answers nobody, and leaves no listener, if it is interrupted before its turn", () =>
    Effect.gen(function* () {
      let waits = 0
      const responses: Array<Http.ServerResponse> = []
      const own = Http.createServer((_, response) => responses.push(response))
      const upgrades = yield* Queue.unbounded<readonly [Http.IncomingMessage, Duplex, Buffer]>()
      own.on("upgrade", (...upgrade) => Queue.offerUnsafe(upgrades, upgrade))
      const port = yield* listen(own)
      for (let k = 1; k <= 20; k++) {
        const peer = yield* rawClient(port)
        peer.write(`GET / HTTP/1.1\r\nHost: a\r\n\r\n${upgradeRequest()}`)
        const upgrade = yield* Queue.take(upgrades)
        const [, socket] = upgrade
        const response = responses.pop()
        assert(response !== undefined)
        const listeners = () => [
          ...["drain", "readable", "newListener", "end", "close"].map((event) => socket.listenerCount(event)),
          response.listenerCount("close")
        ]
        const before = listeners()
        // Between two operations, or in the wait itself.
        const accepting = yield* Effect.forkChild(interruptedAt(k, NodeWebSocketServer.fromUpgrade(...upgrade)))
        yield* eventually(
          () => Fiber.pollUnsafe(accepting) !== undefined || response.listenerCount("close") > before.at(-1)!
        )
        const waited = Fiber.pollUnsafe(accepting) === undefined
        yield* Fiber.interrupt(accepting)
        if (waited) assert.deepStrictEqual(listeners(), before)
        else assert.deepStrictEqual([listeners().at(0), listeners().at(-1)], [before.at(0), before.at(-1)])
        waits += waited ? 1 : 0
        response.end("mine")
        assert.match(yield* peer.until("mine"), /^HTTP\/1\.1 200 /)
        socket.end()
        assert.strictEqual((yield* peer.rest).length, 0)
      }
      assert.isAbove(waits, 0)
    })
  )
})

describe("backpressure", () => {
  it.live("suspends send while the peer does not read, within bounded memory", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const peer = yield* rawClient(server.address.port)
      peer.write(upgradeRequest())
      const socket = yield* server.accept()
      yield* peer.until("\r\n\r\n")
      peer.socket.pause()
      const payload = new Uint8Array(65536)
      // All of it is more than either bound.
      const total = 6_000
      const before = memory()
      let sent = 0
      const sender = yield* Effect.forkChild(
        Effect.repeat(
          Effect.tap(socket.send(payload), () => Effect.sync(() => sent++)),
          { times: total - 1 }
        )
      )
      yield* stalled(socket)
      assert.strictEqual(yield* settled(() => sent), sent)
      assert.isBelow(sent, total)
      assert.isAtMost(yield* socket.bufferedBytes, 65536 + payload.length + 10)
      assert.isBelow(memory() - before, 64 * mebibyte)
      let peak = 0
      const wire = total * (payload.length + 10)
      yield* peer.count((bytes) => {
        peak = Math.max(peak, memory() - before)
        return bytes >= wire
      })
      yield* Fiber.join(sender)
      assert.strictEqual(sent, total)
      // What was read is garbage that is collected at leisure, so this bound is wider.
      assert.isBelow(peak, 256 * mebibyte)
      yield* socket.abort
    })
  )

  it.live("pauses the transport while nobody reads, and loses nothing", () =>
    Effect.gen(function* () {
      const server = yield* serve()
      const peer = yield* rawClient(server.address.port)
      peer.write(upgradeRequest())
      const socket = yield* server.accept()
      yield* peer.until("\r\n\r\n")
      const total = 1000
      collectGarbage()
      const before = memory()
      for (let i = 0; i < total; i++) peer.write(frame(first.binary, stamped(i), true))
      const written = memory()
      const waiting = yield* settled(() => peer.socket.writableLength)
      assert.isAbove(waiting, 16 * mebibyte)
      // What TCP does not take stays with the sender, whose copies were counted before.
      assert.isBelow(memory() - written, 64 * mebibyte)
      assert.isAbove(written, before)
      for (let i = 0; i < total; i++) {
        const { data } = yield* socket.receive
        if (typeof data === "string") return assert.fail("a text")
        assert.strictEqual(data.length, 65536)
        assert.strictEqual(Buffer.from(data).readUInt32BE(), i)
      }
      assert.strictEqual(peer.socket.writableLength, 0)
      yield* socket.abort
    })
  )
})
