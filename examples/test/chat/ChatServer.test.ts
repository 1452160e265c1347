import { type WebSocket, WebSocketClient, WebSocketTest } from "@effect-websocket/platform"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import { HttpServer } from "@effect/platform"
import { assert, it, layer } from "@effect/vitest"
import { Effect, Exit, Layer, Logger, Scope } from "effect"
import * as ChatServer from "../../src/chat/ChatServer.js"
import { type ClientMessage, decodeServer, encodeClient } from "../../src/chat/Protocol.js"

const quiet = Logger.remove(Logger.defaultLogger)
const Chat = Layer.provide(ChatServer.layer({ port: 0, host: "127.0.0.1" }), quiet)

const origin = HttpServer.addressFormattedWith(Effect.succeed)

const connect = Effect.flatMap(origin, (origin) => WebSocketClient.connect(`${origin.replace("http", "ws")}/socket`))

const tell = (socket: WebSocket.WebSocket, message: ClientMessage) => socket.send(encodeClient(message))
const hear = (socket: WebSocket.WebSocket) => Effect.flatMap(socket.receive, ({ data }) => decodeServer(data))
/** The next messages that are not about people. */
const expect = (socket: WebSocket.WebSocket, ...expected: ReadonlyArray<object>) =>
  Effect.forEach(expected, (message) =>
    Effect.gen(function* () {
      let heard = yield* hear(socket)
      while (heard._tag === "Changed") heard = yield* hear(socket)
      assert.deepInclude(heard, message)
    })
  )
/** The next message in which people have entered, typed or left. */
const expectChange = (socket: WebSocket.WebSocket, kind: "entered" | "updated" | "left", name: string) =>
  Effect.gen(function* () {
    let heard = yield* hear(socket)
    while (heard._tag !== "Changed" || heard[kind].length === 0) heard = yield* hear(socket)
    assert.deepStrictEqual(
      heard[kind].map(({ name }) => name),
      [name]
    )
  })

const key = (name: string) => `the secret of ${name}`
const join = (room: string, name: string): ClientMessage => ({ _tag: "Join", room, name, key: key(name) })
const say = (text: string): ClientMessage => ({ _tag: "Say", id: `${text}, said just once`, text })

/** A connection that has a seat. */
const enter = (room: string, name: string) =>
  Effect.tap(connect, (socket) =>
    Effect.gen(function* () {
      yield* tell(socket, join(room, name))
      yield* expect(socket, { _tag: "Started" })
      // What was said before, and then who is there.
      while ((yield* hear(socket))._tag !== "Present");
    })
  )

