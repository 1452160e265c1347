/**
 * What a client does over the WebSocket of its runtime, against a server of ours (`server.ts`). It runs in that runtime, so
 * it imports nothing of Node.
 */
import * as ReconnectingWebSocket from "@effect-websocket/platform/ReconnectingWebSocket"
import * as TopicsClient from "@effect-websocket/platform/TopicsClient"
import type * as WebSocket from "@effect-websocket/platform/WebSocket"
import * as WebSocketChannel from "@effect-websocket/platform/WebSocketChannel"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as Scope from "effect/Scope"
import { mapRecord, notHere, observeAll, type Observed } from "./observe.js"

/** What the server is asked for by the names of its paths. */
export interface Targets {
  readonly echo: string
  readonly topics: string
  readonly typed: string
  /** Nobody listens there. */
  readonly closed: string
  /** The server of `rawServer.ts`, without a path. */
  readonly raw: string
}

/** A client of a runtime. */
export interface Client {
  readonly layer: Layer.Layer<WebSocketClient.WebSocketClient>
  readonly layerWith: (options: { readonly maxUnreadBytes?: number }) => Layer.Layer<WebSocketClient.WebSocketClient>
}

type Behaviour = (
  targets: Targets,
  client: Client
) => Effect.Effect<void, unknown, WebSocketClient.WebSocketClient | Scope.Scope>

const equal = (actual: unknown, expected: unknown): Effect.Effect<void> =>
  Effect.sync(() => {
    const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)]
    if (a !== b) throw new Error(`${a} in place of ${b}`)
  })

