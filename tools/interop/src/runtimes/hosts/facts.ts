/**
 * What hosts do in different ways, seen by clients on Node: the rows of a table, each with the words for what was seen. A fact does
 * not know which host it is about.
 */
import { WebSocketClient } from "@effect-websocket/platform"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import { Cause, Duration, Effect, Exit, Option, type Scope } from "effect"
import { readFileSync } from "node:fs"
import { connect as connectHttp2 } from "node:http2"
import { connect as connectTls } from "node:tls"
import { fileURLToPath } from "node:url"
import type { Outcomes } from "../behaviours.js"
import { ask, seen, type Serving } from "./behaviours.js"
import { close, handshake, header, open, text, type Peer } from "./peer.js"
import { samples } from "./trials.js"

type Place = Pick<Serving, "targets" | "ask">

/** What was seen, in words. */
export type Fact = (place: Place) => Effect.Effect<string, unknown, WebSocketClient.WebSocketClient | Scope.Scope>

/** A peer whose connection is open. */
const joined = (url: string) =>
  Effect.gen(function* () {
    const target = new URL(url)
    const peer = yield* open(target)
    peer.write(handshake(target))
    yield* peer.until("\r\n\r\n")
    return peer
  })

/** Whether something comes in time. */
const comes = <E, R>(effect: Effect.Effect<unknown, E, R>, millis: number): Effect.Effect<boolean, E, R> =>
  Effect.map(Effect.timeoutOption(effect, millis), Option.isSome)

/** How long something takes, in milliseconds. */
const millisOf = <E, R>(effect: Effect.Effect<unknown, E, R>): Effect.Effect<number, E, R> =>
  Effect.map(Effect.timed(effect), ([duration]) => Duration.toMillis(duration))

const statusOf = (peer: Peer): string => /^HTTP\/1\.1 (\d{3})/.exec(peer.received())?.[1] ?? "nothing"

/** `Io_error Timeout` as `IoError` (`Timeout`). */
const inWords = (described: string): string => {
  const [tag = "", ...fields] = described.split(" ")
  const name = tag
    .split("_")
    .map((part) => `${part.slice(0, 1).toUpperCase()}${part.slice(1)}`)
    .join("")
  const written = fields.map((field) => (/^\d+$/.test(field) ? field : `\`${field}\``))
  return written.length === 0 ? `\`${name}\`` : `\`${name}\` (${written.join(", ")})`
}

/** One outcome for all, or each with its name. */
const merged = (outcomes: ReadonlyArray<readonly [name: string, outcome: string]>): string => {
  const different = new Set(outcomes.map(([, outcome]) => outcome))
  if (different.size === 1) return [...different].join()
  return outcomes.map(([name, outcome]) => `${name}: ${outcome}`).join("; ")
}

/** A host says of an option or a delivery that it does not have it. */
const refusal = /^defect: RangeError: .* must be .*, because the host of this server /

const acceptance = (outcome: string): string =>
  outcome === "ok" ? "accepted" : refusal.test(outcome) ? "refused" : outcome

/** Whether a server is made with each of these options. */
const options = ({ ask }: Place, names: ReadonlyArray<string>) =>
  Effect.map(ask(`options ${names.join(" ")}`), (answer) => {
    const outcomes: ReadonlyArray<readonly [string, string]> = JSON.parse(answer)
    return merged(outcomes.map(([name, outcome]) => [`\`${name}\``, acceptance(outcome)]))
  })

const optionRows: Readonly<Record<string, ReadonlyArray<string>>> = {
  "`maxFrameSize`, and `limits` besides `maxMessageBytes`": [
    "maxFrameSize",
    "limits.maxFrameBytes",
    "limits.maxFragments",
    "limits.maxBufferedControlFrames"
  ],
  "`messageTimeout`, `receiveRate`, `random`": ["messageTimeout", "receiveRate", "random"],
  "`receiveHighWaterMark`, `heartbeatTimeout`": ["receiveHighWaterMark", "heartbeatTimeout"]
}

// These have rows of their own.
const tried = new Set(["budget", "compression", ...Object.values(optionRows).flat()])

const optionFacts: Readonly<Record<string, Fact>> = {
  ...Object.fromEntries(
    Object.entries(optionRows).map(([row, names]) => [row, (place: Place) => options(place, names)])
  ),
  "every other option": (place) =>
    options(
      place,
      Object.keys(samples).filter((name) => !tried.has(name))
    )
}

