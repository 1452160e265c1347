/**
 * What differs between the clients of the runtimes, as it is observed: each fact gives its cell of the table. It runs in the runtime, so it
 * imports nothing of Node.
 */
import type * as WebSocket from "@effect-websocket/platform/WebSocket"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Targets } from "./behaviours.js"
import { errorWords, mapRecord, observeAll, together, words, type Observed } from "./observe.js"

type Fact = (targets: Targets) => Effect.Effect<string, unknown, WebSocketClient.WebSocketClient | Scope.Scope>

const ask = (socket: WebSocket.WebSocket, question: string): Effect.Effect<string, unknown> =>
  Effect.zipRight(
    socket.send(question),
    Effect.map(socket.receive, ({ data }) => String(data))
  )

/** Asks the server over a connection of its own. */
const asked = ({ echo }: Targets, question: string) =>
  Effect.scoped(Effect.flatMap(WebSocketClient.connect(echo), (socket) => ask(socket, question)))

/** What the server knows under a name, once it knows it. */
const seen = (targets: Targets, name: string) => asked(targets, `!seen ${name}`)

/** What the server knows under a name within half a second, or "nothing". */
const seenSoon = (targets: Targets, name: string) =>
  asked(targets, `!known ${name}`).pipe(
    Effect.delay("50 millis"),
    Effect.repeat({ until: (what) => what !== "nothing", times: 10 })
  )

const named = ({ echo }: Targets, name: string): string => `${echo}?name=${name}`

/** A connection to the server without our library. */
const raw = ({ raw }: Targets, path: string, name: string): string => `${raw}/${path}?name=${name}`

/** The headers of the request of a new connection: the values of each, in order. */
const requestOf = (
  targets: Targets,
  name: string,
  options: WebSocketClient.ConnectOptions = {},
  url = raw(targets, "", name)
) =>
  Effect.zipRight(
    Effect.scoped(WebSocketClient.connect(url, options)),
    Effect.map(seen(targets, `${name}:request`), (text): Readonly<Record<string, ReadonlyArray<string>>> =>
      JSON.parse(text)
    )
  )

/** Whether a header was sent; with a value, whether it was that one. */
const sent = (values: ReadonlyArray<string> = [], value = values[0]): string => {
  if (value === undefined || !values.includes(value)) return "not sent"
  return values.length === 1 ? "sent" : "sent besides the platform's"
}

/** A connection to a server that does not read. */
const unread = (targets: Targets, options: WebSocketClient.ConnectOptions = {}) =>
  Effect.acquireRelease(WebSocketClient.connect(`${targets.echo}?unread=1`, options), ({ abort }) => abort)

const part = new Uint8Array(256 * 1024)

/** Sends 32 MiB, more than TCP takes from a client if nobody reads. Ends early once a `send` waits or fails. */
const sendMuch = (socket: WebSocket.WebSocket) =>
  Effect.gen(function* () {
    for (let i = 0; i < 128; i++) {
      const sent = yield* Effect.timeoutOption(socket.send(part), "300 millis")
      if (sent._tag === "None") return "waits"
    }
    return "never waits"
  })

/** The server's count of what it sent, once that has not changed for half a second while the connection is open. */
const stillCount = (targets: Targets, socket: WebSocket.WebSocket, name: string) =>
  Effect.gen(function* () {
    let [last, times] = ["", 0]
    while (times < 5) {
      yield* Effect.sleep("100 millis")
      const count = yield* asked(targets, `!poured ${name}`)
      times = count === last && (yield* socket.isOpen) ? times + 1 : 0
      last = count
    }
  })

/** What happens within half a second. */
const soon = <E, R>(effect: Effect.Effect<string, E, R>, otherwise: string) =>
  Effect.map(Effect.timeoutOption(effect, "500 millis"), (happened) => Option.getOrElse(happened, () => otherwise))

const connected = (url: string, options: WebSocketClient.ConnectOptions = {}) =>
  words(Effect.scoped(Effect.as(WebSocketClient.connect(url, options), "connects")))

