/** WebSocket over HTTP/2 at the client (RFC 8441), with bare streams of Node as peers, and with the server of the library. */
import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import * as WebSocketTracing from "@effect-websocket/platform/WebSocketTracing"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import * as Http2 from "node:http2"
import * as Https from "node:https"
import type { Duplex } from "node:stream"
import { Effect, Exit, Fiber, Layer, Logger, Tracer } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { http2Server, type Http2Request } from "./http2.js"
import * as Frames from "./http2Frames.js"
import { httpProxy, socksProxy } from "./proxies.js"
import {
  closing,
  eventually,
  facts,
  first,
  frame,
  listen,
  noHandlesLeft,
  rawServer,
  serve,
  serveEcho,
  settled,
  stalled,
  tls
} from "./support.js"

afterEach(noHandlesLeft)

const quietly = Effect.provide(Logger.withoutDefault)
const options = { tls: { ca: tls.cert } }
const client = (more: NodeWebSocketClient.Options = {}) =>
  NodeWebSocketClient.make({ ...options, http2: "require", ...more })

const enabling = Frames.settings([Frames.setting.enableConnectProtocol, 1])

/** A server in clear text that enables extended CONNECT, and speaks in bare frames. */
const frameServer = Effect.map(rawServer(), (server) => ({
  url: server.url,
  /** The next session, once it has a request. */
  next: Effect.gen(function* () {
    const peer = yield* server.next
    peer.write(enabling)
    yield* Frames.readPreface(peer)
    yield* Frames.frameOf(peer, Frames.types.headers)
    return peer
  })
}))

const opened = Frames.headers(1, [[":status", "200"]])