layer(Layer.merge(Chat, NodeWebSocketClient.layer), { excludeTestServices: true })("the chat", (it) => {
  it.scoped("has a page without inline scripts, under a policy that forbids them", () =>
    Effect.gen(function* () {
      const url = yield* origin
      const get = (path: string) => Effect.promise(() => fetch(`${url}${path}`))
      const response = yield* get("/")
      assert.strictEqual(response.headers.get("content-type"), "text/html")
      assert.match(response.headers.get("content-security-policy") ?? "", /default-src 'none'; script-src 'self';/)
      const page = yield* Effect.promise(() => response.text())
      assert.notMatch(page, /<script(?![^>]* src=)|<style| style=| on\w+=/)
      const paths = Array.from(page.matchAll(/(?:src|href)="([^"]*)"/g), ([, path]) => `/${path}`)
      assert.sameMembers([...new Set(paths)], ["/chat.css", "/chat.js", "/icon.svg"])
      for (const path of paths) assert.strictEqual((yield* get(path)).status, 200)
      assert.strictEqual((yield* get("/ChatServer.ts")).status, 404)
    })
  )

  it.scoped("sends what one member says to all members of the room", () =>
    Effect.gen(function* () {
      const ada = yield* enter("tea", "Ada")
      const bob = yield* enter("tea", "Bob")
      yield* expectChange(ada, "entered", "Bob")
      yield* tell(bob, { _tag: "Typing" })
      yield* expectChange(ada, "updated", "Bob")
      yield* bob.send(`{"_tag":"Say","id":"at least 16 characters","text":" hello "}`)
      yield* expect(ada, { _tag: "Said", name: "Bob", text: "hello" })
      yield* tell(ada, { _tag: "Ping", id: 7 })
      yield* expect(ada, { _tag: "Pong", id: 7 })
      yield* bob.close()
      yield* expectChange(ada, "left", "Bob")
    })
  )

  it.scoped("answers an invalid message with a refusal, and goes on", () =>
    Effect.gen(function* () {
      const ada = yield* enter("nonsense", "Ada")
      const refused = { _tag: "Refused", reason: "not understood" }
      for (const nonsense of [
        "",
        "{",
        "null",
        `{"_tag":"Shout"}`,
        `{"_tag":"Say","text":"hello"}`,
        `{"_tag":"Say","id":"too short","text":"hello"}`,
        `{"_tag":"Say","id":"at least 16 characters","text":" "}`,
        `{"_tag":"Say","id":"at least 16 characters","text":"${"x".repeat(501)}"}`,
        `{"_tag":"Ping","id":"1"}`,
        new Uint8Array([1]),
        encodeClient(join("nonsense", "Eve"))
      ]) {
        yield* ada.send(nonsense)
        yield* expect(ada, refused)
      }
      yield* tell(ada, { _tag: "Say", id: "at least 16 characters", text: "x".repeat(500) })
      yield* expect(ada, { _tag: "Said" })
    })
  )

  it.scoped("refuses a member without a valid name", () =>
    Effect.gen(function* () {
      yield* enter("door", "Ada")
      for (const [message, reason] of [
        [encodeClient(say("hello")), "not understood"],
        [encodeClient({ _tag: "Ping", id: 1 }), "not understood"],
        [`{"_tag":"Join","room":"door","name":"  ","key":"${key("Eve")}"}`, "not understood"],
        [`{"_tag":"Join","room":"door","name":"E\\u202eve","key":"${key("Eve")}"}`, "not understood"],
        [encodeClient(join("door", "Eve")).replace("door", "door/*"), "not understood"],
        [`{"_tag":"Join","room":"door","name":"${"E".repeat(25)}","key":"${key("Eve")}"}`, "not understood"],
        [`{"_tag":"Join","room":"door","name":"Ada","key":"${key("Eve")}"}`, "this name is taken"]
      ] as const) {
        const eve = yield* connect
        yield* eve.send(message)
        yield* expect(eve, { _tag: "Refused", reason })
        yield* WebSocketTest.expectClose(eve, { code: "PolicyViolation", reason, initiator: "remote", clean: true })
      }
    })
  )

  it.scoped("gives a name back to a returning page, and goes on where it was", () =>
    Effect.gen(function* () {
      const ada = yield* enter("again", "Ada")
      const before = yield* enter("again", "Bob")
      yield* tell(ada, say("one"))
      const { position } = yield* Effect.repeat(hear(before), { until: (heard) => heard._tag === "Said" })
      yield* before.abort
      yield* tell(ada, say("two"))
      yield* expect(ada, { _tag: "Said", text: "one" }, { _tag: "Said", text: "two" })
      const after = yield* connect
      yield* tell(after, { _tag: "Join", room: "again", name: "Bob", key: key("Bob"), since: position })
      yield* expect(after, { _tag: "Started", position }, { _tag: "Said", text: "two" }, { _tag: "Present" })
    })
  )

  it.scoped("bounds the size of messages and their rate", () =>
    Effect.gen(function* () {
      const large = yield* enter("limits", "Ada")
      yield* large.send("x".repeat(5000))
      yield* WebSocketTest.expectClose(large, { code: "MessageTooBig" })

      const fast = yield* enter("limits", "Bob")
      yield* Effect.ignore(Effect.forEach(Array.from({ length: 100 }).keys(), (id) => tell(fast, { _tag: "Ping", id })))
      yield* Effect.ignore(Effect.forever(fast.receive))
      yield* WebSocketTest.expectClose(fast, { code: "PolicyViolation", initiator: "remote" })
    })
  )

  it.scoped("refuses pages of other sites", () =>
    Effect.gen(function* () {
      const url = (yield* origin).replace("http", "ws")
      const connect = (path: string, from: string) =>
        Effect.flip(WebSocketClient.connect(`${url}${path}`, { origin: from }))
      const stranger = yield* connect("/socket", "https://example.com")
      assert.deepInclude({ ...stranger }, { _tag: "Handshake_rejected", status: 403 })
      const lost = yield* connect("/elsewhere", url.replace("ws", "http"))
      assert.deepInclude({ ...lost }, { _tag: "Handshake_rejected", status: 404 })
    })
  )
})

it.scopedLive("asks its members to come back when it is restarted", () =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const services = yield* Layer.buildWithScope(Chat, scope)
    const ada = yield* Effect.provide(enter("tea", "Ada"), services)
    yield* Scope.close(scope, Exit.void)
    yield* WebSocketTest.expectClose(ada, { code: 1012, reason: "restart", initiator: "remote", clean: true })
  }).pipe(Effect.provide(NodeWebSocketClient.layer))
)