/** The fields of an error that the effect must fail with. */
const failure = <E, R>(
  effect: Effect.Effect<unknown, E, R>,
  ...fields: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<unknown>, never, R> =>
  Effect.matchEffect(effect, {
    onFailure: (error) => Effect.succeed(fields.map((field): unknown => Reflect.get(Object(error), field))),
    onSuccess: () => Effect.die(new Error("It succeeded"))
  })

const text = (socket: WebSocket.WebSocket) => Effect.map(socket.receive, ({ data }) => data)

const ask = (socket: WebSocket.WebSocket, question: string) => Effect.zipRight(socket.send(question), text(socket))

/** How the server saw the connection end that called itself `name`. */
const seenOf = (targets: Targets, name: string) =>
  Effect.scoped(Effect.flatMap(WebSocketClient.connect(targets.echo), (socket) => ask(socket, `!seen ${name}`)))

const named = (targets: Targets, name: string) => `${targets.echo}?name=${name}`

const Typed = WebSocketChannel.make({
  fromClient: Schema.Struct({ say: Schema.String }),
  fromServer: Schema.Struct({ said: Schema.String })
})

export const behaviours: Readonly<Record<string, Behaviour>> = {
  "echoes text and binary, in order": ({ echo }) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(echo)
      const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i % 251)
      yield* socket.sendAll(["hëllo", bytes, "", new Uint8Array(0), "🙂"])
      yield* equal(yield* text(socket), "hëllo")
      const received = yield* text(socket)
      yield* equal(Array.from(Object(received)).join(), Array.from(bytes).join())
      yield* equal(yield* text(socket), "")
      yield* equal(yield* text(socket), {})
      yield* equal(yield* text(socket), "🙂")
    }),
  "negotiates a subprotocol": ({ echo }) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(echo, { protocols: ["other", "chat.v1"] })
      yield* equal(socket.protocol, "chat.v1")
      const invalid = WebSocketClient.connect(echo, { protocols: ["not a token"] })
      yield* equal(yield* failure(Effect.scoped(invalid), "_tag", "origin"), ["Protocol_error", "local"])
    }),
  "sees the server's close code": (targets) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(named(targets, "told"))
      yield* socket.send("!close 4321 bye")
      yield* equal(yield* failure(socket.receive, "_tag", "code", "reason", "initiator", "clean"), [
        "Connection_closed",
        4321,
        "bye",
        "remote",
        true
      ])
      // It was answered, with the same code. Node's own WebSocket leaves out the reason.
      const [code, ...others] = String(yield* seenOf(targets, "told")).split(" ")
      yield* equal([code, others.at(-1)], ["4321", "clean"])
    }),
  "sends its own close code": (targets) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(named(targets, "own"))
      yield* socket.close(3456, "why")
      const { clean, initiator } = yield* socket.closeStatus
      yield* equal([initiator, clean], ["local", true])
      yield* equal(yield* seenOf(targets, "own"), "3456 why clean")
      const failed = Effect.zipRight(WebSocketClient.connect(named(targets, "failed")), Effect.fail("on purpose"))
      yield* Effect.exit(Effect.scoped(failed))
      yield* equal(yield* seenOf(targets, "failed"), "4011  clean")
    }),
  "closes with the handshake when interrupted": (targets) =>
    Effect.gen(function* () {
      const connected = Effect.scoped(
        Effect.flatMap(WebSocketClient.connect(named(targets, "interrupted")), (socket) =>
          Effect.zipRight(Effect.zipRight(socket.send("!started"), socket.receive), socket.receive)
        )
      )
      const fiber = yield* Effect.fork(connected)
      yield* equal(yield* seenOf(targets, "interrupted:started"), "started")
      yield* Fiber.interrupt(fiber)
      yield* equal(yield* seenOf(targets, "interrupted"), "1000  clean")
    }),
  "fails typed for a refused handshake": ({ echo }) =>
    Effect.gen(function* () {
      const refused = Effect.scoped(WebSocketClient.connect(`${echo}?refuse=403`))
      const seen = yield* failure(refused, "_tag", "status", "reason")
      // Not every platform tells that the server has answered.
      const isAnswer = seen[0] === "Handshake_rejected"
      yield* equal(seen, isAnswer ? ["Handshake_rejected", 403, "Forbidden"] : ["Io_error", undefined, "Connect"])
    }),
  "fails typed if nobody listens": ({ closed }) =>
    Effect.gen(function* () {
      const refused = Effect.scoped(WebSocketClient.connect(closed))
      yield* equal(yield* failure(refused, "_tag", "reason"), ["Io_error", "Connect"])
    }),
  "gives up after openTimeout": ({ echo }) =>
    Effect.gen(function* () {
      const late = Effect.scoped(WebSocketClient.connect(`${echo}?late=1`, { openTimeout: "100 millis" }))
      const seen = yield* failure(late, "_tag", "reason", "operation")
      yield* equal(seen, ["Io_error", "Timeout", "open"])
    }),
  "reports a drop as 1006": ({ echo }) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(echo)
      yield* socket.send("!drop")
      yield* equal(yield* failure(socket.receive, "_tag", "code", "clean"), ["Connection_closed", 1006, false])
    }),
  "bounds what nobody reads": (targets, { layerWith }) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(named(targets, "flooded"))
      yield* socket.send("!flood 100 10000")
      const { error } = yield* socket.closeStatus
      yield* equal([error._tag, Reflect.get(error, "limit")], ["Payload_too_large", "unread"])
      const waiting = yield* socket.receiveAll
      const kept = Array.from(waiting).length
      if (kept < 10 || kept > 12) throw new Error(`${kept} messages were kept`)
      yield* equal(yield* failure(socket.send("late"), "_tag", "limit"), ["Payload_too_large", "unread"])
      yield* equal(yield* seenOf(targets, "flooded"), "4009  clean")
    }).pipe(Effect.provide(layerWith({ maxUnreadBytes: 100_000 }))),
  "bounds the size of a message": ({ echo }) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(echo, { limits: { maxMessageBytes: 1000 } })
      yield* socket.sendAll(["small", "!flood 1 1001"])
      yield* equal(yield* text(socket), "small")
      yield* equal(yield* failure(socket.receive, "_tag", "limit", "size"), ["Payload_too_large", "message", 1001])
    }),
  "waits for a slow server to read": ({ echo }) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(echo)
      const large = new Uint8Array(256 * 1024)
      for (let i = 0; i < 16; i++) yield* socket.send(large)
      // Without this, all of them would wait in the memory of the runtime.
      if ((yield* socket.bufferedBytes) > 2 * large.length) throw new Error("nothing waited")
      for (let i = 0; i < 16; i++) yield* socket.receive
    }),
  "refuses to send after the close": ({ echo }) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(echo)
      yield* socket.close()
      yield* equal(yield* failure(socket.send("late"), "_tag", "code"), ["Connection_closed", 1000])
    }),
  "says what it cannot do before it sends": ({ echo }) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(echo)
      for (const refused of [socket.ping(), socket.pong(), socket.sendStream(Stream.make("part"))]) {
        yield* equal(yield* failure(refused, "_tag", "origin"), ["Protocol_error", "local"])
      }
      yield* equal(yield* ask(socket, "still here"), "still here")
      const asking = (options: WebSocketClient.ConnectOptions) =>
        failure(Effect.scoped(WebSocketClient.connect(echo, options)), "_tag", "origin")
      const options: ReadonlyArray<WebSocketClient.ConnectOptions> = [
        { compression: true },
        { heartbeatInterval: "1 second" }
      ]
      for (const each of options) yield* equal(yield* asking(each), ["Protocol_error", "local"])
    }),
  "sends request headers": ({ echo }) =>
    Effect.gen(function* () {
      const socket = yield* Effect.catchIf(
        WebSocketClient.connect(echo, { headers: { "x-test": "a value" } }),
        (error) => error._tag === "Protocol_error" && error.origin === "local",
        () => Effect.fail(notHere)
      )
      yield* equal(yield* ask(socket, "!header x-test"), "a value")
    }),
  "reconnects after a drop": ({ echo }) =>
    Effect.gen(function* () {
      const socket = yield* ReconnectingWebSocket.make(echo, { onConnect: (socket) => socket.send("connected") })
      yield* equal((yield* socket.receive).data, "connected")
      yield* socket.send("!drop")
      yield* equal((yield* socket.receive).data, "connected")
    }),
  "carries typed messages": ({ typed }) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketChannel.connect(Typed, typed)
      yield* socket.send({ say: "hello" })
      yield* equal(yield* socket.receive, { said: "hello" })
    }),
  "subscribes to topics": ({ topics }) =>
    Effect.gen(function* () {
      const client = yield* TopicsClient.make(topics)
      yield* client.publish("news", "first")
      const [event] = yield* client.subscribe("news", { last: 1 }).pipe(
        Stream.filter((event) => event._tag === "Publication"),
        Stream.take(1),
        Stream.runCollect,
        Effect.map((chunk) => Array.from(chunk))
      )
      yield* equal(event?.message.data, "first")
    })
}

/** Tries all behaviours over a client. */
export const tryAll = (client: Client, targets: Targets): Effect.Effect<Observed> =>
  observeAll(
    mapRecord(behaviours, (behaviour) =>
      behaviour(targets, client).pipe(Effect.scoped, Effect.provide(client.layer), Effect.timeout("10 seconds"))
    )
  )