describe("sessions", () => {
  it.live("are shared, and end with their last connection", () =>
    Effect.gen(function* () {
      const server = yield* http2Server()
      const { connect } = yield* client()
      yield* Effect.scoped(
        Effect.gen(function* () {
          const connecting = yield* Effect.forkChild(
            Effect.all([connect(server.url), connect(`${server.url}/b?c=d`)], { concurrency: "unbounded" })
          )
          const peers = [yield* server.next, yield* server.next]
          for (const peer of peers) peer.accept()
          const opened = yield* Fiber.join(connecting)
          const third = yield* Effect.forkChild(connect(server.url))
          const last = yield* server.next
          last.accept()
          yield* Fiber.join(third)
          assert.strictEqual(server.sessions.length, 1)
          const { headers } = peers[1]!
          const host = `127.0.0.1:${server.port}`
          assert.deepInclude(headers, {
            ":method": "CONNECT",
            ":protocol": "websocket",
            ":scheme": "https",
            ":authority": host,
            ":path": "/b?c=d",
            "sec-websocket-version": "13"
          })
          for (const name of ["host", "connection", "upgrade", "sec-websocket-key"]) assert.notProperty(headers, name)
          last.write(frame(first.text, "to one", false))
          for (const peer of [...peers, last]) yield* Effect.forkChild(Effect.ignore(peer.farewell))
          yield* opened[0].close(1000)
        })
      )
      yield* eventually(() => server.sessions.every(({ destroyed }) => destroyed))
    })
  )

  it.live("take no more streams than the server allows", () =>
    Effect.gen(function* () {
      const server = yield* http2Server({ settings: { enableConnectProtocol: true, maxConcurrentStreams: 2 } })
      const { connect } = yield* client()
      const connecting = yield* Effect.forkChild(
        Effect.scoped(
          Effect.all(
            Array.from({ length: 5 }, () => connect(server.url)),
            { concurrency: "unbounded" }
          )
        )
      )
      const peers = []
      for (let i = 0; i < 5; i++) peers.push(yield* server.next)
      for (const peer of peers) {
        peer.accept()
        yield* Effect.forkChild(Effect.ignore(peer.farewell))
      }
      yield* Fiber.join(connecting)
      assert.strictEqual(server.sessions.length, 3)
    })
  )

  it.live("that get GOAWAY keep their connections, and the next one has a new session", () =>
    Effect.gen(function* () {
      const server = yield* http2Server()
      const { connect } = yield* client()
      const open = Effect.gen(function* () {
        const connecting = yield* Effect.forkChild(connect(server.url))
        const peer = yield* server.next
        peer.accept()
        return { peer, socket: yield* Fiber.join(connecting) }
      })
      const old = yield* open
      server.sessions[0]!.close()
      old.peer.write(frame(first.text, "still here", false))
      assert.strictEqual((yield* old.socket.receive).data, "still here")
      const next = yield* open
      assert.strictEqual(server.sessions.length, 2)
      for (const { peer } of [old, next]) yield* Effect.forkChild(Effect.ignore(peer.farewell))
    })
  )

  it.live("may refuse a stream once, which is asked for again", () =>
    Effect.gen(function* () {
      const server = yield* http2Server()
      const { connect } = yield* client()
      const connecting = yield* Effect.forkChild(Effect.scoped(connect(server.url)))
      ;(yield* server.next).socket.close(Http2.constants.NGHTTP2_REFUSED_STREAM)
      const peer = yield* server.next
      peer.accept()
      yield* peer.farewell
      assert.strictEqual((yield* Fiber.await(connecting))._tag, "Success")
      const refused = yield* Effect.forkChild(Effect.flip(Effect.scoped(connect(server.url))))
      for (let i = 0; i < 2; i++) (yield* server.next).socket.close(Http2.constants.NGHTTP2_REFUSED_STREAM)
      assert.deepInclude(facts(yield* Fiber.join(refused)), { _tag: "Io_error", reason: "Reset" })
    })
  )

  it.live("that get GOAWAY with the settings are not asked for without end", () =>
    Effect.gen(function* () {
      const server = yield* rawServer()
      const { connect } = yield* NodeWebSocketClient.make({ http2: "require" })
      const connecting = yield* Effect.forkChild(Effect.flip(Effect.scoped(connect(server.url))))
      for (let i = 0; i < 2; i++) {
        const peer = yield* server.next
        peer.write(Buffer.concat([enabling, Frames.goaway(0, Frames.codes.noError)]))
      }
      assert.deepInclude(facts(yield* Fiber.join(connecting)), { _tag: "Io_error", reason: "Reset" })
    })
  )

  it.live("that end with an error and GOAWAY are replaced once for requests that were not processed", () =>
    Effect.gen(function* () {
      const { connect } = yield* NodeWebSocketClient.make({ http2: "require" })
      const { cancel, enhanceYourCalm, internalError, noError } = Frames.codes
      const attempts = (lastStream: number, code: number) =>
        Effect.gen(function* () {
          const server = yield* frameServer
          let sessions = 0
          const one = Effect.map(server.next, (peer) => {
            sessions++
            peer.write(Frames.goaway(lastStream, code))
            // With NO_ERROR, the server may still answer the streams that it has processed.
            if (code === noError && lastStream > 0) peer.write(Frames.reset(1, cancel))
          })
          yield* Effect.forkChild(Effect.forever(one))
          const error = yield* Effect.flip(Effect.scoped(connect(server.url)))
          assert.deepInclude(facts(error), { _tag: "Io_error", reason: "Reset", operation: "handshake" })
          return sessions
        })
      assert.strictEqual(yield* attempts(0, internalError), 2)
      assert.strictEqual(yield* attempts(1, internalError), 1)
      assert.strictEqual(yield* attempts(0, enhanceYourCalm), 1)
      assert.strictEqual(yield* attempts(0, noError), 2)
      assert.strictEqual(yield* attempts(1, noError), 1)
    })
  )

  it.live("that end with an error and GOAWAY are replaced, and the request succeeds", () =>
    Effect.gen(function* () {
      const server = yield* frameServer
      const { connect } = yield* NodeWebSocketClient.make({ http2: "require" })
      const connecting = yield* Effect.forkChild(
        Effect.scoped(Effect.flatMap(connect(server.url), ({ receive }) => receive))
      )
      ;(yield* server.next).write(Frames.goaway(0, Frames.codes.internalError))
      const peer = yield* server.next
      peer.write(Buffer.concat([opened, Frames.data(1, frame(first.text, "second", false), Frames.flags.endStream)]))
      assert.strictEqual((yield* Fiber.join(connecting)).data, "second")
    })
  )

  it.live("end their connections when they are lost", () =>
    Effect.gen(function* () {
      const server = yield* http2Server()
      const { connect } = yield* client()
      const connecting = yield* Effect.forkChild(connect(server.url))
      ;(yield* server.next).accept()
      const socket = yield* Fiber.join(connecting)
      server.sessions[0]!.destroy(undefined, Http2.constants.NGHTTP2_INTERNAL_ERROR)
      assert.deepInclude(facts(yield* Effect.flip(socket.receive)), { _tag: "Io_error", reason: "Reset" })
      const failing = yield* Effect.forkChild(Effect.flip(connect(server.url)))
      yield* server.next
      server.sessions[1]!.destroy()
      assert.strictEqual((yield* Fiber.join(failing))._tag, "Io_error")
    })
  )
})