/** The URL of a server with an option, or what came of it. */
const serverWith = ({ ask }: Place, option: string) =>
  Effect.map(ask(`serve ${option}`), (answer) =>
    answer.startsWith("ws:") ? { url: answer } : { outcome: acceptance(answer) }
  )

const closed = (peer: Peer): boolean => peer.closeCode() !== undefined

const gone = (peer: Peer): boolean => closed(peer) || peer.hasEnded()

/** How TCP ended after a `closeTimeout` of 500 ms. */
const droppedWords = (dropped: boolean, millis: number): string =>
  !dropped ? "TCP stays" : millis < 250 ? "dropped at once" : "dropped after `closeTimeout`"

const closingFacts: Readonly<Record<string, Fact>> = {
  "a Close of this side": (place) =>
    Effect.gen(function* () {
      const peer = yield* joined(`${place.targets.main}/echo?name=polite`)
      peer.write(text("!close 4321 bye"))
      yield* peer.when(() => closed(peer))
      yield* Effect.sleep(500)
      const other = yield* WebSocketClient.connect(`${place.targets.main}/echo`)
      if ((yield* ask(other, "!has polite:end")) === "yes") return "ends once it is sent"
      peer.write(close(4321))
      const [, code] = (yield* seen(place, "polite:end")).split(" ")
      return code === "4321" ? "waits for the peer's Close" : "ends without the peer's Close"
    }),
  "a peer that does not answer a Close": (place) =>
    Effect.gen(function* () {
      const peer = yield* joined(`${place.targets.hasty}/echo?name=mute`)
      peer.write(text("!close 4321 bye"))
      yield* peer.when(() => closed(peer))
      const ending = peer.when(peer.hasEnded)
      const millis = yield* millisOf(Effect.race(ending, Effect.sleep(2000)))
      yield* seen(place, "mute:end")
      return droppedWords(peer.hasEnded(), millis)
    }),
  "a Close to a peer that does not read": (place) =>
    Effect.gen(function* () {
      const peer = yield* joined(`${place.targets.hasty}/echo?name=deaf`)
      peer.socket.pause()
      peer.write(text("!flood 500 262144"))
      yield* Effect.sleep(300)
      const other = yield* WebSocketClient.connect(`${place.targets.main}/echo`)
      const millis = yield* millisOf(Effect.zipRight(other.send("!interrupt deaf"), seen(place, "deaf:end")))
      peer.socket.resume()
      return droppedWords(yield* comes(peer.when(peer.hasEnded), 1000), millis)
    }),
  "`abort`": (place) =>
    Effect.gen(function* () {
      const peer = yield* joined(`${place.targets.main}/echo`)
      peer.write(text("!drop"))
      yield* peer.when(() => gone(peer))
      const code = peer.closeCode()
      if (code === undefined) return "drops the connection"
      return code === 1005 ? "sends a Close without a code" : `sends a Close with ${code}`
    })
}

/** Waits until everything is written, nothing more can be, or the connection ends. */
const settled = (peer: Peer, before = 0, times = 0): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { writableLength } = peer.socket
    if (gone(peer) || writableLength === 0 || times === 10) return Effect.void
    const again = writableLength === before ? times + 1 : 0
    return Effect.zipRight(Effect.sleep(50), settled(peer, writableLength, again))
  })

