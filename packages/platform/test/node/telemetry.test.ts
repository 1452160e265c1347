/** What metrics and spans say about connections over sockets of Node, for each way in which handshakes and connections end. */
import * as ByteBudget from "@effect-websocket/platform/ByteBudget"
import * as ReconnectingWebSocket from "@effect-websocket/platform/ReconnectingWebSocket"
import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketMetrics from "@effect-websocket/platform/WebSocketMetrics"
import type * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketTracing from "@effect-websocket/platform/WebSocketTracing"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import { IoError } from "@effect-websocket/protocol/Errors"
import { Deferred, Effect, Fiber, Layer, Metric, Scope, Tracer } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { http2Client, http2Session, request as http2Request, connectHeaders } from "./http2.js"
import { httpProxy, socksProxy } from "./proxies.js"
import {
  closing,
  connect,
  first,
  frame,
  noHandlesLeft,
  rawClient,
  rawServer,
  rawWebSocket,
  readResponse,
  serve,
  serveEcho,
  tls,
  upgradeRequest
} from "./support.js"

afterEach(noHandlesLeft)

type Numbers = ReadonlyMap<string, number>

const numbers = Metric.numbersOf("websocket.")

/** A series without the names of its attributes: `handshake.duration accepted client`. */
const shown = (key: string): string => {
  const [name = "", labels = ""] = key.slice("websocket.".length, -1).split("{")
  return [name, ...labels.split(",").map((label) => label.split("=")[1])].join(" ").trim()
}

const changes = (before: Numbers, after: Numbers): Record<string, number> =>
  Object.fromEntries(
    [...after].flatMap(([key, value]) => {
      const by = value - (before.get(key) ?? 0)
      return by === 0 ? [] : [[shown(key), by]]
    })
  )

/** What a scenario changes in the metrics until everything has ended. Bytes and messages are left out. */
const changedBy = <E>(scenario: Effect.Effect<unknown, E, Scope.Scope | WebSocketMetrics.WebSocketMetrics>) =>
  Effect.gen(function* () {
    const before = yield* numbers
    yield* Effect.provide(Effect.scoped(scenario), Layer.fresh(WebSocketMetrics.layer))
    const all = changes(before, yield* numbers)
    return Object.fromEntries(Object.entries(all).filter(([key]) => !/^(io|messages) /.test(key)))
  })

type Server = WebSocketServer.Service

const portOf = ({ address }: Server): number => (address as { readonly port: number }).port
const urlOf = ({ address }: Server): string => address.url

const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

/** Waits until a server has no connection. */
const empty = (server: Server) =>
  Effect.gen(function* () {
    while ((yield* server.connections).length > 0) yield* turn
  })

/** A server whose check does not come to an end, and what tells that it has begun. */
const checking = Effect.gen(function* () {
  const server = yield* serve()
  const checked = yield* Deferred.make<void>()
  yield* server.route({
    path: "/chat",
    check: () => Effect.andThen(Deferred.succeed(checked, undefined), Effect.never)
  })
  return { checked, server }
})

/** A scenario, and what it changes in the metrics. */
type Case = readonly [
  name: string,
  scenario: Effect.Effect<unknown, unknown, Scope.Scope | WebSocketMetrics.WebSocketMetrics>,
  expected: Readonly<Record<string, number>>
]

const bothAccepted = { "handshake.duration accepted server": 1, "handshake.duration accepted client": 1 }
const serverAccepted = { "handshake.duration accepted server": 1 }
const clientAccepted = { "handshake.duration accepted client": 1 }

