import * as ByteBudget from "@effect-websocket/platform/ByteBudget"
import * as MemoryTopicBroker from "@effect-websocket/platform/MemoryTopicBroker"
import * as ReconnectingWebSocket from "@effect-websocket/platform/ReconnectingWebSocket"
import * as TopicBroker from "@effect-websocket/platform/TopicBroker"
import * as Topics from "@effect-websocket/platform/Topics"
import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import { connect } from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketMetrics from "@effect-websocket/platform/WebSocketMetrics"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import * as WebSocketUpgrade from "@effect-websocket/platform/WebSocketUpgrade"
import * as WebSocketUpgradeTest from "@effect-websocket/platform/WebSocketUpgradeTest"
import { Schedule, Stream } from "effect"
import { HttpServerResponse, routesInMemory } from "./effect/http.js"
import { Effect, Exit, Fiber, Layer, Metric, Scope, TestClock } from "./effect/index.js"
import { afterAll, assert, describe, it } from "./effect/vitest.js"
import * as instruments from "../src/internal/instruments.js"
import { isDefect, settled } from "./support.js"

/** What a test changes. All tests share the metrics of the process. */
const changesOf = Effect.gen(function* () {
  const before = yield* Metric.numbersOf("websocket.")
  return Effect.gen(function* () {
    yield* WebSocketMetrics.sample
    const after = yield* Metric.numbersOf("websocket.")
    const changed = [...after].map(([key, value]) => [key, value - (before.get(key) ?? 0)] as const)
    return Object.fromEntries(changed.filter(([, by]) => by !== 0))
  })
})

const metered = <R>(layer: Layer.Layer<R>) => Layer.fresh(Layer.provideMerge(layer, WebSocketMetrics.layer))

const echo = (socket: WebSocketServer.ServerWebSocket) => socket.run((message) => socket.send(message))

