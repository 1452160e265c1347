/** WebSockets in the routes of @effect/platform, behind its middleware. */
import * as WebSocketUpgrade from "@effect-websocket/platform/WebSocketUpgrade"
import type * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as NodeWebSocketUpgrade from "@effect-websocket/platform/node/NodeWebSocketUpgrade"
import {
  FetchHttpClient,
  Headers,
  HttpApi,
  HttpApiBuilder,
  HttpApiClient,
  HttpApiEndpoint,
  HttpApiGroup,
  HttpApiMiddleware,
  HttpApiSecurity,
  HttpMiddleware,
  HttpRouter,
  HttpServer,
  HttpServerRequest,
  HttpServerResponse
} from "@effect/platform"
import { NodeHttpServer } from "@effect/platform-node"
import { Option, Redacted, Schema, type Tracer } from "effect"
import * as Http from "node:http"
import { Context, Deferred, Effect, Exit, Layer, Logger, Scope, Stream } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import {
  childScope,
  closing,
  connect,
  eventually,
  first,
  frame,
  header,
  noHandlesLeft,
  rawClient,
  rawWebSocket,
  readResponse,
  upgradeRequest
} from "./support.js"

afterEach(noHandlesLeft)

const quiet = Logger.withoutDefault

const servicesOf = (server: Http.Server, options?: WebSocketServer.Options) =>
  Layer.orDie(
    Layer.provideMerge(
      NodeWebSocketUpgrade.layer(server, options),
      NodeHttpServer.layer(() => server, { port: 0, host: "127.0.0.1" })
    )
  )

type Services = Layer.Layer.Success<ReturnType<typeof servicesOf>>

/** An app on an ephemeral port, as long as the scope. */
const serve = (
  app: Layer.Layer<never, never, Services>,
  options?: WebSocketServer.Options,
  logger: Layer.Layer<never> = quiet
) =>
  Effect.gen(function* () {
    const server = Http.createServer()
    const context = yield* Layer.build(Layer.provideMerge(Layer.provideMerge(app, servicesOf(server, options)), logger))
    const listening = server.address()
    assert(listening !== null && typeof listening === "object")
    return { server, port: listening.port, context }
  })

const serveRouter = <E>(
  router: HttpRouter.HttpRouter<E, WebSocketUpgrade.WebSocketUpgrade>,
  options?: WebSocketServer.Options,
  logger?: Layer.Layer<never>
) => serve(HttpServer.serve(router, HttpMiddleware.logger), options, logger)

const echo = WebSocketUpgrade.upgrade((socket) => socket.run((message) => socket.send(message)))

class User extends Context.Service<User, { readonly name: string }>()("User") {}

const authorized = HttpMiddleware.make((app) =>
  Effect.gen(function* () {
    const { headers } = yield* HttpServerRequest.HttpServerRequest
    const name = Option.getOrUndefined(Headers.get(headers, "x-user"))
    if (name === undefined) return HttpServerResponse.text("Who are you?", { status: 401 })
    return yield* Effect.provideService(app, User, { name })
  })
)

describe("the subprotocol of an upgrade", () => {
  it.live("is one that the client offers, and none if it offers none", () =>
    Effect.gen(function* () {
      const { port } = yield* serveRouter(
        HttpRouter.empty.pipe(
          HttpRouter.get(
            "/",
            WebSocketUpgrade.upgrade((socket) => socket.send(String(socket.protocol)), { protocol: "chat.v2" })
          )
        )
      )
      const said = (protocols?: ReadonlyArray<string>) =>
        Effect.scoped(
          Effect.flatMap(connect(`ws://127.0.0.1:${port}/`, { protocols }), (socket) =>
            Effect.map(socket.receive, ({ data }) => [socket.protocol, data])
          )
        )
      assert.deepStrictEqual(yield* said(["chat.v1", "chat.v2"]), ["chat.v2", "chat.v2"])
      assert.deepStrictEqual(yield* said(), [undefined, "undefined"])
      const error = yield* Effect.flip(said(["chat.v1"]))
      assert(error._tag === "Handshake_rejected")
      assert.strictEqual(error.status, 500)
    })
  )
})