const endings: ReadonlyArray<Case> = [
  [
    "a client that closes, and closes and aborts again",
    Effect.gen(function* () {
      const socket = yield* connect(urlOf(yield* serveEcho()))
      yield* socket.close(4711)
      yield* socket.close()
      yield* socket.abort
    }),
    {
      ...bothAccepted,
      "connection.closed true 4xxx local client": 1,
      "connection.closed true 4xxx remote server": 1
    }
  ],
  [
    "a Close without a code",
    Effect.gen(function* () {
      const peer = yield* rawWebSocket(portOf(yield* serveEcho()))
      peer.write(frame(first.close, "", true))
      yield* peer.rest
    }),
    { ...serverAccepted, "connection.closed true 1005 remote server": 1 }
  ],
  [
    "a Close with a code of the app",
    Effect.gen(function* () {
      const server = yield* rawServer()
      const connecting = yield* Effect.forkChild(connect(server.url))
      const peer = yield* server.next
      yield* peer.answer({ behind: frame(first.close, closing(3999), false) })
      const socket = yield* Fiber.join(connecting)
      yield* Effect.ignore(socket.receive)
      peer.end()
      yield* socket.closeStatus
    }),
    { ...clientAccepted, "connection.closed true 3xxx remote client": 1 }
  ],
  [
    "an end of TCP without a Close",
    Effect.gen(function* () {
      const peer = yield* rawWebSocket(portOf(yield* serveEcho()))
      peer.end()
      yield* peer.closed
    }),
    { ...serverAccepted, "connection.closed false 1006 remote server": 1 }
  ],
  [
    "a reset",
    Effect.gen(function* () {
      const server = yield* serveEcho()
      const peer = yield* rawWebSocket(portOf(server))
      peer.reset()
      yield* empty(server)
    }),
    { ...serverAccepted, "connection.closed false 1006 none server": 1 }
  ],
  [
    "a violation of the protocol",
    Effect.gen(function* () {
      const peer = yield* rawWebSocket(portOf(yield* serveEcho()))
      peer.write(frame(first.text, "hello", false))
      yield* peer.left
    }),
    { ...serverAccepted, "connection.closed false 1002 local server": 1 }
  ],
  [
    "a handler that dies",
    Effect.gen(function* () {
      const server = yield* serve()
      yield* Effect.forkScoped(server.run(() => Effect.die("broken"), { onError: () => Effect.void }))
      yield* (yield* connect(urlOf(server))).closeStatus
    }),
    {
      ...bothAccepted,
      "connection.closed true 1011 remote client": 1,
      "connection.closed true 1011 local server": 1
    }
  ],
  [
    "a peer that does not answer the Close",
    Effect.gen(function* () {
      const server = yield* rawServer()
      const connecting = yield* Effect.forkChild(connect(server.url, { closeTimeout: "20 millis" }))
      yield* (yield* server.next).answer()
      yield* (yield* Fiber.join(connecting)).close(1000)
    }),
    { ...clientAccepted, "connection.closed false 1000 local client": 1 }
  ],
  [
    "a peer that does not answer the heartbeat",
    Effect.gen(function* () {
      const server = yield* rawServer()
      const times = {
        heartbeatInterval: "10 millis",
        heartbeatTimeout: "10 millis",
        closeTimeout: "10 millis"
      } as const
      const connecting = yield* Effect.forkChild(connect(server.url, times))
      yield* (yield* server.next).answer()
      yield* (yield* Fiber.join(connecting)).closeStatus
    }),
    { ...clientAccepted, "connection.closed false 1011 local client": 1, "heartbeat.failures client": 1 }
  ],
  [
    "a drain",
    Effect.gen(function* () {
      const server = yield* serve()
      yield* Effect.forkScoped(server.run((socket) => socket.run(() => Effect.void)))
      const sockets = [yield* connect(urlOf(server)), yield* connect(urlOf(server))]
      yield* server.drain({ window: "10 millis" })
      for (const socket of sockets) yield* socket.closeStatus
    }),
    {
      "handshake.duration accepted server": 2,
      "handshake.duration accepted client": 2,
      "connection.closed true 1001 remote client": 2,
      "connection.closed true 1001 local server": 2
    }
  ],
  [
    "a server that is released, and another one in its place",
    Effect.gen(function* () {
      // The peers outlive their servers.
      const scope = yield* Effect.scope
      for (let i = 0; i < 2; i++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const server = yield* serve()
            yield* Effect.forkScoped(server.run(() => Effect.never))
            const peer = yield* Scope.provide(rawWebSocket(portOf(server)), scope)
            yield* Scope.provide(Effect.forkScoped(peer.farewell), scope)
          })
        )
      }
    }),
    { "handshake.duration accepted server": 2, "connection.closed true 1001 local server": 2 }
  ],
  [
    "HTTP/2",
    Effect.gen(function* () {
      const server = yield* serveEcho({ tls, http2: true })
      const peer = yield* http2Client(portOf(server))
      peer.write(frame(first.close, closing(1000), true))
      yield* peer.rest
      peer.end()
      yield* peer.closed
      const session = yield* http2Session(portOf(server))
      yield* http2Request(session, connectHeaders({ ":protocol": "connect-udp" }))
      const { connect } = yield* NodeWebSocketClient.make({ tls: { ca: tls.cert }, http2: "require" })
      yield* (yield* connect(urlOf(server))).close(1000)
      const gone = yield* http2Client(portOf(server))
      gone.reset()
      yield* empty(server)
    }),
    {
      "handshake.duration accepted server": 3,
      "handshake.duration accepted client": 1,
      "handshake.duration handshake refused server": 1,
      "connection.closed true 1000 local client": 1,
      "connection.closed true 1000 remote server": 2,
      "connection.closed false 1006 none server": 1
    }
  ],
  [
    "a reconnecting client",
    Effect.gen(function* () {
      const server = yield* serveEcho()
      const socket = yield* ReconnectingWebSocket.make(urlOf(server)).pipe(Effect.provide(NodeWebSocketClient.layer))
      yield* socket.awaitOpen
      yield* socket.send("one")
      yield* socket.reconnect
      yield* socket.awaitOpen
      yield* socket.send("two")
      yield* socket.close()
      assert.strictEqual(yield* socket.send("three"), "dropped")
    }),
    {
      "handshake.duration accepted server": 2,
      "handshake.duration accepted client": 2,
      "connection.closed true 1000 local client": 2,
      "connection.closed true 1000 remote server": 2,
      "client.outbox.messages delivered": 2,
      "client.outbox.messages dropped": 1,
      "client.reconnects": 1
    }
  ],
  [
    "two servers and their clients with one budget",
    Effect.gen(function* () {
      const budget = yield* ByteBudget.make(1024 * 1024)
      for (let i = 0; i < 2; i++) {
        const socket = yield* connect(urlOf(yield* serveEcho({ budget })), { budget })
        yield* socket.send("hello")
        yield* socket.receive
        yield* WebSocketMetrics.sample
        assert.strictEqual((yield* numbers).get("websocket.budget.limit{}"), 1024 * 1024)
      }
    }),
    {
      "handshake.duration accepted server": 2,
      "handshake.duration accepted client": 2,
      "connection.closed true 1000 local client": 2,
      "connection.closed true 1000 remote server": 2
    }
  ]
]

