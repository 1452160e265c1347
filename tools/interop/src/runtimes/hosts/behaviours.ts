/** What a server does in its host, seen by clients on Node. */
import { TopicsClient, WebSocketClient, type WebSocket } from "@effect-websocket/platform"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import { Effect, Stream, type Scope } from "effect"
import { mapRecord, notHere, observeAll, type Observed } from "../observe.js"
import type { HostTargets } from "./app.js"
import { frame, handshake, open, text } from "./peer.js"

/** What a host can do beyond the others. */
export interface HostAbilities {
  readonly ping: boolean
  readonly pause: boolean
  /** It can stop listening while its connections go on. */
  readonly stops: boolean
  /** It waits for the peer's Close. */
  readonly awaitsClose: boolean
  /** It sends what is left of a connection, and then drops it. */
  readonly drops: boolean
}

/** A host that serves. */
export interface Serving {
  readonly targets: HostTargets
  /** Gives a command, and returns the answer. */
  readonly ask: (command: string) => Effect.Effect<string, Error>
}

/** A host that serves, and what is known of it. */
interface Known extends Serving {
  readonly abilities: HostAbilities
}

type Behaviour = (serving: Known) => Effect.Effect<void, unknown, WebSocketClient.WebSocketClient | Scope.Scope>

const equal = (actual: unknown, expected: unknown): Effect.Effect<void> =>
  Effect.sync(() => {
    const [a, b] = [JSON.stringify(actual), JSON.stringify(expected)]
    if (a !== b) throw new Error(`${a} in place of ${b}`)
  })

const fields = (error: unknown, ...names: ReadonlyArray<string>): ReadonlyArray<unknown> =>
  names.map((name): unknown => Reflect.get(Object(error), name))

const failure = <E, R>(effect: Effect.Effect<unknown, E, R>, ...names: ReadonlyArray<string>) =>
  Effect.matchEffect(effect, {
    onFailure: (error) => Effect.succeed(fields(error, ...names)),
    onSuccess: () => Effect.die(new Error("It succeeded"))
  })

const received = (socket: WebSocket.WebSocket) => Effect.map(socket.receive, ({ data }) => data)

export const ask = (socket: WebSocket.WebSocket, question: string) =>
  Effect.zipRight(socket.send(question), received(socket))

const echo = ({ targets }: Serving, query = "") => `${targets.main}/echo${query}`

const httpOf = (target: string): string => target.replace(/^ws/, "http")

/** What the server saw under a name. */
export const seen = ({ targets }: Serving, name: string) =>
  Effect.scoped(
    Effect.flatMap(WebSocketClient.connect(`${targets.main}/echo`), (socket) =>
      Effect.map(ask(socket, `!seen ${name}`), String)
    )
  )

const refusal = (url: string, options?: WebSocketClient.ConnectOptions) =>
  Effect.scoped(
    Effect.matchEffect(WebSocketClient.connect(url, options), {
      onFailure: (error) =>
        error._tag === "Handshake_rejected"
          ? Effect.succeed({ ...error, text: new TextDecoder().decode(error.body).trim() })
          : Effect.die(error),
      onSuccess: () => Effect.die(new Error("It connected"))
    })
  )

/** Tries until it holds, for what happens in a later turn of the other process. */
const eventually = <E, R>(check: Effect.Effect<void, E, R>): Effect.Effect<void, E, R> => {
  const again = (left: number): Effect.Effect<void, E, R> =>
    Effect.catchAllCause(check, (cause) =>
      left === 0 ? Effect.failCause(cause) : Effect.zipRight(Effect.sleep("20 millis"), again(left - 1))
    )
  return again(400)
}