describe("WebSocketMetrics", () => {
  it.effect("records nothing for servers and clients that it is not provided to", () =>
    Effect.gen(function* () {
      const changes = yield* changesOf
      yield* Effect.gen(function* () {
        yield* Effect.forkScoped(WebSocketServer.run(echo))
        const socket = yield* connect("ws://test")
        yield* socket.send("hello")
        yield* WebSocketTest.expectMessage(socket, "hello")
      }).pipe(Effect.scoped, Effect.provide(Layer.fresh(WebSocketTest.layer)))
      assert.deepStrictEqual(yield* Effect.provide(changes, WebSocketMetrics.layer), {})
    })
  )

  it.effect("counts connections, handshakes, messages, bytes and closes", () =>
    Effect.gen(function* () {
      const changes = yield* changesOf
      const scope = yield* Scope.make()
      yield* Effect.forkScoped(WebSocketServer.run(echo))
      const socket = yield* Scope.provide(connect("ws://test"), scope)
      yield* socket.send("hello")
      yield* WebSocketTest.expectMessage(socket, "hello")
      yield* socket.ping()
      const open = yield* changes
      assert.deepStrictEqual(open, {
        "websocket.connection.active{websocket.role=client}": 1,
        "websocket.connection.active{websocket.role=server}": 1,
        "websocket.handshake.duration{websocket.handshake.outcome=accepted,websocket.role=client}": 1,
        "websocket.handshake.duration{websocket.handshake.outcome=accepted,websocket.role=server}": 1,
        // A frame of a client has a mask of four bytes. The ping has 8 bytes.
        "websocket.io{network.io.direction=receive,websocket.role=client}": 17,
        "websocket.io{network.io.direction=receive,websocket.role=server}": 25,
        "websocket.io{network.io.direction=transmit,websocket.role=client}": 25,
        "websocket.io{network.io.direction=transmit,websocket.role=server}": 17,
        "websocket.messages{network.io.direction=receive,websocket.role=client}": 1,
        "websocket.messages{network.io.direction=receive,websocket.role=server}": 1,
        "websocket.messages{network.io.direction=transmit,websocket.role=client}": 1,
        "websocket.messages{network.io.direction=transmit,websocket.role=server}": 1,
        "websocket.ping.duration{websocket.role=client}": 1
      })
      yield* Scope.close(scope, Exit.void)
      yield* settled
      const { closed, rest } = split(yield* changes)
      assert.deepStrictEqual(closed, {
        "websocket.connection.closed{websocket.close.clean=true,websocket.close.code=1000,websocket.close.initiator=local,websocket.role=client}": 1,
        "websocket.connection.closed{websocket.close.clean=true,websocket.close.code=1000,websocket.close.initiator=remote,websocket.role=server}": 1
      })
      assert.notProperty(rest, "websocket.connection.active{websocket.role=client}")
      // Nothing is lost of connections that have ended.
      assert.strictEqual(rest["websocket.messages{network.io.direction=receive,websocket.role=server}"], 1)
    }).pipe(Effect.provide(metered(WebSocketTest.layer)))
  )

  it.effect("names a code of the app by its range", () =>
    Effect.gen(function* () {
      const changes = yield* changesOf
      yield* Effect.forkScoped(WebSocketServer.run((socket) => Effect.andThen(socket.close(4711), Effect.never)))
      const socket = yield* connect("ws://test")
      yield* socket.closeStatus
      yield* settled
      const { closed } = split(yield* changes)
      assert.lengthOf(Object.keys(closed), 2)
      for (const key of Object.keys(closed)) assert.include(key, "websocket.close.code=4xxx")
    }).pipe(Effect.provide(metered(WebSocketTest.layer)))
  )

  it.effect("counts refused requests by reason", () =>
    Effect.gen(function* () {
      const changes = yield* changesOf
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.route({
        path: "/denied",
        check: () => Effect.fail(UpgradeCheck.reject(401, { body: "no" }))
      })
      yield* server.route({ path: "/broken", check: () => Effect.die("broken") })
      yield* server.route({ path: "/slow", check: () => Effect.never })
      yield* Effect.flip(Effect.scoped(connect("ws://test/denied")))
      yield* Effect.flip(Effect.scoped(connect("ws://test/broken")))
      yield* Effect.flip(Effect.scoped(connect("ws://test/nothing")))
      yield* Effect.flip(Effect.scoped(connect("ws://test/denied", { origin: "https://other.example" })))
      yield* Effect.forkScoped(Effect.exit(Effect.scoped(connect("ws://test/slow"))))
      yield* settled
      assert.deepStrictEqual(refusals(yield* changes), {
        "client,403": 1,
        "client,401": 1,
        "client,404": 1,
        "client,500": 1,
        "server,check": 1,
        "server,error": 1,
        "server,no_route": 1,
        "server,origin": 1
      })
      assert.strictEqual((yield* changes)["websocket.handshake.active{websocket.role=server}"], 1)
      yield* TestClock.adjust("10 seconds")
      yield* settled
      const after = yield* changes
      assert.include(refusals(after), { "client,Timeout": 1, "server,gone": 1 })
      assert.notProperty(after, "websocket.handshake.active{websocket.role=server}")
      assert.notProperty(after, "websocket.handshake.active{websocket.role=client}")
    }).pipe(Effect.provide(metered(WebSocketTest.layer)))
  )

  it.effect("counts what the gate and a stopped server refuse", () =>
    Effect.gen(function* () {
      const changes = yield* changesOf
      yield* Effect.forkScoped(WebSocketServer.run(() => Effect.never))
      yield* connect("ws://test")
      yield* Effect.flip(Effect.scoped(connect("ws://test")))
      const server = yield* WebSocketServer.WebSocketServer
      yield* server.stop
      yield* Effect.flip(Effect.scoped(connect("ws://test")))
      assert.deepStrictEqual(refusals(yield* changes), {
        "client,503": 2,
        "server,max_connections": 1,
        "server,stopping": 1
      })
    }).pipe(Effect.provide(metered(WebSocketTest.layerWith({ admission: { maxConnections: 1 } }))))
  )

  it.effect("reads unread bytes, pauses and budgets", () =>
    Effect.gen(function* () {
      const budget = yield* ByteBudget.make(1024 * 1024)
      const changes = yield* changesOf
      yield* Effect.forkScoped(WebSocketServer.run(() => Effect.never))
      yield* Effect.gen(function* () {
        const socket = yield* connect("ws://test", { budget })
        yield* socket.send("x".repeat(1000))
        yield* settled
        const read = yield* changes
        // Each message counts 64 bytes more than it has.
        assert.include(read, {
          "websocket.unread.size{websocket.role=server}": 1064,
          "websocket.read.paused{websocket.role=server}": 1,
          "websocket.read.pauses{websocket.pause.reason=inbox,websocket.role=server}": 1,
          "websocket.budget.limit{}": 1024 * 1024
        })
        yield* socket.abort
      }).pipe(Effect.scoped)
      yield* settled
      assert.notProperty(yield* changes, "websocket.unread.size{websocket.role=server}")
      assert.notProperty(yield* changes, "websocket.budget.limit{}")
    }).pipe(Effect.provide(metered(WebSocketTest.layerWith({ receiveHighWaterMark: 100 }))))
  )

  it.effect("measures heartbeats, and counts those without an answer", () =>
    Effect.gen(function* () {
      const changes = yield* changesOf
      yield* Effect.forkScoped(WebSocketServer.run(() => Effect.never))
      const socket = yield* connect("ws://test", { heartbeatInterval: "1 second", heartbeatTimeout: "1 second" })
      yield* TestClock.adjust("1 second")
      yield* settled
      assert.include(yield* changes, { "websocket.ping.duration{websocket.role=client}": 1 })
      const network = yield* WebSocketTest.network(socket)
      yield* network.serverToClient.stall
      // A deadline has a moment of grace that no clock of a test moves.
      const failed = Effect.map(
        changes,
        (numbers) => numbers["websocket.heartbeat.failures{websocket.role=client}"] === 1
      )
      yield* Effect.repeat(Effect.andThen(Effect.andThen(TestClock.adjust("1 second"), settled), failed), {
        until: (hasFailed) => hasFailed
      })
    }).pipe(Effect.provide(metered(WebSocketTest.layer)))
  )

  it.effect("reads the numbers at intervals, and takes its gauges back at the end", () =>
    Effect.gen(function* () {
      const before = yield* Metric.numbersOf("websocket.messages")
      const received = "websocket.messages{network.io.direction=receive,websocket.role=server}"
      yield* Effect.gen(function* () {
        yield* Effect.forkScoped(WebSocketServer.run(echo))
        const socket = yield* connect("ws://test")
        yield* socket.send("hello")
        yield* WebSocketTest.expectMessage(socket, "hello")
        yield* TestClock.adjust("2 seconds")
        yield* settled
        const after = yield* Metric.numbersOf("websocket.messages")
        assert.strictEqual((after.get(received) ?? 0) - (before.get(received) ?? 0), 1)
      }).pipe(
        Effect.scoped,
        Effect.provide(
          Layer.fresh(Layer.provideMerge(WebSocketTest.layer, WebSocketMetrics.layerWith({ interval: "2 seconds" })))
        )
      )
      for (const [key, value] of yield* Metric.numbersOf("websocket.connection.active"))
        assert.strictEqual(value, 0, key)
    })
  )

  it.effect("records nothing of connections that last longer than it", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const service = yield* Scope.provide(WebSocketMetrics.make(), scope)
      const sockets = yield* Effect.gen(function* () {
        yield* Effect.forkScoped(WebSocketServer.run(echo))
        return [yield* connect("ws://test"), yield* connect("ws://test")]
      }).pipe(Effect.provideService(WebSocketMetrics.WebSocketMetrics, service))
      yield* Scope.close(scope, Exit.void)
      const before = yield* Metric.numbersOf("websocket.")
      for (const socket of sockets) {
        yield* socket.send("hello")
        yield* WebSocketTest.expectMessage(socket, "hello")
        yield* socket.close()
        yield* service.sample
        assert.deepStrictEqual([...(yield* Metric.numbersOf("websocket."))], [...before])
      }
      for (const [key, value] of before) if (key.includes(".active")) assert.strictEqual(value, 0, key)
    }).pipe(Effect.scoped, Effect.provide(Layer.fresh(WebSocketTest.layer)))
  )

  it.effect("counts each connection once, and leaves no gauge, whenever its handshake is interrupted", () =>
    Effect.gen(function* () {
      const ends: Array<string> = []
      for (let turns = 0; turns < 28; turns++) {
        for (const who of ["client", "server", "both"]) {
          const changes = yield* changesOf
          yield* Effect.gen(function* () {
            const server = yield* WebSocketServer.WebSocketServer
            const accepting = yield* Effect.forkChild(Effect.scoped(Effect.andThen(server.accept(), Effect.never)))
            const connecting = yield* Effect.forkChild(
              Effect.scoped(Effect.andThen(connect("ws://test"), Effect.never))
            )
            // Up to three turns of the event loop, and then up to six of microtasks.
            for (let turn = 0; turn < turns / 7 - 1; turn++) {
              yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
            }
            for (let turn = 0; turn < turns % 7; turn++) yield* Effect.promise(() => Promise.resolve())
            if (who !== "server") yield* Fiber.interrupt(connecting)
            if (who !== "client") yield* Fiber.interrupt(accepting)
          }).pipe(Effect.scoped, Effect.provide(Layer.fresh(WebSocketTest.layer)))
          yield* settled
          const all = yield* changes
          const count = (pattern: RegExp) =>
            Object.entries(all).reduce((sum, [key, value]) => (pattern.test(key) ? sum + value : sum), 0)
          const name = `${who} after ${turns}: ${JSON.stringify(all)}`
          assert.strictEqual(count(/\.active/), 0, name)
          for (const role of ["client", "server"]) {
            const opened = count(new RegExp(`handshake.*outcome=accepted.*role=${role}`))
            const closed = count(new RegExp(`connection.closed.*role=${role}`))
            assert.isAtMost(opened, 1, name)
            assert.isAtMost(count(new RegExp(`handshake.duration.*role=${role}`)), 1, name)
            // A client may have been interrupted between the 101 and the end of `connect`.
            if (role === "server") assert.strictEqual(closed, opened, name)
            else assert.isAtLeast(closed, opened, name)
            ends.push(`${role} ${opened}`)
          }
        }
      }
      // It was interrupted before and behind the 101.
      assert.sameMembers([...new Set(ends)], ["client 0", "client 1", "server 0", "server 1"])
    }).pipe(Effect.provide(Layer.fresh(WebSocketMetrics.layer)))
  )

  it.effect("names statuses that HTTP does not define by their class", () =>
    Effect.gen(function* () {
      const changes = yield* changesOf
      for (const status of [204, 299, 418, 419, 499, 502, 599, 600, 999]) {
        yield* Effect.forkScoped(Effect.exit(connect("ws://test")))
        yield* (yield* WebSocketTest.nextAttempt).reject(status)
      }
      yield* settled
      assert.deepStrictEqual(refusals(yield* changes), {
        "client,204": 1,
        "client,2xx": 1,
        "client,418": 1,
        "client,4xx": 2,
        "client,502": 1,
        "client,5xx": 1,
        "client,_OTHER": 2
      })
    }).pipe(Effect.provide(metered(WebSocketTest.layer)))
  )

  it.effect("has an interval that is a finite duration above zero", () =>
    Effect.gen(function* () {
      for (const interval of [0, -1, Infinity]) {
        assert.isTrue(isDefect(yield* Effect.exit(Effect.scoped(WebSocketMetrics.make({ interval })))))
      }
    })
  )
})

