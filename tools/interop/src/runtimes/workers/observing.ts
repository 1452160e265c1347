/** What is observed of servers in Workers and of Durable Objects alike, with clients on Node. */
import type { WebSocket, WebSocketClient } from "@effect-websocket/platform"
import { Effect, Option, type Duration, type Scope } from "effect"
import { handshake, open, text, type Peer } from "../hosts/peer.js"
import { words } from "../observe.js"
import type { Fact, Place } from "./trying.js"

/** How a client gets a connection that the server knows by a name. */
export type Connect = (
  place: Place,
  name: string
) => Effect.Effect<WebSocket.WebSocket, unknown, WebSocketClient.WebSocketClient | Scope.Scope>

const codes = [1000, 1001, 1008, 1011, 4321]

/** The codes that clients get if the server closes with `codes`. */
export const codesSent = (place: Place, connect: Connect) =>
  Effect.map(
    Effect.forEach(codes, (code) =>
      Effect.scoped(
        Effect.gen(function* () {
          const socket = yield* connect(place, `code-${code}`)
          yield* socket.send(`!close ${code}`)
          return String((yield* socket.closeStatus).received?.code)
        })
      )
    ),
    (received) => received.join(", ")
  )

/** Whether something happens in time. */
const soon = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  then: string,
  otherwise: string,
  within: Duration.DurationInput
) => Effect.map(Effect.timeoutOption(effect, within), (happened) => (Option.isSome(happened) ? then : otherwise))

/** Sends 36 MB to a server that does not read. */
const sendMuch = (socket: WebSocket.WebSocket) =>
  Effect.gen(function* () {
    for (let i = 0; i < 4_000; i++) {
      const sent = yield* Effect.timeoutOption(socket.send("x".repeat(9_000)), "500 millis")
      if (Option.isNone(sent)) return "makes the client wait"
    }
    // The Close may be on its way.
    yield* Effect.sleep("3 seconds")
    return "keeps everything"
  })

/** What a server does whose handler does not read, because of a command that takes longer. */
export const overflowing = (place: Place, connect: Connect, command: string) =>
  Effect.gen(function* () {
    const socket = yield* connect(place, "overflowing")
    yield* socket.send(command)
    const closed = Effect.map(socket.closeStatus, ({ received }) => `closes with ${received?.code}`)
    const outcome = yield* Effect.race(
      closed,
      Effect.catchAll(sendMuch(socket), () => Effect.never)
    )
    yield* socket.abort
    return outcome
  })

/** Whether `send` waits for a client that does not read. */
export const pouring = (place: Place, connect: Connect) =>
  Effect.gen(function* () {
    const socket = yield* connect(place, "poured")
    yield* socket.send("!pour")
    let [last, times] = [0, 0]
    while (times < 5) {
      yield* Effect.sleep("100 millis")
      const count = Number(yield* place.ask("/poured"))
      times = count > 0 && count === last ? times + 1 : 0
      last = count
    }
    yield* socket.abort
    return last === 512 ? "never waits" : "waits"
  })

/** A client that never answers anything. It is there once the server has sent it something. */
export const silent = (place: Place, name: string) =>
  Effect.gen(function* () {
    const url = new URL(`${place.url}?name=${name}`)
    const peer = yield* open(url)
    peer.write(handshake(url))
    yield* peer.until("\r\n\r\n")
    return peer
  })

/** Waits for a Close. */
const closed = (peer: Peer) => peer.when(() => peer.closeCode() !== undefined)

/** When the server refuses a message of 20,000 bytes, of which it allows 10,000, and with which code. */
export const tooLarge = (place: Place) =>
  Effect.gen(function* () {
    const peer = yield* silent(place, "large")
    const message = Buffer.alloc(8 + 20_000)
    message.set([0x81, 0xfe, 0x4e, 0x20])
    peer.write(message.subarray(0, 1_000))
    const when = yield* soon(closed(peer), "from its first bytes", "once it is complete", "500 millis")
    peer.write(message.subarray(1_000))
    yield* closed(peer)
    return `${peer.closeCode()}, ${when}`
  })

/** A client that asks for a Close, and does not answer it. */
const unanswering = (place: Place, name: string) =>
  Effect.tap(silent(place, name), (peer) => {
    peer.write(text("!close 1000"))
    return closed(peer)
  })

/** Succeeds once a list of the server has a name. */
const listed = ({ ask }: Place, list: string, name: string) =>
  Effect.repeat(Effect.delay(ask(list), "20 millis"), {
    until: (names) => Array.isArray(names) && names.some((each) => String(each).includes(`"${name}"`))
  })

/** What happens if a client does not answer a Close. The `closeTimeout` of the server is a second. */
export const unanswered: Readonly<Record<string, Fact>> = {
  "`close`, if the client does not answer": (place) =>
    Effect.zipRight(
      unanswering(place, "waiting"),
      soon(listed(place, "/returned", "waiting"), "returns at once", "waits", "700 millis")
    ),
  "TCP, if the client does not answer": (place) =>
    Effect.flatMap(unanswering(place, "connected"), ({ closed }) =>
      soon(closed, "ends after `closeTimeout`", "stays", "1700 millis")
    ),
  "the server learns of the end, if the client does not answer": (place) =>
    Effect.gen(function* () {
      const peer = yield* unanswering(place, "ending")
      const ended = listed(place, "/ends", "ending")
      const when = yield* soon(ended, "after `closeTimeout`", "once TCP ends", "1700 millis")
      peer.socket.destroy()
      yield* ended
      return when
    })
}

/** Whether the server answers a ping. */
export const pinged = (socket: WebSocket.WebSocket) => words(Effect.as(socket.ping(), "answered"))
