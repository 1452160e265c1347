/** Checks, routes, what `run` may be told, and the list of connections. */
import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import * as Origin from "@effect-websocket/protocol/Origin"
import { Option } from "effect"
import {
  Cause,
  Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Scope,
  TestClock
} from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import { isDefect, isPending, settled, upgradeRequest } from "./support.js"

const connect = (path: string, options?: WebSocketClient.ConnectOptions) =>
  WebSocketClient.connect(`ws://test${path}`, options)

const refusal = (path: string, options?: WebSocketClient.ConnectOptions) =>
  Effect.map(Effect.flip(Effect.scoped(connect(path, options))), (error) => {
    assert(error._tag === "Handshake_rejected")
    return { status: error.status, headers: error.headers, body: new TextDecoder().decode(error.body) }
  })

const refusalLine = (path: string, options?: WebSocketClient.ConnectOptions) =>
  Effect.map(refusal(path, options), ({ body, status }) => [status, body])

const silent = Logger.withoutDefault

/** Runs a test against a route. */
const withRoute = <A, E, R>(
  route: Layer.Layer<never, never, WebSocketServer.WebSocketServer>,
  test: Effect.Effect<A, E, R | Scope.Scope>,
  options: WebSocketServer.Options = {}
) =>
  Effect.scoped(test).pipe(
    Effect.provide(Layer.provideMerge(route, WebSocketTest.layerWith(options))),
    Effect.provide(silent)
  )

class Users extends Context.Service<Users, (name: string) => Option.Option<{ readonly name: string }>>()("Users") {}