export const hostBehaviours: Readonly<Record<string, Behaviour>> = {
  "echoes text and binary, in order": (serving) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(echo(serving))
      const bytes = Uint8Array.from({ length: 1024 * 1024 }, (_, i) => i % 251)
      yield* socket.sendAll(["hëllo", bytes, "", new Uint8Array(0), "🙂"])
      yield* equal(yield* received(socket), "hëllo")
      yield* equal(Buffer.compare(Buffer.from(Object(yield* received(socket))), bytes), 0)
      yield* equal(yield* received(socket), "")
      yield* equal(yield* received(socket), {})
      yield* equal(yield* received(socket), "🙂")
      const many = Array.from({ length: 2000 }, (_, i) => `message ${i}`)
      yield* Effect.fork(socket.sendAll(many))
      for (const each of many) yield* equal(yield* received(socket), each)
    }),
  "keeps what comes in the packet of the request": ({ targets }) =>
    Effect.gen(function* () {
      const url = new URL(`${targets.main}/tell`)
      const peer = yield* open(url)
      peer.write(handshake(url), text("early"))
      yield* peer.until("told")
    }),
  "negotiates a subprotocol": (serving) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(echo(serving), { protocols: ["other", "chat.v2", "chat.v1"] })
      yield* equal(socket.protocol, "chat.v1")
      const [url, address, protocol]: ReadonlyArray<unknown> = JSON.parse(String(yield* ask(socket, "!request")))
      yield* equal([url, address, protocol], ["/echo", "127.0.0.1", "chat.v1"])
      const none = yield* WebSocketClient.connect(echo(serving), { protocols: ["other"] })
      yield* equal(none.protocol, undefined)
    }),
  "sends the headers of a check": ({ targets }) =>
    Effect.gen(function* () {
      const url = new URL(`${targets.main}/echo`)
      const peer = yield* open(url)
      peer.write(handshake(url))
      yield* peer.until("\r\n\r\n")
      const lines = peer.received().toLowerCase()
      yield* equal(
        ["x-answer: yes", "set-cookie: a=1", "set-cookie: b=2"].filter((line) => !lines.includes(line)),
        []
      )
    }),
  "refuses with status, headers and body": (serving) =>
    Effect.gen(function* () {
      const { headers, status, text } = yield* refusal(echo(serving, "?refuse=1"))
      yield* equal([status, headers["x-why"], text], [418, "a reason", "no entry"])
      yield* equal(yield* Effect.map(refusal(echo(serving, "?name=invalid")), ({ status }) => status), 500)
    }),
  "refuses options that the host cannot follow": (serving) =>
    Effect.gen(function* () {
      yield* equal((yield* refusal(echo(serving, "?own=1"))).status, 500)
      const socket = yield* WebSocketClient.connect(echo(serving))
      yield* equal(
        yield* ask(socket, "!cannot"),
        "Protocol_error local; " +
          "defect: RangeError: delivery must be messages, because the host of this server delivers no streams; " +
          "defect: RangeError: recordFrames must be left out, because the host of this server delivers no frames"
      )
      yield* equal(yield* ask(socket, "still here"), "still here")
    }),
  "refuses pages of other origins": (serving) =>
    Effect.gen(function* () {
      const { status } = yield* refusal(echo(serving), { origin: "http://evil.example" })
      yield* equal(status, 403)
      const { host } = new URL(serving.targets.main)
      yield* WebSocketClient.connect(echo(serving), { origin: `http://${host}` })
    }),
  "answers 404 without a route, 426 without an upgrade": ({ targets }) =>
    Effect.gen(function* () {
      yield* equal((yield* refusal(`${targets.main}/nothing`)).status, 404)
      const response = yield* Effect.promise(() => fetch(httpOf(targets.main)))
      yield* equal([response.status, response.headers.get("upgrade")], [426, "websocket"])
      yield* Effect.promise(() => response.text())
      const url = new URL(`${targets.main}/echo`)
      const peer = yield* open(url)
      peer.write(handshake(url).replace("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 12"))
      yield* peer.until("426")
      yield* equal(/sec-websocket-version: 13/i.test(peer.received()), true)
    }),
  "leaves other requests to the app": ({ targets }) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(`${targets.attached}/echo`)
      yield* equal(yield* ask(socket, "hello"), "hello")
      const response = yield* Effect.promise(() => fetch(httpOf(targets.attached)))
      yield* equal([response.status, yield* Effect.promise(() => response.text())], [200, "healthy"])
    }),
  "answers 503 beyond maxConnections": ({ targets }) =>
    Effect.gen(function* () {
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* WebSocketClient.connect(`${targets.full}/echo`)
          const { headers, status } = yield* refusal(`${targets.full}/echo`)
          yield* equal([status, headers["retry-after"]], [503, "5"])
        })
      )
      yield* eventually(Effect.scoped(Effect.asVoid(WebSocketClient.connect(`${targets.full}/echo`))))
    }),
  "answers 503 after handshakeTimeout": ({ targets }) =>
    Effect.gen(function* () {
      const { status, text } = yield* refusal(`${targets.hasty}/echo?late=hasty`)
      yield* equal([status, text], [503, "No handler took the connection in time"])
    }),
  "interrupts a check if the client goes": (serving) =>
    Effect.gen(function* () {
      const url = new URL(echo(serving, "?late=gone"))
      const peer = yield* open(url)
      peer.write(handshake(url))
      yield* Effect.sleep("50 millis")
      peer.socket.destroy()
      yield* equal(yield* seen(serving, "gone"), "interrupted")
    }),
  "sees the client's close code": (serving) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(echo(serving, "?name=own"))
      yield* socket.close(3456, "why")
      const { clean, received } = yield* socket.closeStatus
      yield* equal([received?.code, clean], [3456, true])
      yield* equal(yield* seen(serving, "own:end"), "remote 3456 why 3456 clean Connection_closed")
      const silent = yield* WebSocketClient.connect(echo(serving, "?name=silent"))
      yield* silent.close()
      yield* equal(yield* seen(serving, "silent:end"), "remote 1000  1000 clean Connection_closed")
    }),
  "sends any close code": (serving) =>
    Effect.gen(function* () {
      for (const [name, command, code, reason] of [
        ["app", "!close 4321 bye", 4321, "bye"],
        ["away", "!close 1001 away", 1001, "away"],
        ["failed", "!fail", 1011, ""],
        ["died", "!die", 1011, ""],
        ["twice", "!twice", 3001, ""],
        ...[1000, 1002, 1003, 1007, 1008, 1009, 1010, 1012, 1013, 3000, 4999].map(
          (code) => [`code-${code}`, `!close ${code}`, code, ""] as const
        )
      ] as const) {
        const socket = yield* WebSocketClient.connect(echo(serving, `?name=${name}`))
        yield* socket.send(command)
        yield* equal(yield* failure(socket.receive, "code", "reason", "initiator", "clean"), [
          code,
          reason,
          "remote",
          true
        ])
        // Node's client repeats the code alone.
        const peer = serving.abilities.awaitsClose ? `${code} ` : " "
        yield* equal(yield* seen(serving, `${name}:end`), `local ${peer} ${code} clean Connection_closed`)
      }
    }),
  "closes with the handshake when interrupted": (serving) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(echo(serving, "?name=victim"))
      yield* ask(socket, "started")
      const other = yield* WebSocketClient.connect(echo(serving))
      yield* other.send("!interrupt victim")
      yield* equal(yield* failure(socket.receive, "code", "clean"), [1001, true])
    }),
  "refuses to send after the close": (serving) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(echo(serving, "?name=late"))
      yield* socket.send("!late")
      yield* equal(yield* seen(serving, "late"), "Connection_closed 1000")
    }),
  "reports a drop as 1006": (serving) =>
    Effect.gen(function* () {
      for (const [name, cut] of [
        ["reset", (socket: { resetAndDestroy(): unknown }) => socket.resetAndDestroy()],
        ["ended", (socket: { end(): unknown }) => socket.end()]
      ] as const) {
        const url = new URL(echo(serving, `?name=${name}`))
        const peer = yield* open(url)
        peer.write(handshake(url))
        yield* peer.until("\r\n\r\n")
        peer.write(text("hi"))
        yield* peer.until("hi")
        cut(peer.socket)
        yield* equal(yield* seen(serving, `${name}:end`), "remote    not clean Connection_closed")
      }
    }),
  "ends a connection when told": (serving) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(echo(serving))
      yield* socket.send("!drop")
      const code = serving.abilities.drops ? 1006 : 1005
      yield* equal(yield* failure(socket.receive, "_tag", "code"), ["Connection_closed", code])
    }),
  "waits for a slow reader to send": (serving) =>
    Effect.gen(function* () {
      const url = new URL(echo(serving, "?name=slow"))
      const peer = yield* open(url)
      peer.write(handshake(url))
      yield* peer.until("\r\n\r\n")
      peer.socket.pause()
      peer.write(text("!flood 500 262144"))
      yield* Effect.sleep("500 millis")
      const other = yield* WebSocketClient.connect(echo(serving))
      const before = Number(yield* ask(other, "!count slow"))
      yield* Effect.sleep("200 millis")
      const after = Number(yield* ask(other, "!count slow"))
      // 500 messages are 125 MiB. The buffers of the kernel hold a few.
      if (before !== after || after > 100) throw new Error(`${before} and then ${after} messages were sent`)
      peer.socket.resume()
      yield* equal(yield* seen(serving, "slow"), "flooded")
    }),
  "closes behind what was sent": (serving) =>
    Effect.gen(function* () {
      const size = 16 * 1024 * 1024
      const socket = yield* WebSocketClient.connect(echo(serving, "?name=parting"), {
        limits: { maxMessageBytes: size }
      })
      yield* socket.send(`!part ${size}`)
      yield* equal((yield* received(socket)).length, size)
      yield* equal(yield* failure(socket.receive, "code", "reason", "clean"), [3002, "done", true])
    }),
  "gives up after closeTimeout": (serving) =>
    Effect.gen(function* () {
      const url = new URL(`${serving.targets.hasty}/echo?name=deaf`)
      const peer = yield* open(url)
      peer.write(handshake(url))
      yield* peer.until("\r\n\r\n")
      peer.socket.pause()
      peer.write(text("!flood 500 262144"))
      yield* Effect.sleep("300 millis")
      const other = yield* WebSocketClient.connect(echo(serving))
      yield* other.send("!interrupt deaf")
      yield* equal(yield* seen(serving, "deaf:end"), "local   1001 not clean Connection_closed")
      if (serving.abilities.drops) {
        peer.socket.resume()
        yield* peer.closed
      }
    }),
  "bounds or pauses what nobody reads": (serving) =>
    Effect.gen(function* () {
      const { abilities, targets } = serving
      const socket = yield* WebSocketClient.connect(`${targets.small}/echo?name=stalled&stall=go`)
      const [count, message] = [20_000, "x".repeat(1000)]
      const sending = yield* Effect.fork(Effect.exit(socket.sendAll(Array.from({ length: count }, () => message))))
      if (abilities.pause) {
        yield* Effect.sleep("300 millis")
        // 20 MiB do not fit into the buffers of the kernel.
        yield* equal(sending.unsafePoll(), null)
      } else {
        yield* Effect.exit(Effect.forever(socket.receive))
      }
      const teller = yield* WebSocketClient.connect(`${targets.main}/tell`)
      yield* ask(teller, "go")
      if (abilities.pause) for (let i = 0; i < count; i++) yield* socket.receive
      else yield* equal((yield* seen(serving, "stalled:end")).endsWith("1009 not clean Payload_too_large"), true)
    }),
  "bounds the size of a message": (serving) =>
    Effect.gen(function* () {
      const url = `${serving.targets.small}/echo`
      for (const [name, size] of [
        ["large", 1001],
        ["huge", 1_000_000]
      ] as const) {
        const socket = yield* WebSocketClient.connect(`${url}?name=${name}`)
        yield* equal(yield* ask(socket, "x".repeat(1000)), "x".repeat(1000))
        yield* socket.send("x".repeat(size))
        yield* equal(yield* failure(socket.receive, "_tag", "code"), ["Connection_closed", 1009])
        yield* equal((yield* seen(serving, `${name}:end`)).endsWith("Payload_too_large"), true)
      }
    }),
  "notices a peer that is gone": (serving) =>
    Effect.gen(function* () {
      const url = new URL(`${serving.targets.watchful}/echo?name=dead`)
      const peer = yield* open(url)
      // It answers no ping.
      peer.write(handshake(url))
      yield* peer.until("\r\n\r\n")
      const error = serving.abilities.ping ? "Io_error" : "Connection_closed"
      const [, end] = (yield* seen(serving, "dead:end")).split(" not ")
      yield* equal(end, `clean ${error}`)
      const alive = yield* WebSocketClient.connect(`${serving.targets.watchful}/echo`)
      yield* Effect.sleep("1500 millis")
      yield* equal(yield* ask(alive, "still here"), "still here")
    }),
  "answers pings": (serving) =>
    Effect.flatMap(WebSocketClient.connect(echo(serving)), (socket) => Effect.asVoid(socket.ping())),
  "sends pings": (serving) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(echo(serving))
      const outcome = yield* ask(socket, "!ping")
      if (outcome === "Protocol_error local") yield* Effect.fail(notHere)
      yield* equal(outcome, "ok")
    }),
  "lists its connections": (serving) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(`${serving.targets.attached}/echo?name=listed`, {
        protocols: ["chat.v1"]
      })
      yield* ask(socket, "first")
      const connections = yield* ask(socket, "!connections")
      yield* equal(JSON.parse(String(connections)), [
        { url: "/echo?name=listed", protocol: "chat.v1", sentMessages: 1 }
      ])
    }),
  "serves topics": ({ targets }) =>
    Effect.gen(function* () {
      const client = yield* TopicsClient.make(`${targets.main}/topics`)
      yield* client.publish("news", "first")
      const [event] = yield* client.subscribe("news", { last: 1 }).pipe(
        Stream.filter((event) => event._tag === "Publication"),
        Stream.take(1),
        Stream.runCollect,
        Effect.map((chunk) => Array.from(chunk))
      )
      yield* equal(event?.message.data, "first")
    }),
  "attaches connections to topics": ({ targets }) =>
    Effect.gen(function* () {
      const url = `${targets.main}/members`
      const sockets = yield* Effect.all([WebSocketClient.connect(url), WebSocketClient.connect(url)])
      for (const socket of sockets) yield* equal(yield* received(socket), "attached")
      yield* sockets[0].send("to all")
      for (const socket of sockets) yield* equal(yield* received(socket), "to all")
    }),
  "drains, and reports": (serving) =>
    Effect.gen(function* () {
      const url = `${serving.targets.drained}/echo`
      const sockets = yield* Effect.forEach(Array.from({ length: 10 }), () => WebSocketClient.connect(url))
      const waiting = yield* Effect.fork(refusal(`${url}?late=drained`))
      yield* Effect.sleep("50 millis")
      const draining = yield* Effect.fork(serving.ask("drain"))
      for (const socket of sockets) yield* equal(yield* failure(socket.receive, "code", "clean"), [1001, true])
      yield* equal(JSON.parse(yield* draining.await.pipe(Effect.flatten)), { closed: 10, dropped: 0, interrupted: 0 })
      yield* equal((yield* waiting.await.pipe(Effect.flatten)).status, 503)
      yield* equal((yield* refusal(url)).status, 503)
    }),
  "takes no new connection after `stop`": (serving) =>
    Effect.gen(function* () {
      const url = `${serving.targets.stopped}/echo`
      const socket = yield* WebSocketClient.connect(url)
      yield* equal(yield* serving.ask("stop"), "stopped")
      const late = failure(Effect.scoped(WebSocketClient.connect(url)), "_tag", "status")
      const expected = serving.abilities.stops ? ["Io_error", undefined] : ["Handshake_rejected", 503]
      yield* eventually(Effect.flatMap(late, (found) => equal(found, expected)))
      yield* equal(yield* ask(socket, "still here"), "still here")
    }),
  "closes everything when released": (serving) =>
    Effect.gen(function* () {
      const url = `${serving.targets.released}/echo`
      const socket = yield* WebSocketClient.connect(url)
      const stalled = yield* WebSocketClient.connect(`${url}?stall=forever`)
      const waiting = yield* Effect.fork(refusal(`${url}?late=released`))
      // Half a request, which must not hold it up.
      const target = new URL(url)
      const half = yield* open(target)
      half.write(handshake(target).slice(0, 40))
      yield* Effect.sleep("50 millis")
      const releasing = yield* Effect.fork(serving.ask("release"))
      for (const each of [socket, stalled]) {
        yield* equal(yield* failure(each.receive, "code", "clean"), [1001, true])
      }
      yield* equal((yield* waiting.await.pipe(Effect.flatten)).status, 503)
      yield* equal(yield* releasing.await.pipe(Effect.flatten), "released")
      yield* half.closed
    }),
  "survives clients that leave at every step": (serving) =>
    Effect.gen(function* () {
      const url = new URL(`${serving.targets.attached}/echo`)
      for (let i = 0; i < 100; i++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const peer = yield* open(url)
            peer.write(handshake(url), ...(i % 3 === 0 ? [text("hello"), frame(8)] : []))
            if (i % 5 === 0) peer.socket.resetAndDestroy()
            else if (i % 5 === 1) peer.socket.end()
          })
        )
      }
      const socket = yield* WebSocketClient.connect(`${serving.targets.attached}/echo?name=last`)
      yield* eventually(Effect.flatMap(ask(socket, "!connections"), (all) => equal(JSON.parse(String(all)).length, 1)))
    }),
  "keeps nothing of 1,000 connections": (serving) =>
    Effect.gen(function* () {
      const opened = Effect.scoped(
        Effect.flatMap(WebSocketClient.connect(echo(serving)), (socket) => ask(socket, "hello"))
      )
      yield* Effect.forEach(Array.from({ length: 1000 }), () => opened, { concurrency: 50 })
      yield* eventually(Effect.flatMap(serving.ask("open"), (open) => equal(open, "0")))
    })
}

/** Tries all behaviours of a host. */
export const tryHost = (serving: Known): Effect.Effect<Observed> =>
  observeAll(
    mapRecord(hostBehaviours, (behaviour) =>
      behaviour(serving).pipe(Effect.scoped, Effect.provide(NodeWebSocketClient.layer), Effect.timeout("90 seconds"))
    )
  )