const flowFacts: Readonly<Record<string, Fact>> = {
  "messages that nobody reads": (place) =>
    Effect.gen(function* () {
      const peer = yield* joined(`${place.targets.small}/echo?name=piled&stall=forever`)
      const messages = Buffer.concat(Array.from({ length: 1000 }, () => [header(1000), Buffer.alloc(1000)]).flat())
      // More than the buffers of the kernel hold.
      for (let i = 0; i < 24; i++) peer.write(messages)
      yield* settled(peer)
      if (!gone(peer)) return peer.socket.writableLength === 0 ? "takes all of them" : "stops reading"
      return `${inWords(yield* seen(place, "piled:error"))}, closes with ${peer.closeCode() ?? "nothing"}`
    }),
  "a message above `limits.maxMessageBytes`": (place) =>
    Effect.gen(function* () {
      const peer = yield* joined(`${place.targets.small}/echo`)
      peer.write(header(100_000), Buffer.alloc(5000))
      const early = yield* comes(
        peer.when(() => gone(peer)),
        500
      )
      if (!early) peer.write(Buffer.alloc(95_000))
      yield* peer.when(() => gone(peer))
      return `${peer.closeCode() ?? "dropped"}, ${early ? "before" : "once"} all of it is there`
    }),
  "`budget`": (place) =>
    Effect.gen(function* () {
      const { outcome, url } = yield* serverWith(place, "budget")
      if (url === undefined) return outcome
      // More than half of the budget, which nobody reads.
      const peer = yield* joined(`${url}/stall`)
      peer.write(header(12_000), Buffer.alloc(12_000))
      yield* Effect.sleep(200)
      const late = yield* joined(url)
      return statusOf(late) === "503" ? "503 while it is exhausted" : "without effect"
    }),
  "`compression`": (place) =>
    Effect.gen(function* () {
      const { outcome, url = place.targets.main } = yield* serverWith(place, "compression")
      const target = new URL(`${url}/echo`)
      const peer = yield* open(target)
      peer.write(handshake(target, "Sec-WebSocket-Extensions: permessage-deflate"))
      yield* peer.until("\r\n\r\n")
      const agreed = /^sec-websocket-extensions: permessage-deflate/im.test(peer.received())
      return [outcome, agreed ? "negotiated" : "not negotiated"].filter((part) => part !== undefined).join(", ")
    }),
  "a silent peer, with `heartbeatInterval` of 200 ms": (place) =>
    Effect.gen(function* () {
      const peer = yield* joined(`${place.targets.watchful}/echo?name=silent`)
      const millis = yield* millisOf(peer.when(() => peer.frames().some(({ opcode }) => opcode === 9)))
      const error = inWords(yield* seen(place, "silent:error"))
      return `a ping after ${millis < 900 ? "the interval" : "a whole second"}, then ${error}`
    }),
  "`ping`, `pong`": ({ targets }) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(`${targets.main}/echo`)
      const outcomes = yield* Effect.forEach(["ping", "pong"], (name) =>
        Effect.map(ask(socket, `!${name}`), (outcome) => {
          return [`\`${name}\``, outcome === "ok" ? "sent" : inWords(String(outcome))] as const
        })
      )
      return merged(outcomes)
    }),
  "`sendStream`": ({ targets }) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(`${targets.main}/echo`)
      const answer = String(yield* ask(socket, "!stream"))
      return answer === "in parts" ? "sent" : inWords(answer)
    }),
  'deliveries `"streams"` and `"frames"`, `recordFrames`': ({ ask }) =>
    Effect.map(ask("deliveries"), (answer) => {
      const outcomes: ReadonlyArray<readonly [string, string]> = JSON.parse(answer)
      return merged(outcomes.map(([name, outcome]) => [`\`${name}\``, acceptance(outcome)]))
    }),
  "`receivedBytes`, `sentBytes` of `connections`": ({ targets }) =>
    Effect.gen(function* () {
      const peer = yield* joined(`${targets.main}/echo?name=counted`)
      const sent = [text("hello"), text("!bytes")]
      peer.write(...sent)
      yield* peer.when(() => peer.frames().length === 2)
      const [first, answer] = peer.frames()
      const [receivedBytes, sentBytes]: ReadonlyArray<unknown> = JSON.parse(String(answer?.payload))
      const words = (counted: unknown, transport: number, messages: number): string => {
        if (counted === transport) return "bytes of the transport"
        return counted === messages ? "bytes of messages" : String(counted)
      }
      const wire = Buffer.concat(sent).length
      const payload = first?.payload.length ?? 0
      return merged([
        ["`receivedBytes`", words(receivedBytes, wire, wire - 6 * sent.length)],
        ["`sentBytes`", words(sentBytes, 2 + payload, payload)]
      ])
    })
}

const fixture = (name: string): string =>
  readFileSync(
    fileURLToPath(new URL(`../../../../../packages/platform/test/node/fixtures/${name}`, import.meta.url)),
    "utf8"
  )

const certificate = { key: fixture("key.pem"), cert: fixture("cert.pem") }

/** What a server of HTTP/2 says first, or `undefined` if it does not speak that. */
const http2Settings = (url: string) =>
  Effect.async<{ readonly enableConnectProtocol?: boolean | undefined } | undefined, Error>((resume) => {
    const { hostname, port } = new URL(url)
    const tls = { host: hostname, port: Number(port), ca: certificate.cert, ALPNProtocols: ["h2", "http/1.1"] }
    const socket = connectTls(tls, () => {
      if (socket.alpnProtocol !== "h2") return resume(Effect.succeed(undefined))
      const session = connectHttp2(url.replace(/^ws/, "http"), { createConnection: () => socket })
      session.on("remoteSettings", (settings) => resume(Effect.succeed(settings)))
      session.on("error", (error) => resume(Effect.fail(error)))
    })
    socket.on("error", (error) => resume(Effect.fail(error)))
    return Effect.sync(() => socket.destroy())
  })

