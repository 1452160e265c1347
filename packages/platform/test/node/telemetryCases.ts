/** Ways in which handshakes and connections end over sockets of Node, and in memory, and what the metrics say about each. */
import * as ByteBudget from "@effect-websocket/platform/ByteBudget"
import * as MemoryTopicBroker from "@effect-websocket/platform/MemoryTopicBroker"
import * as ReconnectingWebSocket from "@effect-websocket/platform/ReconnectingWebSocket"
import * as TopicBroker from "@effect-websocket/platform/TopicBroker"
import * as Topics from "@effect-websocket/platform/Topics"
import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketMetrics from "@effect-websocket/platform/WebSocketMetrics"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import * as WebSocketUpgrade from "@effect-websocket/platform/WebSocketUpgrade"
import * as WebSocketUpgradeTest from "@effect-websocket/platform/WebSocketUpgradeTest"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import { Stream } from "effect"
import { HttpServerResponse, routesInMemory } from "../effect/http.js"
import { Deferred, Effect, Fiber, Layer, Metric, Scope } from "../effect/index.js"
import { assert } from "../effect/vitest.js"
import { settled } from "../support.js"
import { http2Client, http2Session, request as http2Request, connectHeaders } from "./http2.js"
import {
  closing,
  connect,
  first,
  frame,
  rawClient,
  rawServer,
  rawWebSocket,
  readResponse,
  serve,
  serveEcho,
  tls,
  upgradeRequest
} from "./support.js"

export type Numbers = ReadonlyMap<string, number>

export const numbers = Metric.numbersOf("websocket.")

/** A series without the names of its attributes: `handshake.duration accepted client`. */
const shown = (key: string): string => {
  const [name = "", labels = ""] = key.slice("websocket.".length, -1).split("{")
  return [name, ...labels.split(",").map((label) => label.split("=")[1])].join(" ").trim()
}

export const changes = (before: Numbers, after: Numbers): Record<string, number> =>
  Object.fromEntries(
    [...after].flatMap(([key, value]) => {
      const by = value - (before.get(key) ?? 0)
      return by === 0 ? [] : [[shown(key), by]]
    })
  )

type Server = WebSocketServer.Service

export const portOf = ({ address }: Server): number => (address as { readonly port: number }).port
export const urlOf = ({ address }: Server): string => address.url

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

/** A scenario, and what it changes in the metrics. With `"among others"` it may change more. */
export type Case = readonly [
  name: string,
  scenario: Effect.Effect<unknown, unknown, Scope.Scope | WebSocketMetrics.WebSocketMetrics>,
  expected: Readonly<Record<string, number>>,
  others?: "among others"
]

const bothAccepted = { "handshake.duration accepted server": 1, "handshake.duration accepted client": 1 }
const serverAccepted = { "handshake.duration accepted server": 1 }
const clientAccepted = { "handshake.duration accepted client": 1 }