describe("a check", () => {
  it.effect("sees the request, and hands a value to the handler", () =>
    Effect.gen(function* () {
      const seen = yield* Deferred.make<UpgradeCheck.Request>()
      const route = WebSocketServer.layerRoute({
        path: "/chat",
        check: (request) =>
          Effect.gen(function* () {
            yield* Deferred.succeed(seen, request)
            const user = (yield* Users)(request.cookies["name"] ?? "")
            return Option.isNone(user)
              ? UpgradeCheck.reject(401, { body: "no" })
              : UpgradeCheck.accept(user.value, {
                  protocol: "b",
                  headers: { "X-Room": "1" },
                  options: { limits: { maxMessageBytes: 10 } }
                })
          }),
        handler: (socket) => Effect.andThen(socket.send(socket.value.name), socket.closeStatus)
      }).pipe(Layer.provide(Layer.succeed(Users, (name) => (name === "Ada" ? Option.some({ name }) : Option.none()))))
      yield* withRoute(
        route,
        Effect.gen(function* () {
          const socket = yield* connect("/chat?room=1&tag=a&tag=b", {
            protocols: ["a", "b"],
            headers: { Cookie: ["name=Ada; theme=dark"] }
          })
          assert.strictEqual(socket.protocol, "b")
          assert.strictEqual((yield* socket.receive).data, "Ada")
          const request = yield* Deferred.await(seen)
          assert.deepStrictEqual(
            [request.path, request.query, request.cookies, request.protocols, request.origin],
            ["/chat", { room: "1", tag: ["a", "b"] }, { name: "Ada", theme: "dark" }, ["a", "b"], undefined]
          )
          const [handle] = yield* WebSocketServer.connections
          assert.deepStrictEqual(handle?.value, { name: "Ada" })
          yield* socket.send("longer than ten")
          assert.strictEqual((yield* socket.closeStatus).received?.code, 1009)
        })
      )
    })
  )

  const rejections: ReadonlyArray<
    readonly [string, Effect.Effect<UpgradeCheck.Accept<undefined> | UpgradeCheck.Reject, unknown>, number, string]
  > = [
    ["rejects", Effect.succeed(UpgradeCheck.reject(402, { body: "Pay" })), 402, "Pay"],
    ["fails with a rejection", Effect.fail(UpgradeCheck.reject(401, { body: "Who?" })), 401, "Who?"],
    ["fails with something else", Effect.fail("database"), 500, "The server could not check the request"],
    ["dies", Effect.die("bug"), 500, "The server could not check the request"],
    ["is interrupted", Effect.interrupt, 500, "The server could not check the request"],
    // Without types, it may be anything.
    ["yields nothing", Effect.void as never, 500, "The server could not check the request"],
    ["yields something else", Effect.succeed(true) as never, 500, "The server could not check the request"],
    ["is no effect", undefined as never, 500, "The server could not check the request"],
    ["rejects with 101", Effect.succeed(UpgradeCheck.reject(101)), 500, "The server could not check the request"],
    [
      "splits the answer",
      Effect.succeed(UpgradeCheck.reject(401, { headers: { "X-A": "a\r\nX-B: b" } })),
      500,
      "The server could not check the request"
    ],
    [
      "sets what the server sets",
      Effect.succeed(UpgradeCheck.reject(401, { headers: { "content-length": "1" } })),
      500,
      "The server could not check the request"
    ],
    [
      "accepts with a header that is none",
      Effect.succeed(UpgradeCheck.accept(undefined, { headers: { "X-A": "a\r\nX-B: b" } })),
      500,
      "The server's answer to the handshake is not valid"
    ],
    [
      "accepts with a subprotocol that was not offered",
      Effect.succeed(UpgradeCheck.accept(undefined, { protocol: "c" })),
      500,
      "The server's answer to the handshake is not valid"
    ],
    [
      "accepts with options that make no sense",
      Effect.succeed(UpgradeCheck.accept(undefined, { options: { closeTimeout: 0 } })),
      500,
      "The server cannot open the connection"
    ]
  ]
  it.effect.each(rejections)("that %s is answered, and the next one is not touched", ([, check, status, body]) =>
    withRoute(
      WebSocketServer.layerRoute({
        check: ({ path }) => (path === "/good" ? Effect.succeed(UpgradeCheck.accept()) : check),
        handler: (socket) => socket.run((message) => socket.send(message))
      }),
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* refusalLine("/bad", { protocols: ["a", "b"] }), [status, body])
        const socket = yield* connect("/good")
        yield* socket.send("hello")
        assert.strictEqual((yield* socket.receive).data, "hello")
      })
    )
  )

  it.effect("selects a subprotocol of those that are offered, and none if none is offered", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const logger = Logger.make((entry) => void log.push(`${Logger.levelOf(entry)} ${String(entry.message)}`))
      const asked: Array<ReadonlyArray<string>> = []
      const route = WebSocketServer.layerRoute({
        protocols: (offered) => {
          asked.push(offered)
          return "of the route"
        },
        check: () => Effect.succeed(UpgradeCheck.accept(undefined, { protocol: "chat.v2" })),
        handler: (socket) => socket.send(String(socket.protocol))
      })
      yield* Effect.gen(function* () {
        for (const [protocols, expected] of [
          [["chat.v1", "chat.v2"], "chat.v2"],
          [[], undefined],
          [undefined, undefined]
        ] as const) {
          const socket = yield* connect("/", { protocols })
          assert.strictEqual(socket.protocol, expected)
          assert.strictEqual((yield* socket.receive).data, String(expected))
        }
        assert.deepStrictEqual(log, [])
        assert.deepStrictEqual(yield* refusalLine("/", { protocols: ["chat.v1"] }), [
          500,
          "The server's answer to the handshake is not valid"
        ])
        assert.match(log.join(), /^ERROR Refused an upgrade request,.*chat\.v2/)
        assert.deepStrictEqual(asked, [])
      }).pipe(
        Effect.scoped,
        Effect.provide(Layer.provideMerge(route, WebSocketTest.layer)),
        Effect.provide(Logger.layer([logger]))
      )
    })
  )

  it.effect("comes behind the origin policy, and is not asked by others", () =>
    Effect.gen(function* () {
      let asked = 0
      const route = WebSocketServer.layerRoute({
        path: "/",
        origin: Origin.allowList(["https://a.example"]),
        check: () =>
          Effect.sync(() => {
            asked++
            return UpgradeCheck.accept()
          }),
        handler: () => Effect.void
      })
      yield* withRoute(
        route,
        Effect.gen(function* () {
          const [status] = yield* refusalLine("/", { origin: "http://test" })
          assert.deepStrictEqual([status, asked], [403, 0])
          yield* connect("/", { origin: "https://a.example" })
          assert.strictEqual(asked, 1)
        })
      )
    })
  )

  it.effect("is interrupted when time is up, with 503, and when the client goes away", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const route = WebSocketServer.layerRoute({
        check: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++)),
        handler: () => Effect.void
      })
      yield* withRoute(
        route,
        Effect.gen(function* () {
          const waiting = yield* Effect.forkChild(refusalLine("/"))
          yield* TestClock.adjust("1999 millis")
          assert.isTrue(yield* isPending(waiting))
          yield* TestClock.adjust("1 millis")
          assert.deepStrictEqual(yield* Fiber.join(waiting), [503, "No handler took the connection in time"])
          yield* settled
          assert.strictEqual(interrupted, 1)
        }),
        { handshakeTimeout: "2 seconds" }
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { offer, service } = yield* WebSocketServer.make({ hostname: "test", port: 80, url: "ws://test" })
          const route = yield* service.route({
            check: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))
          })
          yield* Effect.forkScoped(route.accept())
          let gone = () => {}
          const answers: Array<number> = []
          offer({
            request: upgradeRequest,
            remoteAddress: undefined,
            isGone: () => false,
            onGone: (listener) => {
              gone = listener
            },
            upgrade: () => assert.fail("it is gone"),
            reject: (status) => answers.push(status)
          })
          gone()
          yield* settled
          assert.deepStrictEqual([interrupted, answers], [2, []])
        })
      )
    })
  )
})