const handshakes: ReadonlyArray<Case> = [
  [
    "a client that is interrupted",
    Effect.gen(function* () {
      const server = yield* rawServer()
      const connecting = yield* Effect.forkChild(connect(server.url))
      const peer = yield* server.next
      yield* peer.until("\r\n\r\n")
      yield* Fiber.interrupt(connecting)
      yield* peer.left
    }),
    { "handshake.duration interrupted refused client": 1 }
  ],
  [
    "a client that gets no answer in time",
    Effect.gen(function* () {
      const server = yield* rawServer()
      yield* Effect.flip(connect(server.url, { openTimeout: "20 millis" }))
    }),
    { "handshake.duration Timeout refused client": 1 }
  ],
  [
    "a client without a server",
    Effect.flip(connect("ws://127.0.0.1:1")),
    { "handshake.duration Connect refused client": 1 }
  ],
  ["a client that asks nobody", Effect.flip(connect("http:nonsense")), {}],
  [
    "a server that does not know WebSocket",
    Effect.gen(function* () {
      const server = yield* rawServer()
      const connecting = yield* Effect.forkChild(Effect.flip(connect(server.url)))
      const peer = yield* server.next
      yield* peer.until("\r\n\r\n")
      peer.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
      yield* Fiber.join(connecting)
    }),
    { "handshake.duration Protocol_error refused client": 1 }
  ],
  [
    "requests that break the handshake, and that come from another origin",
    Effect.gen(function* () {
      const server = yield* serveEcho()
      for (const headers of [{ "Sec-WebSocket-Version": "8" }, { Origin: "https://other.example" }]) {
        const peer = yield* rawClient(portOf(server))
        peer.write(upgradeRequest(headers))
        yield* readResponse(peer)
      }
    }),
    { "handshake.duration handshake refused server": 1, "handshake.duration origin refused server": 1 }
  ],
  [
    "a request that nobody accepts",
    Effect.gen(function* () {
      const peer = yield* rawClient(portOf(yield* serve({ handshakeTimeout: "20 millis" })))
      peer.write(upgradeRequest())
      yield* readResponse(peer)
    }),
    { "handshake.duration timeout refused server": 1 }
  ],
  [
    "a client that leaves while its request waits",
    Effect.gen(function* () {
      const { checked, server } = yield* checking
      const peer = yield* rawClient(portOf(server))
      peer.write(upgradeRequest())
      yield* Deferred.await(checked)
      peer.reset()
      while (((yield* numbers).get("websocket.handshake.active{websocket.role=server}") ?? 0) > 0) yield* turn
    }),
    { "handshake.duration gone refused server": 1 }
  ],
  [
    "a check while the server stops",
    Effect.gen(function* () {
      const { checked, server } = yield* checking
      const peer = yield* rawClient(portOf(server))
      peer.write(upgradeRequest())
      yield* Deferred.await(checked)
      yield* server.stop
      yield* readResponse(peer)
    }),
    { "handshake.duration stopping refused server": 1 }
  ],
  [
    "an answer that is not valid",
    Effect.gen(function* () {
      const server = yield* serve()
      const route = yield* server.route({
        path: "/chat",
        check: () => Effect.succeed(UpgradeCheck.accept(1, { headers: { "X\n": "1" } }))
      })
      yield* Effect.forkScoped(route.run(() => Effect.never))
      const peer = yield* rawClient(portOf(server))
      peer.write(upgradeRequest())
      yield* peer.left
    }),
    { "handshake.duration error refused server": 1 }
  ]
]