describe("a server without WebSockets over HTTP/2", () => {
  it.live("is asked over HTTP/1.1 if HTTP/2 is only preferred", () =>
    Effect.gen(function* () {
      const plain = yield* serveEcho({ tls })
      const attached = Http2.createSecureServer({ ...tls, allowHTTP1: true })
      attached.on("upgrade", (_, socket) => socket.end("HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n"))
      const port = yield* listen(attached)
      const { connect } = yield* client({ http2: "prefer" })
      const open = Effect.gen(function* () {
        const socket = yield* connect(plain.address.url)
        yield* socket.send("hello")
        return (yield* socket.receive).data
      })
      assert.deepStrictEqual(yield* Effect.scoped(Effect.all([open, open, open], { concurrency: "unbounded" })), [
        "hello",
        "hello",
        "hello"
      ])
      const refused = yield* Effect.flip(Effect.scoped(connect(`wss://127.0.0.1:${port}`)))
      assert.strictEqual(refused._tag === "Handshake_rejected" && refused.status, 418)
    })
  )

  it.live("is an error if HTTP/2 is required", () =>
    Effect.gen(function* () {
      const { connect } = yield* client()
      const without = yield* http2Server({ settings: {} })
      const section = (port: number) =>
        Effect.map(Effect.flip(Effect.scoped(connect(`wss://127.0.0.1:${port}`))), (error) =>
          error._tag === "Protocol_error" ? [error.origin, error.section] : error._tag
        )
      assert.deepStrictEqual(yield* section(without.port), ["remote", "RFC 8441 §3"])
      // It ignores ALPN; others end the handshake of TLS.
      const https = yield* listen(Https.createServer({ ...tls, ALPNCallback: () => undefined } as Https.ServerOptions))
      assert.strictEqual(yield* section(https), "Io_error")
      const ignoring = Https.createServer(tls)
      Reflect.set(ignoring, "ALPNProtocols", undefined)
      assert.deepStrictEqual(yield* section(yield* listen(ignoring)), ["remote", "RFC 9113 §3.2"])
    })
  )

  it.live("carries the headers that HTTP/2 cannot carry", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho({ tls, http2: true })
      const headers = { "Keep-Alive": "timeout=5" }
      const require = yield* client()
      const error = yield* Effect.flip(Effect.scoped(require.connect(server.address.url, { headers })))
      assert.deepInclude(facts(error), { _tag: "Protocol_error", origin: "local", section: "RFC 9113 §8.2.2" })
      const prefer = yield* client({ http2: "prefer" })
      yield* Effect.scoped(prefer.connect(server.address.url, { headers }))
    })
  )
})

