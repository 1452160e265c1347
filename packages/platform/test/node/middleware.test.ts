/** WebSockets in the routes and endpoints of @effect/platform, behind its middleware. */
import * as WebSocketUpgrade from "@effect-websocket/platform/WebSocketUpgrade"
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
import { Option, Redacted, Schema, type Tracer } from "effect"
import { Context, Deferred, Effect, Layer, Logger } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { serve } from "./httpApps.js"
import {
  closing,
  connect,
  eventually,
  first,
  frame,
  header,
  noHandlesLeft,
  rawClient,
  readResponse,
  upgradeRequest
} from "./support.js"

afterEach(noHandlesLeft)

class User extends Context.Service<User, { readonly name: string }>()("User") {}

const authorized = HttpMiddleware.make((app) =>
  Effect.gen(function* () {
    const { headers } = yield* HttpServerRequest.HttpServerRequest
    const name = Option.getOrUndefined(Headers.get(headers, "x-user"))
    if (name === undefined) return HttpServerResponse.text("Who are you?", { status: 401 })
    return yield* Effect.provideService(app, User, { name })
  })
)

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
      const { port } = yield* serve(HttpServer.serve(provided, HttpMiddleware.logger), {}, logger)

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