/** The spans of an effect, by their name. */
const spansOf = <A, E>(effect: Effect.Effect<A, E, Scope.Scope | WebSocketTracing.WebSocketTracing>) =>
  Effect.gen(function* () {
    const spans: Array<Tracer.Recorded> = []
    yield* Effect.scoped(effect).pipe(
      Effect.provide(WebSocketTracing.layer),
      Effect.provide(Tracer.recording((span) => spans.push(span)))
    )
    return {
      all: spans,
      client: spans.filter(({ name }) => name === "websocket.client.handshake"),
      server: spans.filter(({ name }) => name === "websocket.server.handshake")
    }
  })

describe("metrics", () => {
  for (const [name, scenario, expected] of [...endings, ...handshakes]) {
    it.live(`of ${name}`, () => Effect.map(changedBy(scenario), (changed) => assert.deepStrictEqual(changed, expected)))
  }

  it.live("see nothing of connections that are older", () =>
    Effect.gen(function* () {
      const socket = yield* connect(urlOf(yield* serveEcho()))
      const changed = yield* changedBy(
        Effect.gen(function* () {
          yield* socket.send("hello")
          yield* socket.receive
          yield* WebSocketMetrics.sample
          yield* socket.close()
        })
      )
      assert.deepStrictEqual(changed, {})
    })
  )
})