const requestFacts: Readonly<Record<string, Fact>> = {
  "bytes behind a request that waits": ({ targets }) =>
    Effect.gen(function* () {
      const target = new URL(`${targets.main}/echo?later=1`)
      const peer = yield* open(target)
      peer.write(handshake(target), text("early"))
      yield* peer.until("\r\n\r\n")
      if (statusOf(peer) !== "101") return `the answer is ${statusOf(peer)}`
      return (yield* comes(peer.until("early"), 1000)) ? "kept" : "lost"
    }),
  "half a request": ({ targets }) =>
    Effect.gen(function* () {
      const target = new URL(`${targets.hasty}/echo`)
      const peer = yield* open(target)
      peer.write(handshake(target).slice(0, 40))
      const millis = yield* millisOf(Effect.race(peer.when(peer.hasEnded), Effect.sleep(15_000)))
      console.error("HALF", millis, peer.received())
      return `${millis} ${statusOf(peer)}`
    }),
  "pending sockets beyond `maxHandshakes`": (place) =>
    Effect.gen(function* () {
      const { outcome, url } = yield* serverWith(place, "admission")
      if (url === undefined) return outcome
      const peers = yield* Effect.forEach([1, 2, 3, 4, 5], () => open(new URL(url)))
      yield* Effect.sleep(300)
      const left = peers.map((peer) => !peer.hasEnded())
      if (!left.includes(false)) return "not bounded"
      return left.join() === "false,false,true,true,true" ? "the oldest are dropped" : `open: ${left.join(", ")}`
    }),
  "`stop`": (place) =>
    Effect.gen(function* () {
      yield* place.ask("stop")
      const target = new URL(`${place.targets.stopped}/echo`)
      const late = Effect.gen(function* () {
        const peer = yield* open(target)
        peer.write(handshake(target))
        yield* peer.when(() => peer.hasEnded() || peer.received().includes("\r\n\r\n"))
        return `answers ${statusOf(peer)}`
      })
      return yield* Effect.catchAll(late, () => Effect.succeed("stops listening"))
    }),
  "`url` of a request for `/a/../b`": (place) =>
    Effect.gen(function* () {
      const { url } = yield* serverWith(place, "none")
      const target = new URL(url)
      const peer = yield* open(target)
      peer.write(handshake(target).replace(/^GET \S+/, "GET /a/../b"))
      yield* peer.when(() => peer.frames().length > 0)
      return `\`${peer.frames()[0]?.payload}\``
    }),
  "HTTP/2": ({ ask }) =>
    Effect.gen(function* () {
      const url = yield* ask(`secure ${JSON.stringify(certificate)}`)
      const settings = yield* http2Settings(url)
      if (settings?.enableConnectProtocol !== true) return settings === undefined ? "no" : "without WebSockets"
      const client = yield* NodeWebSocketClient.make({ http2: "require", tls: { ca: certificate.cert } })
      const socket = yield* client.connect(`${url}/echo`)
      return String((yield* socket.receive).data) === "/echo" ? "yes" : "no"
    })
}

export const hostFacts: Readonly<Record<string, Fact>> = {
  ...closingFacts,
  ...flowFacts,
  ...optionFacts,
  ...requestFacts
}

/** What was seen of each fact. */
export const runFacts = (place: Place): Effect.Effect<Outcomes> =>
  Effect.map(
    Effect.forEach(
      Object.entries(hostFacts),
      ([name, fact]) =>
        Effect.scoped(fact(place)).pipe(
          Effect.provide(NodeWebSocketClient.layer),
          Effect.timeout("30 seconds"),
          Effect.exit,
          Effect.map((exit) => {
            if (Exit.isSuccess(exit)) return [name, exit.value] as const
            return [name, `FAIL ${(Cause.pretty(exit.cause).split(/\n +at /)[0] ?? "").trim()}`] as const
          })
        ),
      { concurrency: 4 }
    ),
    (outcomes) => Object.fromEntries(outcomes)
  )