// The tests above and below have recorded nearly all of them.
afterAll(() =>
  Effect.runPromise(
    Effect.map(Metric.numbersOf("websocket."), (numbers) => {
      for (const key of numbers.keys()) {
        const [name, labels = ""] = key.slice(0, -1).split("{")
        const found = Object.values(instruments).find((instrument) => instrument.name === name)
        const attributes = labels === "" ? [] : labels.split(",").map((label) => label.split("=")[0])
        assert.includeMembers([...(found?.attributes ?? [])], attributes, key)
      }
    })
  )
)

describe("of a reconnecting client", () => {
  it.effect("counts reconnects and the outcomes of its outbox", () =>
    Effect.gen(function* () {
      const changes = yield* changesOf
      const socket = yield* ReconnectingWebSocket.make("ws://test", { schedule: Schedule.spaced("1 second") })
      const first = yield* WebSocketTest.acceptPeer()
      yield* socket.send("one")
      yield* first.receive
      yield* first.sendClose(1012)
      yield* first.expectClose({ code: 1012 })
      yield* first.end
      yield* settled
      yield* TestClock.adjust("1 second")
      const second = yield* WebSocketTest.acceptPeer()
      yield* socket.awaitOpen
      yield* socket.send("two")
      yield* Effect.flatten(socket.offer("three"))
      const closing = yield* Effect.forkChild(socket.close())
      yield* second.receive
      yield* second.receive
      yield* second.expectClose({ code: 1000 })
      yield* second.sendClose(1000)
      yield* second.end
      yield* Fiber.join(closing)
      assert.strictEqual(yield* socket.send("late"), "dropped")
      assert.include(yield* changes, {
        "websocket.client.reconnects{}": 1,
        "websocket.client.outbox.messages{websocket.outbox.outcome=delivered}": 3,
        "websocket.client.outbox.messages{websocket.outbox.outcome=dropped}": 1
      })
    }).pipe(Effect.provide(metered(WebSocketTest.layer)))
  )
})