describe("a function of the app that throws", () => {
  const bug = () => {
    throw new Error("bug")
  }
  const checking = "The server could not check the request"
  const cases: ReadonlyArray<readonly [string, WebSocketServer.Options, string]> = [
    ["an origin policy", { origin: bug }, checking],
    ["a key", { admission: { maxConnectionsPerKey: 1, key: bug } }, checking],
    ["a selector of subprotocols", { protocols: bug }, "The server cannot open the connection"]
  ]
  it.effect.each(cases)("as %s is answered with 500, and the server goes on", ([, options, body]) =>
    withRoute(
      Layer.merge(
        WebSocketServer.layerRoute({ path: "/a", handler: () => Effect.void }),
        WebSocketServer.layerRoute({
          path: "/b",
          origin: () => undefined,
          protocols: [],
          handler: (socket) => socket.send("fine")
        })
      ),
      Effect.gen(function* () {
        // A selector is only asked when something is offered.
        const offer = { protocols: ["chat"] }
        assert.deepStrictEqual(yield* refusalLine("/a", offer), [500, body])
        assert.deepStrictEqual(yield* refusalLine("/a", offer), [500, body])
        if (options.admission === undefined) assert.strictEqual((yield* (yield* connect("/b")).receive).data, "fine")
      }),
      options
    )
  )
})