describe("spans", () => {
  it.live("tell of the tunnel of a proxy, before the request of the server", () =>
    Effect.gen(function* () {
      for (const proxyOf of [httpProxy(), socksProxy()]) {
        const { client, server } = yield* spansOf(
          Effect.gen(function* () {
            const { url } = yield* proxyOf
            const address = urlOf(yield* serveEcho()).replace("127.0.0.1", "localhost")
            yield* WebSocketClient.connect(`${address}/chat?token=secret`).pipe(
              Effect.provide(NodeWebSocketClient.layerWith({ proxy: url.replace("://", "://ann:secret@") }))
            )
          })
        )
        assert.deepStrictEqual(client[0]?.events, [["websocket.tunnel", {}]])
        assert.deepInclude(client[0], { ended: "success" })
        assert.strictEqual(server[0]?.parent, client[0]?.spanId)
        assert.notInclude(JSON.stringify(client), "secret")
      }
    })
  )

  it.live("tell of no tunnel that fails, nor of one that opens too late", () =>
    Effect.gen(function* () {
      const { client } = yield* spansOf(
        Effect.gen(function* () {
          const refusing = yield* rawServer()
          const connectVia = (url: string) =>
            WebSocketClient.connect("ws://localhost:1", { openTimeout: "50 millis" }).pipe(
              Effect.provide(NodeWebSocketClient.layerWith({ proxy: url })),
              Effect.flip
            )
          const connecting = yield* Effect.forkChild(connectVia(refusing.url.replace("ws:", "http:")))
          const peer = yield* refusing.next
          yield* peer.until("\r\n\r\n")
          peer.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
          yield* Fiber.join(connecting)
          let late = (): void => {}
          const slow = WebSocketClient.make((_url, _headers, done, tell) => {
            late = () => {
              tell?.("websocket.tunnel")
              done({ _tag: "Failed", error: new IoError({ reason: "Reset", operation: "handshake" }) })
            }
            return () => {}
          })
          yield* Effect.flip(slow.connect("ws://localhost", { openTimeout: "10 millis" }))
          late()
        })
      )
      assert.deepStrictEqual(
        client.map(({ attributes, ended, events }) => [attributes["error.type"], ended, events.length]),
        [
          ["Proxy", "failure", 0],
          ["Timeout", "failure", 0]
        ]
      )
    })
  )

  it.live("have the method, the version and the status of HTTP/2", () =>
    Effect.gen(function* () {
      const { client, server } = yield* spansOf(
        Effect.gen(function* () {
          const listening = yield* serve({ tls, http2: true })
          yield* listening.route({ path: "/denied", check: () => Effect.fail(UpgradeCheck.reject(401)) })
          const open = yield* listening.route({ path: "/open" })
          yield* Effect.forkScoped(open.run(() => Effect.never))
          const { connect } = yield* NodeWebSocketClient.make({ tls: { ca: tls.cert }, http2: "require" })
          yield* connect(`${urlOf(listening)}/open?token=secret`)
          yield* Effect.flip(connect(`${urlOf(listening)}/denied`))
        })
      )
      const common = {
        "http.request.method": "CONNECT",
        "network.protocol.name": "http",
        "network.protocol.version": "2",
        "server.address": "127.0.0.1"
      }
      for (const [index, path, status] of [
        [0, "/open", 200],
        [1, "/denied", 401]
      ] as const) {
        for (const span of [client[index], server[index]]) {
          assert.deepInclude(span?.attributes, { ...common, "http.response.status_code": status, "url.path": path })
          assert.isNumber(span?.attributes["server.port"])
        }
        assert.strictEqual(server[index]?.parent, client[index]?.spanId)
      }
      assert.strictEqual(client[0]?.attributes["network.peer.address"], "127.0.0.1")
      assert.strictEqual(server[0]?.attributes["network.peer.address"], "127.0.0.1")
    })
  )

  it.live("begin anew, whatever a peer sends as a context", () =>
    Effect.gen(function* () {
      const headers = [
        { traceparent: "00-x" },
        { traceparent: `00-${"0".repeat(32)}-${"0".repeat(16)}-01` },
        { traceparent: [`00-${"1".repeat(32)}-${"1".repeat(16)}-01`, `00-${"2".repeat(32)}-${"2".repeat(16)}-01`] },
        { b3: "<script>-1" },
        { b3: "-".repeat(4000) },
        { "X-B3-TraceId": "1".repeat(4000), "X-B3-SpanId": "1".repeat(16) }
      ]
      const { server } = yield* spansOf(
        Effect.gen(function* () {
          const listening = yield* serveEcho()
          for (const each of headers) {
            const peer = yield* rawClient(portOf(listening))
            peer.write(upgradeRequest(each))
            yield* peer.until("\r\n\r\n")
          }
        })
      )
      assert.lengthOf(server, headers.length)
      for (const { parent } of server) assert.isUndefined(parent)
    })
  )
})