describe("the setting", () => {
  it.live("must come with the first SETTINGS, and must not be taken back", () =>
    Effect.gen(function* () {
      const server = yield* rawServer()
      const { connect } = yield* NodeWebSocketClient.make({ http2: "require" })
      const late = yield* Effect.forkChild(Effect.flip(Effect.scoped(connect(server.url))))
      ;(yield* server.next).write(Buffer.concat([Frames.settings(), enabling]))
      assert.deepInclude(facts(yield* Fiber.join(late)), { _tag: "Protocol_error", section: "RFC 8441 §3" })

      const { next, url } = yield* frameServer
      const receiving = yield* Effect.forkChild(
        Effect.scoped(Effect.flatMap(connect(url), ({ receive }) => Effect.flip(receive)))
      )
      const peer = yield* next
      peer.write(Buffer.concat([opened, Frames.settings([Frames.setting.enableConnectProtocol, 0])]))
      assert.deepInclude(facts(yield* Fiber.join(receiving)), { _tag: "Io_error", reason: "Reset" })
    })
  )

  it.live("is waited for until the deadline, or until an interruption, which drops the session", () =>
    Effect.gen(function* () {
      const server = yield* rawServer()
      const { connect } = yield* NodeWebSocketClient.make({ http2: "require", openTimeout: "50 millis" })
      const late = yield* Effect.forkChild(Effect.flip(Effect.scoped(connect(server.url))))
      const first = yield* server.next
      assert.deepInclude(facts(yield* Fiber.join(late)), { _tag: "Io_error", reason: "Timeout", operation: "open" })
      yield* first.left
      first.end()

      const patient = yield* NodeWebSocketClient.make({ http2: "require" })
      const connecting = yield* Effect.forkChild(Effect.scoped(patient.connect(server.url)))
      const second = yield* server.next
      yield* Frames.readPreface(second)
      yield* Fiber.interrupt(connecting)
      yield* second.left
      second.end()
    })
  )
})