describe("routes", () => {
  const greet = (path: string | undefined, greeting: string) =>
    WebSocketServer.layerRoute({ path, handler: (socket) => socket.send(greeting) })

  const greetingOf = (path: string) =>
    Effect.scoped(Effect.flatMap(connect(path), (socket) => Effect.map(socket.receive, ({ data }) => data)))

  it.effect("take the requests of their paths, the longest first, and others get 404", () =>
    withRoute(
      Layer.mergeAll(greet("/a/*", "beginning"), greet("/a/b", "whole"), greet("/a/b/*", "longer")),
      Effect.gen(function* () {
        assert.strictEqual(yield* greetingOf("/a/x?/a/b"), "beginning")
        assert.strictEqual(yield* greetingOf("/a/b"), "whole")
        assert.strictEqual(yield* greetingOf("/a/b/c"), "longer")
        assert.deepStrictEqual(yield* refusalLine("/a"), [404, "There is no WebSocket at this path"])
        assert.deepStrictEqual(yield* refusalLine("/"), [404, "There is no WebSocket at this path"])
      })
    )
  )

  it.effect("leave the rest to a route without a path, or to the server itself", () =>
    Effect.gen(function* () {
      yield* withRoute(
        Layer.mergeAll(greet(undefined, "rest"), greet("/a", "a")),
        Effect.gen(function* () {
          assert.deepStrictEqual([yield* greetingOf("/a"), yield* greetingOf("/b")], ["a", "rest"])
        })
      )
      yield* withRoute(
        Layer.mergeAll(
          WebSocketServer.layerHandler((socket) => socket.send("server")),
          greet("/a", "a")
        ),
        Effect.gen(function* () {
          yield* settled
          assert.deepStrictEqual([yield* greetingOf("/a"), yield* greetingOf("/b")], ["a", "server"])
        })
      )
    })
  )

  it.effect("take what waited before they came, and are gone with their scopes", () =>
    withRoute(
      Layer.empty,
      Effect.gen(function* () {
        const early = yield* Effect.forkChild(greetingOf("/a"))
        yield* settled
        const scope = yield* Scope.make()
        yield* Layer.buildWithScope(greet("/a", "a"), scope)
        assert.strictEqual(yield* Fiber.join(early), "a")
        yield* Layer.build(greet("/b", "b"))
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(yield* refusalLine("/a"), [404, "There is no WebSocket at this path"])
        assert.strictEqual(yield* greetingOf("/b"), "b")
      })
    )
  )

  it.effect("have a loop of their own, and are no paths without a slash", () =>
    withRoute(
      Layer.empty,
      Effect.gen(function* () {
        const route = yield* WebSocketServer.route({ path: "/a", check: () => Effect.succeed(UpgradeCheck.accept(7)) })
        const client = yield* Effect.forkChild(connect("/a"))
        const socket = yield* route.accept()
        assert.strictEqual(socket.value + 1, 8)
        yield* Fiber.join(client)
        assert.isTrue(isDefect(yield* Effect.exit(WebSocketServer.route({ path: "a" }))))
      })
    )
  )
})

describe("layerHandler with terms of its own", () => {
  const named = (request: UpgradeCheck.Request) =>
    Effect.map(Users, (users) =>
      Option.match(users(request.cookies["name"] ?? ""), {
        onNone: () => UpgradeCheck.reject(403, { body: "Who?" }),
        onSome: (user) => UpgradeCheck.accept(user)
      })
    )
  const users = Layer.succeed(Users, (name) => (name === "Ada" ? Option.some({ name }) : Option.none()))
  const greeter = WebSocketServer.layerHandler((socket) => socket.send(`Hello ${socket.value.name}`), {
    check: named
  }).pipe(Layer.provide(users))

  const said = (path: string, options?: WebSocketClient.ConnectOptions) =>
    Effect.scoped(Effect.flatMap(connect(path, options), (socket) => Effect.map(socket.receive, ({ data }) => data)))

  it.effect("checks every request before its upgrade, and hands the value to the handler", () =>
    withRoute(
      greeter,
      Effect.gen(function* () {
        assert.strictEqual(yield* said("/a", { cookies: { name: "Ada" } }), "Hello Ada")
        assert.strictEqual(yield* said("/b", { cookies: { name: "Ada" } }), "Hello Ada")
        assert.deepStrictEqual(yield* refusalLine("/a", { cookies: { name: "Eve" } }), [403, "Who?"])
        assert.deepStrictEqual(yield* WebSocketServer.connections, [])
      })
    )
  )

  it.effect("has an origin policy and subprotocols in place of the server's", () =>
    withRoute(
      WebSocketServer.layerHandler((socket) => socket.send(String(socket.protocol)), {
        origin: Origin.allowList(["https://a.example"]),
        protocols: ["b"],
        onError: () => Effect.void
      }),
      Effect.gen(function* () {
        const origin = "https://a.example"
        assert.strictEqual(yield* said("/", { origin, protocols: ["a", "b"] }), "b")
        const [status] = yield* refusalLine("/", { origin: "http://test" })
        assert.strictEqual(status, 403)
      }),
      { protocols: ["a"] }
    )
  )

  it.effect("leaves paths to routes, and nothing to accept and run of the server, until it is gone", () =>
    withRoute(
      WebSocketServer.layerRoute({ path: "/route", handler: (socket) => socket.send("route") }),
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        yield* Layer.buildWithScope(greeter, scope)
        const accepted = yield* Effect.forkChild(Effect.scoped(WebSocketServer.accept()))
        yield* Layer.build(WebSocketServer.layerHandler((socket) => socket.send("server")))
        yield* settled
        assert.deepStrictEqual(yield* refusalLine("/a"), [403, "Who?"])
        assert.strictEqual(yield* said("/a", { cookies: { name: "Ada" } }), "Hello Ada")
        assert.strictEqual(yield* said("/route"), "route")
        assert.isTrue(yield* isPending(accepted))
        yield* Scope.close(scope, Exit.void)
        yield* Effect.scoped(connect("/accepted"))
        assert.strictEqual((yield* Fiber.join(accepted)).request.path, "/accepted")
        assert.strictEqual(yield* said("/b"), "server")
      })
    )
  )

  it.effect("checks requests that came before it", () =>
    withRoute(
      Layer.empty,
      Effect.gen(function* () {
        const early = yield* Effect.forkChild(refusalLine("/early"))
        yield* settled
        yield* Layer.build(greeter)
        assert.deepStrictEqual(yield* Fiber.join(early), [403, "Who?"])
      })
    )
  )

  it.effect("drains when it is released, as the server says", () =>
    withRoute(
      Layer.empty,
      Effect.gen(function* () {
        let saved = false
        const scope = yield* Scope.make()
        const handler = WebSocketServer.layerHandler(
          (socket) =>
            Effect.andThen(
              socket.closeStatus,
              Effect.sync(() => (saved = true))
            ),
          { check: () => Effect.succeed(UpgradeCheck.accept()) }
        )
        yield* Layer.buildWithScope(handler, scope)
        const socket = yield* connect("/")
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* socket.closeStatus).received?.code, 1012)
        assert.isTrue(saved)
      }),
      { drain: { code: 1012 } }
    )
  )
})