export const endings: ReadonlyArray<Case> = [
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

export const handshakes: ReadonlyArray<Case> = [
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
    "a request whose headers are too large",
    Effect.gen(function* () {
      const peer = yield* rawClient(portOf(yield* serveEcho()))
      peer.write(upgradeRequest({ "X-Large": "x".repeat(17 * 1024) }))
      assert.match(yield* peer.until("\r\n\r\n"), /^HTTP\/1\.1 431 /)
    }),
    { "handshake.duration handshake refused server": 1 }
  ],
  [
    "a request whose host has dropped headers",
    Effect.gen(function* () {
      const { offer } = yield* WebSocketServer.make(() => ({ hostname: "test", port: 80, url: "ws://test" }))
      const statuses: Array<number> = []
      offer({
        request: { method: "GET", url: "/", httpVersion: "1.1", headers: {} },
        remoteAddress: "192.0.2.1",
        isCut: true,
        isGone: () => false,
        upgrade: () => assert.fail("accepted"),
        reject: (status) => void statuses.push(status)
      })
      assert.deepStrictEqual(statuses, [431])
    }),
    { "handshake.duration handshake refused server": 1 }
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

type InMemory<R> = Effect.Effect<unknown, unknown, R | Scope.Scope | WebSocketMetrics.WebSocketMetrics>

/** A scenario of clients and a server that are joined in memory. */
const inMemory = (
  scenario: InMemory<WebSocketClient.WebSocketClient | WebSocketServer.WebSocketServer | WebSocketTest.WebSocketTest>,
  options?: Parameters<typeof WebSocketTest.layerWith>[0]
) => scenario.pipe(Effect.scoped, Effect.provide(Layer.fresh(WebSocketTest.layerWith(options ?? {}))))

const connectInMemory = WebSocketClient.connect("ws://test")
const refusedInMemory = Effect.flip(Effect.scoped(connectInMemory))
const serveNothing = Effect.forkScoped(WebSocketServer.run(() => Effect.never))

/** A second client of a server that has room for one. */
const second = Effect.andThen(serveNothing, Effect.andThen(connectInMemory, refusedInMemory))

const refused = (reason: string, server: "server" | "client" = "server", count = 1) => ({
  [`handshake.duration ${reason} refused ${server}`]: count
})

/** A broker whose publishes never end well. */
const brokenBroker = TopicBroker.layer(
  Effect.map(MemoryTopicBroker.make(), (broker): TopicBroker.Service => ({
    ...broker,
    publish: (topic) => (topic === "slow" ? Effect.never : Effect.die("broken"))
  }))
)

export const limits: ReadonlyArray<Case> = [
  [
    "a server without room for another connection",
    inMemory(second, { admission: { maxConnections: 1 } }),
    refused("max_connections"),
    "among others"
  ],
  [
    "a server without room for another connection of a client",
    inMemory(second, { admission: { maxConnectionsPerKey: 1 } }),
    refused("max_connections_per_key"),
    "among others"
  ],
  [
    "a server that gets too many requests",
    inMemory(second, { admission: { handshakeRate: { limit: 1, interval: "1 minute" } } }),
    refused("rate"),
    "among others"
  ],
  [
    "a server without room for another handshake",
    inMemory(
      Effect.gen(function* () {
        yield* WebSocketServer.route({ path: "/", check: () => Effect.never })
        yield* Effect.forkScoped(connectInMemory)
        yield* settled
        yield* refusedInMemory
      }),
      { admission: { maxHandshakes: 1 } }
    ),
    refused("max_handshakes"),
    "among others"
  ],
  [
    "requests for no route, and for one that rejects them",
    inMemory(
      Effect.gen(function* () {
        yield* WebSocketServer.route({ path: "/denied", check: () => Effect.fail(UpgradeCheck.reject(401)) })
        yield* refusedInMemory
        yield* Effect.flip(WebSocketClient.connect("ws://test/denied"))
      })
    ),
    { ...refused("no_route"), ...refused("check"), ...refused("404", "client"), ...refused("401", "client") }
  ],
  [
    "an exhausted budget",
    Effect.gen(function* () {
      const budget = yield* ByteBudget.make(1000)
      yield* inMemory(
        Effect.gen(function* () {
          yield* serveNothing
          const socket = yield* connectInMemory
          yield* socket.send("x".repeat(600))
          yield* settled
          yield* refusedInMemory
          yield* socket.abort
        }),
        { budget }
      )
    }),
    { ...refused("budget"), "read.pauses budget server": 1 },
    "among others"
  ],
  [
    "a peer that sends more than is read",
    inMemory(
      Effect.gen(function* () {
        yield* serveNothing
        const socket = yield* connectInMemory
        yield* socket.send("x".repeat(1000))
        yield* settled
        yield* socket.abort
      }),
      { receiveHighWaterMark: 100 }
    ),
    { "read.pauses inbox server": 1 },
    "among others"
  ],
  [
    "a peer that sends too often",
    inMemory(
      Effect.gen(function* () {
        yield* Effect.forkScoped(WebSocketServer.run((socket) => socket.run(() => Effect.void)))
        const socket = yield* connectInMemory
        yield* socket.sendAll(["one", "two", "three"])
        yield* settled
        yield* socket.abort
      }),
      { receiveRate: { messages: 1, interval: "1 minute" } }
    ),
    { "read.pauses rate server": 1 },
    "among others"
  ],
  [
    "an outbox",
    inMemory(
      Effect.gen(function* () {
        const socket = yield* ReconnectingWebSocket.make("ws://test", {
          maxSendBytes: 5,
          sendHighWaterMark: 1,
          sendLowWaterMark: 1
        })
        const network = yield* WebSocketTest.network(yield* WebSocketTest.acceptPeer())
        yield* Effect.flip(socket.send("larger"))
        yield* network.clientToServer.stall
        const sending = yield* Effect.forkChild(socket.send("lost?"))
        yield* settled
        yield* network.reset
        assert.strictEqual(yield* Fiber.join(sending), "unknown")
      })
    ),
    { "client.outbox.messages refused": 1, "client.outbox.messages unknown": 1 },
    "among others"
  ],
  [
    "members of topics",
    Effect.gen(function* () {
      const topics = yield* Topics.Topics
      const start = yield* topics.position("a")
      yield* topics.publish("a", "one")
      for (const since of [undefined, start, { epoch: "another", offset: 1 }]) {
        yield* Effect.forkScoped(Stream.runDrain(topics.subscribe("a", since && { since })))
      }
      yield* settled
      yield* Effect.flip(topics.publish("b", "too many"))
    }).pipe(
      Effect.scoped,
      Effect.provide(Layer.fresh(Layer.provideMerge(Topics.layerBroker(), MemoryTopicBroker.layer({ maxTopics: 1 }))))
    ),
    {
      "topic.publish.duration": 1,
      "topic.publish.duration TooManyTopics": 1,
      "topic.starts new": 1,
      "topic.starts recovered": 1,
      "topic.starts gap": 1
    }
  ],
  [
    "publishes that die, and that are interrupted",
    Effect.gen(function* () {
      const topics = yield* Topics.Topics
      yield* Effect.exit(topics.publish("broken", "one"))
      const waiting = yield* Effect.forkChild(topics.publish("slow", "one"))
      yield* settled
      yield* Fiber.interrupt(waiting)
    }).pipe(Effect.provide(Layer.fresh(Layer.provide(Topics.layerBroker(), brokenBroker)))),
    { "topic.publish.duration defect": 1, "topic.publish.duration interrupted": 1 }
  ],
  [
    "middleware that replaces the 101",
    Effect.gen(function* () {
      const replaced = Effect.as(
        WebSocketUpgrade.upgrade(() => Effect.never),
        HttpServerResponse.text("no", { status: 418 })
      )
      yield* WebSocketUpgradeTest.serve(yield* routesInMemory([["GET", "/replaced", replaced]]))
      yield* Effect.flip(WebSocketClient.connect("/replaced"))
    }).pipe(Effect.scoped, Effect.provide(Layer.fresh(WebSocketUpgradeTest.layer))),
    { ...refused("replaced"), ...refused("418", "client") }
  ],
  [
    "answers with statuses that HTTP does not define",
    inMemory(
      Effect.forEach([502, 499, 999], (status) =>
        Effect.gen(function* () {
          yield* Effect.forkScoped(Effect.exit(connectInMemory))
          yield* (yield* WebSocketTest.nextAttempt).reject(status)
          yield* settled
        })
      )
    ),
    { ...refused("502", "client"), ...refused("4xx", "client"), ...refused("_OTHER", "client") }
  ],
  [
    "a transport that throws",
    Effect.exit(
      WebSocketClient.make(() => {
        throw new Error("broken")
      }).connect("ws://test")
    ),
    refused("defect", "client")
  ]
]