describe("the answer", () => {
  it.live("of a refusal has its status, headers and body", () =>
    Effect.gen(function* () {
      const server = yield* serve({ tls, http2: true })
      yield* server.route({
        check: ({ cookies, headers }) =>
          Effect.succeed(
            UpgradeCheck.reject(401, {
              headers: { "X-Seen": `${headers["authorization"]} ${cookies["a"]}` },
              body: "log in"
            })
          )
      })
      const { connect } = yield* client()
      const url = server.address.url.replace("://", "://user:pass@")
      const error = yield* Effect.flip(Effect.scoped(connect(url, { cookies: { a: "1" } })))
      assert(error._tag === "Handshake_rejected")
      assert.deepStrictEqual([error.status, error.headers["x-seen"]], [401, "Basic dXNlcjpwYXNz 1"])
      assert.strictEqual(new TextDecoder().decode(error.body).trim(), "log in")
      assert.isFalse(error.bodyTruncated)
      assert.notProperty(error.headers, ":status")
    }).pipe(quietly)
  )

  it.live("may be a redirect", () =>
    Effect.gen(function* () {
      const server = yield* http2Server()
      const { connect } = yield* client({ maxRedirects: 1 })
      const connecting = yield* Effect.forkChild(connect(server.url))
      const redirecting = yield* server.next
      redirecting.socket.respond({ ":status": 307, location: "/there" }, { endStream: true })
      const peer = yield* server.next
      assert.strictEqual(peer.headers[":path"], "/there")
      peer.accept()
      yield* Fiber.join(connecting)
      yield* Effect.forkChild(Effect.ignore(peer.farewell))
    })
  )

  it.live("resets the stream if it breaks the handshake", () =>
    Effect.gen(function* () {
      const server = yield* http2Server()
      const { connect } = yield* client()
      const connecting = yield* Effect.forkChild(Effect.flip(Effect.scoped(connect(server.url))))
      const peer = yield* server.next
      peer.accept({ "sec-websocket-protocol": "other" })
      assert.deepInclude(facts(yield* Fiber.join(connecting)), { _tag: "Protocol_error", origin: "remote" })
      yield* peer.closed
      assert.strictEqual(peer.code, Http2.constants.NGHTTP2_CANCEL)
    })
  )

  it.live("may follow interim ones, and DATA with END_STREAM may come with it", () =>
    Effect.gen(function* () {
      const server = yield* frameServer
      const { connect } = yield* NodeWebSocketClient.make({ http2: "require" })
      const receiving = yield* Effect.forkChild(
        Effect.scoped(
          Effect.gen(function* () {
            const socket = yield* connect(server.url)
            return [(yield* socket.receive).data, facts(yield* Effect.flip(socket.receive))]
          })
        )
      )
      const peer = yield* server.next
      peer.write(
        Buffer.concat([
          Frames.headers(1, [[":status", "103"]]),
          Frames.headers(1, [[":status", "100"]]),
          opened,
          Frames.data(1, frame(first.text, "hello", false), Frames.flags.endStream)
        ])
      )
      const [data, error] = yield* Fiber.join(receiving)
      assert.strictEqual(data, "hello")
      assert.deepInclude(error, { _tag: "Connection_closed", code: 1006, clean: false })
    })
  )

  it.live("may be that the server requires HTTP/1.1, which a client that only prefers HTTP/2 then uses", () =>
    Effect.gen(function* () {
      const server = yield* http2Server({ allowHTTP1: true })
      server.server.on("upgrade", (_: unknown, socket: Duplex) =>
        socket.end("HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n")
      )
      const ended: ReadonlyArray<(request: Http2Request) => void> = [
        ({ socket }) => socket.close(Frames.codes.http11Required),
        ({ socket }) => socket.session?.goaway(Frames.codes.http11Required)
      ]
      for (const end of ended) {
        const outcome = (http2: "prefer" | "require") =>
          Effect.gen(function* () {
            const { connect } = yield* client({ http2 })
            const failing = yield* Effect.forkChild(Effect.flip(Effect.scoped(connect(server.url))))
            end(yield* server.next)
            return facts(yield* Fiber.join(failing))
          })
        assert.deepInclude(yield* outcome("prefer"), { _tag: "Handshake_rejected", status: 418 })
        assert.deepInclude(yield* outcome("require"), { _tag: "Protocol_error", section: "RFC 9113 §7" })
      }
    })
  )

  it.live("may end the stream at once", () =>
    Effect.gen(function* () {
      const server = yield* http2Server()
      const { connect } = yield* client()
      const connecting = yield* Effect.forkChild(
        Effect.scoped(Effect.flatMap(connect(server.url), ({ receive }) => Effect.flip(receive)))
      )
      ;(yield* server.next).socket.respond({ ":status": 200 }, { endStream: true })
      assert.deepInclude(facts(yield* Fiber.join(connecting)), { _tag: "Connection_closed", code: 1006, clean: false })
    })
  )
})

describe("the way", () => {
  it.live("may lead through proxies, and in clear text", () =>
    Effect.gen(function* () {
      const secure = yield* serveEcho({ tls, http2: true })
      const clear = yield* serveEcho({ http2: true })
      const http = yield* httpProxy()
      const socks = yield* socksProxy()
      for (const [url, route] of [
        [secure.address.url, { proxy: http.url }],
        [secure.address.url, { proxy: socks.url }],
        [clear.address.url, { proxy: http.url }],
        [clear.address.url, {}]
      ] as const) {
        const { connect } = yield* client(route)
        yield* Effect.scoped(
          Effect.gen(function* () {
            const socket = yield* connect(url)
            yield* socket.send("hello")
            assert.strictEqual((yield* socket.receive).data, "hello")
          })
        )
      }
      assert.strictEqual(http.asked.length, 2)
      assert.strictEqual(socks.asked.length, 1)
    })
  )

  it.live("fails with the errors of HTTP/1.1", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho({ tls, http2: true })
      const untrusting = yield* NodeWebSocketClient.make({ http2: "prefer" })
      assert.deepInclude(facts(yield* Effect.flip(Effect.scoped(untrusting.connect(server.address.url)))), {
        _tag: "Io_error",
        reason: "CertificateSelfSigned"
      })
      const { connect } = yield* client({ openTimeout: "50 millis" })
      const silent = yield* http2Server()
      const error = yield* Effect.flip(Effect.scoped(connect(silent.url)))
      assert.deepInclude(facts(error), { _tag: "Io_error", reason: "Timeout" })
      const exit = yield* Effect.exit(NodeWebSocketClient.make({ http2: "always" as "require" }))
      assert.isTrue(Exit.isFailure(exit))
    })
  )
})

