/**
 * What hosts do in different ways, seen by clients on Node: the rows of a table, each with the words for what was seen. A fact does
 * not know which host it is about.
 */
import { WebSocketClient } from "@effect-websocket/platform"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import { Effect, type Scope } from "effect"
import { connect as connectHttp2 } from "node:http2"
import { connect as connectTls } from "node:tls"
import { tls } from "../../fixtures.js"
import { mapRecord, observeAll, together, type Observed } from "../observe.js"
import { ask, seen, type Serving } from "./behaviours.js"
import { close, handshake, open, text, zeros, type Peer } from "./peer.js"
import { samples } from "./trials.js"

/** What was seen, in words. */
export type Fact = (serving: Serving) => Effect.Effect<string, unknown, WebSocketClient.WebSocketClient | Scope.Scope>

/** A peer whose connection is open. */
const joined = (url: string) =>
  Effect.gen(function* () {
    const target = new URL(url)
    const peer = yield* open(target)
    peer.write(handshake(target))
    yield* peer.until("\r\n\r\n")
    return peer
  })

/** Waits in small steps, so that a process that was busy still gets its turns. */
const patience = (millis: number): Effect.Effect<void> => Effect.repeatN(Effect.sleep(25), millis / 25)

/** Whether something comes in time. */
const comes = <E, R>(effect: Effect.Effect<unknown, E, R>, millis: number): Effect.Effect<boolean, E, R> =>
  Effect.race(Effect.as(effect, true), Effect.as(patience(millis), false))

const statusOf = (peer: Peer): string => /^HTTP\/1\.1 (\d{3})/.exec(peer.received())?.[1] ?? "nothing"

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
const options = ({ ask }: Serving, names: ReadonlyArray<string>) =>
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
    Object.entries(optionRows).map(([row, names]) => [row, (serving: Serving) => options(serving, names)])
  ),
  "every other option": (serving) =>
    options(
      serving,
      Object.keys(samples).filter((name) => !tried.has(name))
    )
}

/** The URL of a server with an option, or what came of it. */
const serverWith = ({ ask }: Serving, option: string) =>
  Effect.map(ask(`serve ${option}`), (answer) =>
    answer.startsWith("ws:") ? { url: answer } : { outcome: acceptance(answer) }
  )

const closed = (peer: Peer): boolean => peer.closeCode() !== undefined

const gone = (peer: Peer): boolean => closed(peer) || peer.hasEnded()

/** How a connection ended that should have been dropped by now. */
const ending = (peer: Peer) =>
  Effect.map(comes(peer.when(peer.hasEnded), 1500), (ended) => (ended ? "dropped" : "ends for the app; TCP stays"))