describe("of a drain", () => {
  it.effect("reads the connections that are left", () =>
    Effect.gen(function* () {
      const changes = yield* changesOf
      const server = yield* WebSocketServer.WebSocketServer
      yield* Effect.forkScoped(WebSocketServer.run((socket) => socket.run(() => Effect.void)))
      yield* connect("ws://test")
      yield* connect("ws://test")
      yield* Effect.forkScoped(server.drain({ window: "10 seconds", timeout: "20 seconds" }))
      yield* settled
      assert.strictEqual((yield* changes)["websocket.server.draining{}"], 2)
      yield* TestClock.adjust("10 seconds")
      yield* settled
      assert.notProperty(yield* changes, "websocket.server.draining{}")
    }).pipe(Effect.provide(metered(WebSocketTest.layer)))
  )
})

describe("of an upgrade in a route", () => {
  it.effect("counts what middleware replaces", () =>
    Effect.gen(function* () {
      const changes = yield* changesOf
      yield* WebSocketUpgradeTest.serve(
        yield* routesInMemory([
          ["GET", "/echo", WebSocketUpgrade.upgrade(echo)],
          [
            "GET",
            "/replaced",
            Effect.as(WebSocketUpgrade.upgrade(echo), HttpServerResponse.text("no", { status: 418 }))
          ]
        ])
      )
      yield* connect("/echo")
      yield* Effect.flip(Effect.scoped(connect("/replaced")))
      const after = yield* changes
      assert.deepStrictEqual(refusals(after), { "client,418": 1, "server,replaced": 1 })
      assert.include(after, {
        "websocket.handshake.duration{websocket.handshake.outcome=accepted,websocket.role=server}": 1
      })
      assert.notProperty(after, "websocket.handshake.active{websocket.role=server}")
    }).pipe(Effect.provide(metered(WebSocketUpgradeTest.layer)))
  )
})