it.live("END_STREAM within a frame is no orderly end", () =>
  Effect.gen(function* () {
    const server = yield* http2Server()
    const { connect } = yield* client()
    const connecting = yield* Effect.forkChild(connect(server.url))
    const peer = yield* server.next
    peer.accept()
    const socket = yield* Fiber.join(connecting)
    peer.socket.end(frame(first.text, "hello", false).subarray(0, 4))
    assert.deepInclude(facts(yield* Effect.flip(socket.receive)), {
      _tag: "Connection_closed",
      code: 1006,
      clean: false
    })
  })
)

it.live("a Close of the peer is answered, and END_STREAM ends both sides", () =>
  Effect.gen(function* () {
    const server = yield* http2Server()
    const { connect } = yield* client()
    const connecting = yield* Effect.forkChild(connect(server.url))
    const peer = yield* server.next
    peer.accept()
    const socket = yield* Fiber.join(connecting)
    peer.write(frame(first.close, closing(4001, "bye"), false))
    const answer = yield* peer.frame
    assert.deepStrictEqual([answer.first, answer.masked], [first.close, true])
    peer.end()
    assert.strictEqual((yield* peer.rest).length, 0)
    yield* peer.closed
    assert.strictEqual(peer.code, 0)
    assert.isTrue((yield* socket.closeStatus).clean)
  })
)

describe("a reset", () => {
  it.live("is told at every moment, behind the messages that came before it", () =>
    Effect.gen(function* () {
      const { connect } = yield* NodeWebSocketClient.make({ http2: "require" })
      const text = (data: string) => Frames.data(1, frame(first.text, data, false))
      const outcome = (...frames: ReadonlyArray<Buffer>) =>
        Effect.gen(function* () {
          const server = yield* frameServer
          const messages: Array<unknown> = []
          const running = yield* Effect.forkChild(
            Effect.flip(
              Effect.scoped(
                Effect.flatMap(connect(server.url), (socket) => socket.run(({ data }) => void messages.push(data)))
              )
            )
          )
          const peer = yield* server.next
          peer.write(Buffer.concat([...frames, Frames.reset(1, Frames.codes.cancel)]))
          const error = facts(yield* Fiber.join(running))
          yield* peer.left
          peer.end()
          return [...messages, error["_tag"], error["reason"], error["operation"]]
        })
      assert.deepStrictEqual(yield* outcome(), ["Io_error", "Reset", "handshake"])
      assert.deepStrictEqual(yield* outcome(opened), ["Io_error", "Reset", "read"])
      assert.deepStrictEqual(yield* outcome(opened, text("one"), text("two")), [
        "one",
        "two",
        "Io_error",
        "Reset",
        "read"
      ])
      assert.deepStrictEqual(
        yield* outcome(opened, text("one"), Frames.data(1, frame(first.text, "half", false).subarray(0, 4))),
        ["one", "Io_error", "Reset", "read"]
      )
    })
  )

  it.live("of a session ends a hundred connections, and their scopes", () =>
    Effect.gen(function* () {
      const server = yield* http2Server()
      const sockets: Array<Duplex> = []
      server.server.on("secureConnection", (socket: Duplex) => sockets.push(socket))
      const { connect } = yield* client()
      let connected = 0
      let released = 0
      const one = Effect.scoped(
        Effect.gen(function* () {
          yield* Effect.addFinalizer(() => Effect.sync(() => void released++))
          const socket = yield* connect(server.url)
          connected++
          const error = facts(yield* Effect.flip(socket.receive))
          const { clean } = yield* socket.closeStatus
          return [error["_tag"], error["reason"], clean]
        })
      )
      const all = yield* Effect.forkChild(
        Effect.all(
          Array.from({ length: 100 }, () => one),
          { concurrency: "unbounded" }
        )
      )
      for (let i = 0; i < 100; i++) (yield* server.next).accept()
      yield* eventually(() => connected === 100)
      assert.strictEqual(sockets.length, 1)
      sockets[0]!.destroy()
      for (const outcome of yield* Fiber.join(all)) assert.deepStrictEqual(outcome, ["Io_error", "Reset", false])
      assert.strictEqual(released, 100)
    })
  )
})