const closingFacts: Readonly<Record<string, Fact>> = {
  "a Close of this side": (serving) =>
    Effect.gen(function* () {
      const peer = yield* joined(`${serving.targets.main}/echo?name=polite`)
      peer.write(text("!close 4321 bye"))
      yield* peer.when(() => closed(peer))
      yield* patience(500)
      const other = yield* WebSocketClient.connect(`${serving.targets.main}/echo`)
      if ((yield* ask(other, "!has polite:end")) === "yes") return "ends once it is sent"
      peer.write(close(4321))
      const [, code] = (yield* seen(serving, "polite:end")).split(" ")
      return code === "4321" ? "waits for the peer's Close" : "ends without the peer's Close"
    }),
  "data that arrives behind it": (serving) =>
    Effect.gen(function* () {
      const peer = yield* joined(`${serving.targets.main}/echo?name=behind`)
      peer.write(text("!close 4321 bye"))
      yield* peer.when(() => closed(peer))
      peer.write(text("late"))
      yield* patience(100)
      peer.write(text("late"), close(4321))
      const end = yield* seen(serving, "behind:end")
      return end.includes("not clean") ? "drops the connection" : "discarded"
    }),
  "the code of a peer that closes with 1014": (serving) =>
    Effect.gen(function* () {
      const peer = yield* joined(`${serving.targets.main}/echo?name=rare`)
      peer.write(close(1014))
      const [, code] = (yield* seen(serving, "rare:end")).split(" ")
      return code || "none"
    }),
  "a peer that does not answer a Close, after `closeTimeout`": (serving) =>
    Effect.gen(function* () {
      const peer = yield* joined(`${serving.targets.hasty}/echo?name=mute`)
      peer.write(text("!close 4321 bye"))
      yield* peer.when(() => closed(peer))
      yield* seen(serving, "mute:end")
      return yield* ending(peer)
    }),
  "a Close to a peer that does not read, after `closeTimeout`": (serving) =>
    Effect.gen(function* () {
      const peer = yield* joined(`${serving.targets.hasty}/echo?name=deaf`)
      peer.socket.pause()
      peer.write(text("!flood 500 262144"))
      yield* patience(300)
      const other = yield* WebSocketClient.connect(`${serving.targets.main}/echo`)
      yield* other.send("!interrupt deaf")
      yield* seen(serving, "deaf:end")
      peer.socket.resume()
      return yield* ending(peer)
    }),
  "`abort`": (serving) =>
    Effect.gen(function* () {
      const peer = yield* joined(`${serving.targets.main}/echo`)
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
    if (gone(peer) || writableLength === 0 || times === 20) return Effect.void
    const again = writableLength === before ? times + 1 : 0
    return Effect.zipRight(Effect.sleep(50), settled(peer, writableLength, again))
  })

const flowFacts: Readonly<Record<string, Fact>> = {
  "messages that nobody reads": (serving) =>
    Effect.gen(function* () {
      const peer = yield* joined(`${serving.targets.small}/echo?name=piled&stall=forever`)
      const messages = Buffer.concat(Array.from({ length: 1000 }, () => zeros(1000)))
      // More than the buffers of the kernel hold.
      for (let i = 0; i < 24; i++) peer.write(messages)
      yield* settled(peer)
      if (!gone(peer)) return peer.socket.writableLength === 0 ? "takes all of them" : "stops reading"
      return yield* seen(serving, "piled:error")
    }),
  "a message above `limits.maxMessageBytes`": (serving) =>
    Effect.gen(function* () {
      const peer = yield* joined(`${serving.targets.small}/echo`)
      peer.write(zeros(100_000, 95_000))
      const ended = peer.when(() => gone(peer))
      const early = yield* comes(ended, 1000)
      if (!early) peer.write(Buffer.alloc(95_000))
      yield* ended
      return `${peer.closeCode() ?? "dropped"}, ${early ? "before" : "once"} all of it is there`
    }),
  "`budget`": (serving) =>
    Effect.gen(function* () {
      const { outcome, url } = yield* serverWith(serving, "budget")
      if (url === undefined) return outcome
      // More than half of the budget, which nobody reads.
      const peer = yield* joined(`${url}/stall`)
      peer.write(zeros(12_000))
      const refused = Effect.scoped(
        Effect.repeat(Effect.scoped(Effect.map(joined(url), statusOf)), { until: (status) => status === "503" })
      )
      return (yield* comes(refused, 1000)) ? "503 while it is exhausted" : "without effect"
    }),
  "`compression`": (serving) =>
    Effect.gen(function* () {
      const { outcome, url = serving.targets.main } = yield* serverWith(serving, "compression")
      const target = new URL(`${url}/echo`)
      const peer = yield* open(target)
      peer.write(handshake(target, "Sec-WebSocket-Extensions: permessage-deflate"))
      yield* peer.until("\r\n\r\n")
      const agreed = /^sec-websocket-extensions: permessage-deflate/im.test(peer.received())
      return [outcome, agreed ? "negotiated" : "not negotiated"].filter((part) => part !== undefined).join(", ")
    }),
  "a silent peer, with `heartbeatInterval` of 1 second": (serving) =>
    Effect.gen(function* () {
      // The others have begun by then, so that a ping that is early is seen early.
      yield* patience(2000)
      const begun = performance.now()
      const peer = yield* joined(`${serving.targets.watchful}/echo?name=silent`)
      yield* peer.when(() => peer.frames().some(({ opcode }) => opcode === 9))
      const early = performance.now() - begun < 900
      return `a ping ${early ? "before" : "after"} that time, then ${yield* seen(serving, "silent:error")}`
    }),
  "`ping`, `pong`": ({ targets }) =>
    Effect.gen(function* () {
      const peer = yield* joined(`${targets.main}/echo`)
      peer.write(text("!controls"))
      yield* peer.when(() => peer.frames().length === 2)
      const [first, second] = peer.frames()
      return together(
        [first, second].map((frame) => (frame === undefined || frame.opcode > 8 ? "sent" : String(frame.payload)))
      )
    }),
  "`sendStream`": ({ targets }) =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect(`${targets.main}/echo`)
      const answer = String(yield* ask(socket, "!stream"))
      return answer === "in parts" ? "sent" : answer
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
      for (const [index, frame] of sent.entries()) {
        peer.write(frame)
        yield* peer.when(() => peer.frames().length === index + 1)
      }
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

const certificate = { key: tls.key.toString(), cert: tls.cert.toString() }

/** What a server of HTTP/2 says first, or `undefined` if it does not speak that. */
const http2Settings = (url: string) =>
  Effect.async<{ readonly enableConnectProtocol?: boolean | undefined } | undefined, Error>((resume) => {
    const { hostname, port } = new URL(url)
    const options = { host: hostname, port: Number(port), ca: certificate.cert, ALPNProtocols: ["h2", "http/1.1"] }
    const socket = connectTls(options, () => {
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
      const ended = peer.when(peer.hasEnded)
      const soon = yield* comes(ended, 2000)
      if (!soon && !(yield* comes(ended, 13_000))) return "nothing for 15 seconds"
      const answer = peer.received() === "" ? "dropped" : statusOf(peer)
      return soon ? `${answer} after \`handshakeTimeout\`` : `${answer} some seconds later`
    }),
  "pending sockets beyond `maxHandshakes`": (serving) =>
    Effect.gen(function* () {
      const { outcome, url } = yield* serverWith(serving, "admission")
      if (url === undefined) return outcome
      const peers = yield* Effect.forEach([1, 2, 3, 4, 5], () => open(new URL(url)))
      const [first, second] = peers.map((peer) => peer.when(peer.hasEnded))
      yield* comes(Effect.all([first, second].flatMap((ended) => ended ?? [])), 1000)
      const left = peers.map((peer) => !peer.hasEnded())
      if (!left.includes(false)) return "not bounded"
      return left.join() === "false,false,true,true,true" ? "the oldest are dropped" : `open: ${left.join(", ")}`
    }),
  "`stop`": (serving) =>
    Effect.gen(function* () {
      yield* serving.ask("stop")
      const target = new URL(`${serving.targets.stopped}/echo`)
      const late = Effect.gen(function* () {
        const peer = yield* open(target)
        peer.write(handshake(target))
        yield* peer.when(() => peer.hasEnded() || peer.received().includes("\r\n\r\n"))
        return `answers ${statusOf(peer)}`
      })
      return yield* Effect.catchAll(late, (error) =>
        Reflect.get(error, "code") === "ECONNREFUSED" ? Effect.succeed("stops listening") : Effect.fail(error)
      )
    }),
  "`url` of a request for `/a/../b`": (serving) =>
    Effect.gen(function* () {
      const { outcome, url } = yield* serverWith(serving, "none")
      if (url === undefined) return outcome
      const target = new URL(url)
      const peer = yield* open(target)
      peer.write(handshake(target).replace(/^GET \S+/, "GET /a/../b"))
      yield* peer.when(() => peer.frames().length > 0)
      return `\`${peer
        .frames()
        .map(({ payload }) => payload.toString())
        .join()}\``
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

/** Observes all facts of a host, all at once: they take time, but not that of the processor. */
export const observeHost = (serving: Serving): Effect.Effect<Observed> =>
  observeAll(
    mapRecord(hostFacts, (fact) =>
      fact(serving).pipe(Effect.scoped, Effect.provide(NodeWebSocketClient.layer), Effect.timeout("1 minute"))
    ),
    Object.keys(hostFacts).length
  )