describe("in an HttpRouter", () => {
  it.live("stands behind middleware: authorization, CORS, cookies, spans and logs", () =>
    Effect.gen(function* () {
      const logged: Array<unknown> = []
      const spans: Array<Tracer.AnySpan> = []
      const handled = yield* Deferred.make<ReadonlyArray<string>>()
      const router = HttpRouter.empty.pipe(
        HttpRouter.get("/plain", HttpServerResponse.text("plain")),
        HttpRouter.get(
          "/chat",
          Effect.gen(function* () {
            const { name } = yield* User
            spans.push(yield* Effect.orDie(Effect.currentParentSpan))
            const response = yield* WebSocketUpgrade.upgrade(
              (socket) =>
                Effect.gen(function* () {
                  yield* Deferred.succeed(handled, [name, socket.value, (yield* User).name])
                  yield* socket.run((message) => socket.send(message))
                }),
              { value: name }
            )
            return HttpServerResponse.unsafeSetCookie(response, "session", "1")
          })
        ),
        HttpRouter.use(authorized),
        HttpRouter.use(HttpMiddleware.cors({ allowedOrigins: ["http://127.0.0.1"] }))
      )
      const logger = Logger.layer([Logger.make((entry) => logged.push(Logger.annotationsOf(entry)["http.status"]))])
      // The types of `use` do not tell that the middleware provides the user.
      const provided = router as HttpRouter.HttpRouter<never, WebSocketUpgrade.WebSocketUpgrade>
      const { port } = yield* serveRouter(provided, {}, logger)

      const stranger = yield* rawClient(port)
      stranger.write(upgradeRequest({}, "GET /chat HTTP/1.1"))
      const refused = yield* readResponse(stranger)
      assert.deepStrictEqual([refused.status, refused.body], [401, "Who are you?"])

      const peer = yield* rawClient(port)
      peer.write(upgradeRequest({ "X-User": "Ada", Origin: "http://127.0.0.1" }, "GET /chat HTTP/1.1"))
      const head = yield* peer.until("\r\n\r\n")
      assert.match(head, /^HTTP\/1\.1 101 /)
      assert.strictEqual(header(head, "Access-Control-Allow-Origin"), "http://127.0.0.1")
      assert.match(header(head, "Set-Cookie") ?? "", /^session=1/)
      assert.deepStrictEqual(yield* Deferred.await(handled), ["Ada", "Ada", "Ada"])
      // The request is over, while the connection goes on.
      yield* eventually(() => logged.length === 2)
      assert.deepStrictEqual(logged, [401, 101])
      const [span] = spans
      assert(span?._tag === "Span")
      assert.strictEqual(span.status._tag, "Ended")
      assert.strictEqual(span.attributes.get("http.response.status_code"), 101)
      peer.write(frame(first.text, "hello", true))
      assert.strictEqual((yield* peer.frame).payload.toString(), "hello")
      // HTTP goes on beside it.
      const http = yield* rawClient(port)
      http.write("GET /plain HTTP/1.1\r\nHost: a\r\nX-User: Ada\r\nConnection: close\r\n\r\n")
      assert.match((yield* http.rest).toString(), /200 OK[^]*plain/)
      peer.write(frame(first.close, closing(1000), true))
      assert.deepStrictEqual((yield* peer.frame).payload, closing(1000))
      assert.strictEqual((yield* peer.rest).length, 0)
    })
  )

  it.live("answers 426 to a request that is not an upgrade", () =>
    Effect.gen(function* () {
      const { port } = yield* serveRouter(HttpRouter.get(HttpRouter.empty, "/", echo))
      const peer = yield* rawClient(port)
      peer.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      const response = yield* readResponse(peer)
      assert.deepStrictEqual([response.status, header(response.head, "Upgrade")], [426, "websocket"])
    })
  )

  it.live("upgrades nothing if middleware replaces the response of the route", () =>
    Effect.gen(function* () {
      let handled = false
      const route = WebSocketUpgrade.upgrade(() =>
        Effect.sync(() => {
          handled = true
        })
      )
      const router = HttpRouter.empty.pipe(
        HttpRouter.get("/", route),
        HttpRouter.use((app) => Effect.as(app, HttpServerResponse.text("closed today", { status: 403 })))
      )
      const { context, port } = yield* serveRouter(router)
      const second = yield* rawClient(port)
      second.write(upgradeRequest({}, "GET / HTTP/1.1"))
      const closed = yield* readResponse(second)
      assert.deepStrictEqual(
        [closed.status, closed.body, header(closed.head, "Connection")],
        [403, "closed today", "close"]
      )
      assert.isFalse(handled)
      assert.lengthOf(yield* Context.get(context, WebSocketUpgrade.WebSocketUpgrade).connections, 0)
    })
  )

  it.live("is not ended by a peer that resets while middleware still decides", () =>
    Effect.gen(function* () {
      const decided = yield* Deferred.make<void>()
      const asked = yield* Deferred.make<void>()
      let interrupted = 0
      const router = HttpRouter.empty.pipe(
        HttpRouter.get(
          "/",
          Effect.andThen(
            Effect.andThen(Deferred.succeed(asked, undefined), Deferred.await(decided)).pipe(
              Effect.onInterrupt(() => Effect.sync(() => interrupted++))
            ),
            echo
          )
        ),
        HttpRouter.get("/now", echo)
      )
      const { port } = yield* serveRouter(router)
      const peer = yield* rawClient(port)
      peer.write(upgradeRequest({}, "GET / HTTP/1.1"))
      yield* Deferred.await(asked)
      peer.reset()
      yield* peer.closed
      yield* eventually(() => interrupted === 1)
      yield* Deferred.succeed(decided, undefined)
      const other = yield* rawWebSocket(port, "/now")
      other.write(frame(first.text, "alive", true))
      assert.strictEqual((yield* other.frame).payload.toString(), "alive")
    })
  )

  it.live("leaves no request waiting behind a refused handshake", () =>
    Effect.gen(function* () {
      const ended = yield* Deferred.make<Exit.Exit<unknown, unknown>>()
      const router = HttpRouter.get(
        HttpRouter.empty,
        "/",
        Effect.onExit(echo, (exit) => Deferred.succeed(ended, exit))
      )
      const { port } = yield* serveRouter(router)
      const peer = yield* rawClient(port)
      peer.write(upgradeRequest({ "Sec-WebSocket-Key": "short" }, "GET / HTTP/1.1"))
      assert.strictEqual((yield* readResponse(peer)).status, 400)
      assert.isTrue(Exit.isSuccess(yield* Deferred.await(ended)))
    })
  )

  it.live("opens nothing after a drain has reported, wherever the request is", () =>
    Effect.gen(function* () {
      for (const place of ["before the route", "behind the route"] as const) {
        const entered = yield* Deferred.make<void>()
        const decided = yield* Deferred.make<void>()
        const wait = Effect.andThen(Deferred.succeed(entered, undefined), Deferred.await(decided))
        const slow = HttpMiddleware.make((app) =>
          place === "before the route" ? Effect.andThen(wait, app) : Effect.tap(app, wait)
        )
        const router = HttpRouter.empty.pipe(HttpRouter.get("/", echo), HttpRouter.use(slow))
        const { context, port } = yield* serveRouter(router, { retryAfter: "7 seconds" })
        const peer = yield* rawClient(port)
        peer.write(upgradeRequest({}, "GET / HTTP/1.1"))
        yield* Deferred.await(entered)
        const service = Context.get(context, WebSocketUpgrade.WebSocketUpgrade)
        assert.deepStrictEqual(yield* service.drain(), { closed: 0, dropped: 0, interrupted: 0 })
        yield* Deferred.succeed(decided, undefined)
        const { head, status } = yield* readResponse(peer)
        assert.strictEqual(status, 503)
        assert.strictEqual(header(head, "Retry-After"), "7")
        assert.deepStrictEqual(yield* service.connections, [])
      }
    })
  )

  it.live("answers 503 at handshakeTimeout, wherever the request is, and interrupts it", () =>
    Effect.gen(function* () {
      for (const place of ["before the route", "behind the route"] as const) {
        const interrupted = yield* Deferred.make<void>()
        const wait = Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined))
        const slow = HttpMiddleware.make((app) =>
          place === "before the route" ? Effect.andThen(wait, app) : Effect.tap(app, wait)
        )
        const router = HttpRouter.empty.pipe(HttpRouter.get("/", echo), HttpRouter.use(slow))
        const { port } = yield* serveRouter(router, { handshakeTimeout: "50 millis", retryAfter: "7 seconds" })
        const peer = yield* rawClient(port)
        peer.write(upgradeRequest({}, "GET / HTTP/1.1"))
        const { head, status } = yield* readResponse(peer)
        assert.strictEqual(status, 503)
        assert.strictEqual(header(head, "Retry-After"), "7")
        yield* Deferred.await(interrupted)
      }
    })
  )

  it.live("keeps a connection, and a long response, beyond handshakeTimeout", () =>
    Effect.gen(function* () {
      const router = HttpRouter.empty.pipe(
        HttpRouter.get("/", echo),
        HttpRouter.get(
          "/long",
          HttpServerResponse.stream(
            Stream.concat(
              Stream.make("long "),
              Stream.fromEffect(Effect.as(Effect.sleep("150 millis"), "response"))
            ).pipe(Stream.encodeText)
          )
        )
      )
      const { port } = yield* serveRouter(router, { handshakeTimeout: "50 millis" })
      const peer = yield* rawWebSocket(port, "/")
      const long = yield* rawClient(port)
      long.write(upgradeRequest({}, "GET /long HTTP/1.1"))
      assert.strictEqual((yield* long.rest).toString().includes("response"), true)
      peer.write(frame(first.text, "hello", true))
      assert.strictEqual((yield* peer.frame).payload.toString(), "hello")
    })
  )

  it.live("interrupts the middleware of a client that has ended", () =>
    Effect.gen(function* () {
      const entered = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      const slow = HttpMiddleware.make((app) =>
        Effect.andThen(
          Deferred.succeed(entered, undefined),
          Effect.andThen(
            Effect.onInterrupt(Effect.never, () => Deferred.succeed(interrupted, undefined)),
            app
          )
        )
      )
      const { port } = yield* serveRouter(HttpRouter.empty.pipe(HttpRouter.get("/", echo), HttpRouter.use(slow)))
      const peer = yield* rawClient(port)
      peer.write(upgradeRequest({}, "GET / HTTP/1.1"))
      yield* Deferred.await(entered)
      peer.end()
      yield* Deferred.await(interrupted)
      yield* peer.left
    })
  )

  it.live("released, closes its connections with 1001 before the HTTP server waits for them", () =>
    Effect.gen(function* () {
      const scope = yield* childScope
      const { port, server } = yield* Scope.provide(serveRouter(HttpRouter.get(HttpRouter.empty, "/", echo)), scope)
      const client = yield* connect(`ws://127.0.0.1:${port}/`)
      yield* client.send("hello")
      assert.strictEqual((yield* client.receive).data, "hello")
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* client.closeStatus).received?.code, 1001)
      assert.isFalse(server.listening)
    })
  )

  it.live("released with `drain`, lets its handlers end", () =>
    Effect.gen(function* () {
      const scope = yield* childScope
      let saved = false
      const route = WebSocketUpgrade.upgrade((socket) =>
        Effect.andThen(
          socket.run((message) => socket.send(message)),
          Effect.andThen(
            Effect.yieldNow,
            Effect.sync(() => {
              saved = true
            })
          )
        )
      )
      const app = serveRouter(HttpRouter.get(HttpRouter.empty, "/", route), {
        drain: { code: 1012, reason: "new version" }
      })
      const { port } = yield* Scope.provide(app, scope)
      const client = yield* connect(`ws://127.0.0.1:${port}/`)
      yield* client.send("hello")
      assert.strictEqual((yield* client.receive).data, "hello")
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual((yield* client.closeStatus).received, { code: 1012, reason: "new version" })
      assert.isTrue(saved)
    })
  )
})