describe("flow control", () => {
  it.live("suspends `send` until WINDOW_UPDATE", () =>
    Effect.gen(function* () {
      const server = yield* frameServer
      const { connect } = yield* NodeWebSocketClient.make({ http2: "require" })
      const connecting = yield* Effect.forkChild(connect(server.url))
      const peer = yield* server.next
      peer.write(opened)
      const socket = yield* Fiber.join(connecting)
      const message = new Uint8Array(65536)
      // The window of the stream, and what may wait.
      const sending = yield* Effect.forkChild(Effect.all(Array.from({ length: 8 }, () => socket.send(message))))
      yield* stalled(socket)
      peer.socket.resume()
      const before = yield* settled(() => peer.unread)
      assert.isUndefined(Fiber.pollUnsafe(sending))
      peer.write(Buffer.concat([Frames.windowUpdate(0, 2 ** 20), Frames.windowUpdate(1, 2 ** 20)]))
      yield* Fiber.join(sending)
      yield* eventually(() => peer.unread > before)
      peer.write(Frames.reset(1, Frames.codes.cancel))
    })
  )
})

/** The heartbeat ends them on Node 20, which stops reading a session in which HTTP/2 itself was broken. */
it.live("a server that breaks HTTP/2 itself ends its connections", () =>
  Effect.gen(function* () {
    const server = yield* frameServer
    const heartbeat = { heartbeatInterval: "50 millis", heartbeatTimeout: "50 millis" } as const
    const { connect } = yield* NodeWebSocketClient.make({ http2: "require", ...heartbeat, closeTimeout: "50 millis" })
    const receiving = yield* Effect.forkChild(
      Effect.scoped(Effect.flatMap(connect(server.url), ({ receive }) => Effect.flip(receive)))
    )
    const peer = yield* server.next
    peer.write(Buffer.concat([opened, Frames.http2Frame(Frames.types.windowUpdate, 0, 1, Buffer.alloc(3))]))
    const error = facts(yield* Fiber.join(receiving))
    assert.deepInclude(error, { _tag: "Io_error" })
    assert.include(["Reset", "Timeout"], error["reason"])
    yield* peer.left
    peer.end()
  })
)

it.live("spans of handshakes have the method, the version and the status of HTTP/2", () => {
  const spans: Array<Tracer.Recorded> = []
  const tracing = Layer.provideMerge(
    WebSocketTracing.layer,
    Tracer.recording((span) => spans.push(span))
  )
  return Effect.gen(function* () {
    const server = yield* serveEcho({ tls, http2: true })
    yield* server.route({ path: "/no", check: () => Effect.succeed(UpgradeCheck.reject(401)) })
    const { connect } = yield* client()
    yield* Effect.scoped(connect(server.address.url))
    yield* Effect.flip(Effect.scoped(connect(`${server.address.url}/no`)))
    const told = spans.map(({ attributes, name }) => [
      name,
      attributes["http.request.method"],
      attributes["network.protocol.version"],
      attributes["http.response.status_code"]
    ])
    for (const status of [200, 401]) {
      for (const role of ["client", "server"]) {
        assert.deepInclude(told, [`websocket.${role}.handshake`, "CONNECT", "2", status])
      }
    }
    assert.lengthOf(told, 4)
  }).pipe(quietly, Effect.provide(tracing))
})