describe("run", () => {
  it.effect("calls its hook for failures while the connection is open, and does not log them", () =>
    Effect.gen(function* () {
      const entries: Array<unknown> = []
      const causes: Array<unknown> = []
      const route = WebSocketServer.layerRoute({
        handler: (socket): Effect.Effect<void, "typed"> => {
          if (socket.url === "/fail") return Effect.fail("typed")
          return socket.url === "/die" ? Effect.die("bug") : socket.url === "/end" ? Effect.void : Effect.interrupt
        },
        onError: (cause, socket) =>
          Effect.gen(function* () {
            const failure: Option.Option<"typed"> = Cause.findErrorOption(cause)
            causes.push([socket.url, Option.getOrUndefined(failure)])
            yield* Effect.ignore(socket.close(4000, "hook"))
            if (socket.url === "/die") yield* Effect.die("hook")
          })
      })
      const logger = Logger.layer([
        Logger.make(({ message }) => entries.push(Array.isArray(message) ? message[0] : message))
      ])
      yield* Effect.gen(function* () {
        const codes: Array<number | undefined> = []
        for (const path of ["/fail", "/die", "/end", "/interrupt"]) {
          codes.push((yield* (yield* connect(path)).closeStatus).received?.code)
        }
        assert.deepStrictEqual(codes, [4000, 4000, 1000, 1001])
      }).pipe(Effect.scoped, Effect.provide(Layer.provideMerge(Layer.provideMerge(route, WebSocketTest.layer), logger)))
      assert.deepStrictEqual(causes, [
        ["/fail", "typed"],
        ["/die", undefined]
      ])
      assert.deepStrictEqual(entries, ["onError of a connection died"])
    })
  )

  it.effect("runs at most `concurrency` handlers at once", () =>
    Effect.gen(function* () {
      let running = 0
      let most = 0
      const handler = (socket: WebSocketServer.ServerWebSocket) =>
        Effect.ensuring(
          Effect.andThen(
            Effect.sync(() => {
              most = Math.max(most, ++running)
            }),
            Effect.ignore(socket.receive)
          ),
          Effect.sync(() => running--)
        )
      yield* withRoute(
        WebSocketServer.layerHandler(handler, { concurrency: 2 }),
        Effect.gen(function* () {
          const clients = yield* Effect.forEach([1, 2, 3, 4, 5], (n) => Effect.forkChild(connect(`/${n}`)))
          yield* settled
          const polls = yield* Effect.forEach(clients, isPending)
          assert.deepStrictEqual(polls, [false, false, true, true, true])
          for (const client of clients) yield* Effect.flatMap(Fiber.join(client), (socket) => socket.send("done"))
          yield* settled
          assert.deepStrictEqual([running, most], [0, 2])
        })
      )
      const exit = yield* Effect.exit(WebSocketServer.run(handler, { concurrency: 0 })).pipe(
        Effect.provide(WebSocketTest.layer)
      )
      assert.isTrue(isDefect(exit))
    })
  )
})