class Authorization extends HttpApiMiddleware.Tag<Authorization>()("Authorization", {
  failure: Schema.String,
  provides: User,
  security: { token: HttpApiSecurity.bearer }
}) {}

const api = HttpApi.make("api").add(
  HttpApiGroup.make("chat")
    .add(HttpApiEndpoint.get("rooms", "/rooms").addSuccess(Schema.Array(Schema.String)))
    .add(HttpApiEndpoint.get("join", "/join").middleware(Authorization))
)

describe("in an HttpApi", () => {
  const groups = HttpApiBuilder.group(api, "chat", (handlers) =>
    handlers
      .handle("rooms", () => Effect.succeed(["lobby"]))
      .handleRaw("join", () =>
        Effect.flatMap(User, ({ name }) =>
          WebSocketUpgrade.upgrade((socket) => socket.run(({ data }) => socket.send(`${name}: ${String(data)}`)))
        )
      )
  )
  const authorization = Layer.succeed(
    Authorization,
    Authorization.of({
      token: (token) =>
        Redacted.value(token) === "secret" ? Effect.succeed({ name: "Ada" }) : Effect.fail("not authorized")
    })
  )
  const beside = HttpApiBuilder.Router.use((router) =>
    Effect.flatMap(WebSocketUpgrade.WebSocketUpgrade, ({ upgrade }) =>
      router.get(
        "/beside",
        upgrade((socket) => socket.run((message) => socket.send(message)))
      )
    )
  )
  const serveApi = serve(
    HttpApiBuilder.serve(HttpMiddleware.logger).pipe(
      Layer.provide(beside),
      Layer.provide(HttpApiBuilder.api(api)),
      Layer.provide(groups),
      Layer.provide(authorization)
    )
  )

  it.live("is an endpoint behind its security, beside others, and a route beside the API", () =>
    Effect.gen(function* () {
      const { port } = yield* serveApi
      const client = yield* HttpApiClient.make(api, { baseUrl: `http://127.0.0.1:${port}` })
      assert.deepStrictEqual(yield* client.chat.rooms(), ["lobby"])

      const refused = yield* Effect.flip(connect(`ws://127.0.0.1:${port}/join`))
      assert(refused._tag === "Handshake_rejected")
      assert.include(new TextDecoder().decode(refused.body), "not authorized")

      const joined = yield* connect(`ws://127.0.0.1:${port}/join`, { headers: { Authorization: "Bearer secret" } })
      yield* joined.send("hello")
      assert.strictEqual((yield* joined.receive).data, "Ada: hello")
      yield* joined.close()
      const other = yield* connect(`ws://127.0.0.1:${port}/beside`)
      yield* other.send("hello")
      assert.strictEqual((yield* other.receive).data, "hello")
      yield* other.close()
      assert.isTrue((yield* other.closeStatus).clean)
    }).pipe(
      Effect.provide(FetchHttpClient.layer),
      Effect.provideService(FetchHttpClient.RequestInit, { headers: { connection: "close" } })
    )
  )
})