describe("of topics", () => {
  it.effect("counts publishes, members and how they begin", () =>
    Effect.gen(function* () {
      const changes = yield* changesOf
      const topics = yield* Topics.Topics
      const start = yield* topics.position("a")
      yield* topics.publish("a", "one")
      yield* topics.publish("a", "two")
      const listen = (options?: Topics.SubscribeOptions) =>
        Effect.forkScoped(Stream.runDrain(topics.subscribe("a", options)))
      yield* listen()
      yield* listen({ since: start })
      yield* listen({ since: { epoch: "another", offset: 1 } })
      yield* settled
      yield* topics.publish("a", "three")
      yield* Effect.flip(topics.publish("b", "too many"))
      assert.deepStrictEqual(yield* changes, {
        "websocket.topic.members{}": 3,
        "websocket.topic.publish.duration{}": 3,
        "websocket.topic.publish.duration{error.type=TooManyTopics}": 1,
        "websocket.topic.fan_out.duration{}": 1,
        "websocket.topic.starts{websocket.topic.start=new}": 1,
        "websocket.topic.starts{websocket.topic.start=recovered}": 1,
        "websocket.topic.starts{websocket.topic.start=gap}": 1
      })
      // The topic begins again, and its members have missed something.
      yield* Effect.flatMap(TopicBroker.TopicBroker, (broker) => broker.remove("a"))
      yield* settled
      assert.include(yield* changes, { "websocket.topic.starts{websocket.topic.start=gap}": 4 })
    }).pipe(
      Effect.scoped,
      Effect.provide(metered(Layer.provideMerge(Topics.layerBroker(), MemoryTopicBroker.layer({ maxTopics: 1 }))))
    )
  )
})

type Changes = Readonly<Record<string, number>>

const split = (changes: Changes) => {
  const isClosed = ([key]: readonly [string, number]) => key.startsWith("websocket.connection.closed")
  const all = Object.entries(changes)
  return {
    closed: Object.fromEntries(all.filter(isClosed)),
    rest: Object.fromEntries(all.filter((entry) => !isClosed(entry)))
  }
}

/** How often which side refused, or was refused, for which reason. */
const refusals = (changes: Changes): Changes =>
  Object.fromEntries(
    Object.entries(changes).flatMap(([key, value]) => {
      const found = /^websocket\.handshake\.duration\{error\.type=([^,]*),.*websocket\.role=(\w+)\}$/.exec(key)
      return found === null ? [] : [[`${found[2]},${found[1]}`, value]]
    })
  )