describe("the list of connections", () => {
  const echo = WebSocketServer.layerHandler((socket) => socket.run((message) => socket.send(message)))

  it.effect("counts, shows, closes and aborts", () =>
    withRoute(
      echo,
      Effect.gen(function* () {
        const talking = yield* connect("/talking", { protocols: ["a"] })
        const silent = yield* connect("/silent")
        yield* talking.send("hello")
        yield* talking.send(new Uint8Array(1000))
        yield* talking.receive
        yield* talking.receive
        yield* TestClock.adjust("3 seconds")
        const [first, second] = yield* WebSocketServer.connections
        assert(first !== undefined && second !== undefined)
        const { abort: _a, age, close: _c, remoteAddress: _r, clientAddress: _l, ...facts } = first
        assert.deepStrictEqual(facts, {
          id: 1,
          url: "/talking",
          delivery: "messages",
          protocol: "a",
          value: undefined,
          receivedMessages: 2,
          // Masked: two bytes, four of the mask, and five; four, four and a thousand.
          receivedBytes: 11 + 1008,
          sentMessages: 2,
          sentBytes: 7 + 1004,
          unreadBytes: 0,
          unsentBytes: 0
        })
        assert.deepStrictEqual([Duration.toSeconds(age), second.id, second.receivedBytes], [3, 2, 0])
        yield* first.close(4001, "kicked")
        assert.deepStrictEqual((yield* talking.closeStatus).received, { code: 4001, reason: "kicked" })
        yield* second.abort
        assert.isFalse((yield* silent.closeStatus).clean)
        assert.lengthOf(yield* WebSocketServer.connections, 0)
      }),
      { protocols: ["a"] }
    )
  )
})

describe("firstMessageTimeout", () => {
  it.effect("closes a connection with 1008 if its first message does not arrive in time", () =>
    withRoute(
      WebSocketServer.layerHandler((socket) => socket.run((message) => socket.send(message))),
      Effect.gen(function* () {
        const [silent, pinging, talking] = yield* Effect.all([connect("/"), connect("/"), connect("/")])
        yield* talking.send("it is me")
        yield* talking.receive
        yield* TestClock.adjust("1999 millis")
        yield* pinging.ping()
        assert.lengthOf(yield* WebSocketServer.connections, 3)
        yield* TestClock.adjust("1 millis")
        for (const socket of [silent, pinging]) {
          assert.deepStrictEqual((yield* socket.closeStatus).received, { code: 1008, reason: "no message in time" })
        }
        yield* TestClock.adjust("1 hours")
        yield* talking.send("still me")
        assert.strictEqual((yield* talking.receive).data, "still me")
      }),
      { firstMessageTimeout: "2 seconds", heartbeatInterval: Duration.infinity }
    )
  )

  it.effect("closes with `firstMessageCloseCode`", () =>
    withRoute(
      WebSocketServer.layerHandler((socket) => socket.run((message) => socket.send(message))),
      Effect.gen(function* () {
        const socket = yield* connect("/")
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual((yield* socket.closeStatus).received, { code: 4408, reason: "no message in time" })
      }),
      { firstMessageTimeout: "2 seconds", firstMessageCloseCode: 4408 }
    )
  )

  it.effect("refuses a code that may not be sent", () =>
    Effect.gen(function* () {
      for (const firstMessageCloseCode of [1005, 1006, 2000, 5000, "AbnormalClosure"] as const) {
        const layer = WebSocketTest.layerWith({ firstMessageTimeout: "2 seconds", firstMessageCloseCode })
        const exit = yield* Effect.exit(Effect.scoped(Layer.build(layer)))
        assert(isDefect(exit))
      }
    })
  )
})