export const facts: Readonly<Record<string, Fact>> = {
  "`ping`, `pong`, `sendStream`": ({ echo }) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(echo)
      const operations = [socket.ping(), socket.pong(), socket.sendStream(Stream.make("part"))]
      return together(yield* Effect.forEach(operations, (operation) => words(Effect.as(operation, "yes"))))
    }),
  'deliveries `"streams"` and `"frames"`': ({ echo }) =>
    Effect.map(
      Effect.forEach(["streams", "frames"] as const, (delivery) =>
        words(Effect.scoped(Effect.as(WebSocketClient.connect(echo, { delivery }), "yes")))
      ),
      together
    ),
  "other options: `compression`, `heartbeatInterval`, `cookies`, `origin`, `maxRedirects`": ({ echo }) =>
    Effect.map(
      Effect.forEach(
        [
          { compression: true },
          { heartbeatInterval: "10 seconds" },
          { cookies: { a: "1" } },
          { origin: "http://a.example" },
          { maxRedirects: 1 }
        ] satisfies ReadonlyArray<WebSocketClient.ConnectOptions>,
        (options) => connected(echo, options)
      ),
      together
    ),
  "`headers`, `auth`": (targets) =>
    Effect.map(
      Effect.all([
        words(
          Effect.map(requestOf(targets, "headers", { headers: { "x-test": "a value" } }), (headers) =>
            sent(headers["x-test"], "a value")
          )
        ),
        words(
          Effect.map(requestOf(targets, "auth", { auth: { token: Redacted.make("secret") } }), ({ authorization }) =>
            sent(authorization, "Bearer secret")
          )
        )
      ]),
      together
    ),
  "`userAgent`": (targets) =>
    words(
      Effect.map(requestOf(targets, "agent", { userAgent: "facts/1" }), (headers) =>
        sent(headers["user-agent"], "facts/1")
      )
    ),
  "user name and password in the URL": (targets) =>
    words(
      Effect.map(
        requestOf(targets, "url", {}, raw(targets, "", "url").replace("://", "://user:secret@")),
        ({ authorization }) => sent(authorization, `Basic ${btoa("user:secret")}`)
      )
    ),
  "a refused handshake": ({ echo }) => connected(`${echo}?refuse=403`),
  "a redirect": (targets) => connected(raw(targets, "moved", "moved")),
  "a server that selects none of the subprotocols": (targets) =>
    connected(raw(targets, "", "none"), { protocols: ["chat.v1"] }),
  "a server that selects a subprotocol that was not offered": (targets) =>
    connected(`${raw(targets, "selects", "other")}&protocol=other`, { protocols: ["chat.v1"] }),
  "a cookie of an earlier response": (targets) =>
    Effect.gen(function* () {
      yield* requestOf(targets, "first")
      const { cookie } = yield* requestOf(targets, "second")
      return sent(cookie)
    }),
  "the header `Origin`": (targets) => Effect.map(requestOf(targets, "origin"), ({ origin }) => sent(origin)),
  "the offer of permessage-deflate": (targets) =>
    Effect.map(requestOf(targets, "deflate"), (headers) => sent(headers["sec-websocket-extensions"])),
  "`send` to a server that does not read": (targets) => Effect.flatMap(unread(targets), sendMuch),
  "`bufferedBytes` then": (targets) =>
    Effect.gen(function* () {
      const socket = yield* unread(targets)
      yield* sendMuch(socket)
      return (yield* socket.bufferedBytes) > 0 ? "more than 0" : "0"
    }),
  "`sendHighWaterMark`, `sendStrategy`": (targets) =>
    words(
      Effect.gen(function* () {
        const socket = yield* unread(targets, { sendHighWaterMark: 100_000, sendStrategy: "abort" })
        yield* Effect.exit(sendMuch(socket))
        return (yield* socket.isOpen) ? "ignored" : "followed"
      })
    ),
  "a server that sends more than the app reads": (targets) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(named(targets, "poured"))
      yield* socket.send("!pour")
      const ended = Effect.map(socket.closeStatus, ({ error }) => errorWords(error))
      const outcome = yield* Effect.race(ended, Effect.as(stillCount(targets, socket, "poured"), "waits"))
      yield* socket.abort
      return outcome
    }),
  "`close` with 1000, 1001, 1008, 1011, 4321: the code that is sent": (targets) =>
    Effect.map(
      Effect.forEach([1000, 1001, 1008, 1011, 4321], (code) =>
        Effect.gen(function* () {
          const name = `close-${code}`
          const socket = yield* WebSocketClient.connect(named(targets, name))
          yield* socket.close(code)
          return (yield* seen(targets, name)).split(" ")[0]
        })
      ),
      (codes) => codes.join(", ")
    ),
  "`abort`: what the server gets": (targets) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(named(targets, "aborted"))
      yield* socket.abort
      const what = yield* seenSoon(targets, "aborted")
      if (what === "nothing") return "nothing"
      const [code] = what.split(" ")
      if (code === "undefined") return "the end of TCP"
      return code === "1005" ? "a Close without a code" : `a Close with ${code}`
    }),
  "TCP after `closeTimeout`, if the server does not answer the Close": (targets) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(raw(targets, "silent", "silent"), { closeTimeout: "100 millis" })
      yield* socket.close()
      const what = yield* seenSoon(targets, "silent:gone")
      return what === "gone" ? "ends" : "stays"
    }),
  "`receive`, if the server sends a Close and keeps TCP open": (targets) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(raw(targets, "closes", "closes"), { closeTimeout: "100 millis" })
      return yield* soon(words(Effect.as(socket.receive, "a message")), "waits")
    })
}

/** Observes all facts over a client. */
export const observeFacts = (
  layer: Layer.Layer<WebSocketClient.WebSocketClient>,
  targets: Targets
): Effect.Effect<Observed> =>
  observeAll(
    mapRecord(facts, (fact) => fact(targets).pipe(Effect.scoped, Effect.provide(layer), Effect.timeout("20 seconds")))
  )
