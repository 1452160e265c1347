/** What is tried with every peer. The peer sends back what it gets and obeys commands, whoever connected. */
import type { WebSocket } from "@effect-websocket/platform"
import { Effect, Fiber, Option, Stream, type Scope } from "effect"
import { deepStrictEqual } from "node:assert"

/** What a peer saw of a connection. */
export interface Report {
  readonly opened: boolean
  readonly protocol: string
  readonly code: number
  readonly reason: string
}

/**
 * - `plain`: the defaults, for messages of 2 MiB.
 * - `small`: frames of at most 1,000 bytes out, messages of at most 64 KiB in.
 * - `compressed`: permessage-deflate for messages of every size.
 */
export type Setting = "plain" | "small" | "compressed"

/** An open connection, and what the peer says of it once it is over, if it is one that tells. */
export interface Connected {
  readonly socket: WebSocket.WebSocket
  readonly report: Effect.Effect<Pick<Report, "code" | "reason">, Error> | undefined
}

/** A peer with us, in one of the two roles. */
export interface Subject {
  readonly open: (
    setting: Setting,
    options?: { readonly protocols?: ReadonlyArray<string>; readonly origin?: string }
  ) => Effect.Effect<Connected, Error, Scope.Scope>
  /** Whether our server refuses a page of another origin; `undefined` where we are the client. */
  readonly refusesForeignOrigin: Effect.Effect<boolean, Error, Scope.Scope> | undefined
}

export type CaseName = keyof typeof cases

class Mismatch extends Error {}

const same = (actual: unknown, expected: unknown): Effect.Effect<void, Error> =>
  Effect.try({
    try: () => deepStrictEqual(actual, expected),
    catch: (error) => new Mismatch(error instanceof Error ? error.message.slice(0, 400) : String(error))
  })

const plainData = (data: string | Uint8Array): string | Buffer => (typeof data === "string" ? data : Buffer.from(data))

const echo = (socket: WebSocket.WebSocket, data: string | Uint8Array, options?: WebSocket.SendOptions) =>
  Effect.gen(function* () {
    yield* socket.send(data, options)
    const { data: reply } = yield* socket.receive
    const equal =
      typeof data === "string" || typeof reply === "string" ? data === reply : Buffer.compare(data, reply) === 0
    // Not compared by assertion: to print the difference of large messages takes long.
    if (!equal) yield* same(plainData(reply).slice(0, 100), plainData(data).slice(0, 100))
    if (!equal) yield* Effect.fail(new Mismatch(`${reply.length} of ${data.length} came back, or others`))
  })

const utf8 = (data: Uint8Array): string => Buffer.from(data).toString()

const mebibyte = 1024 * 1024
const bytes = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7) ^ (i >> 8))

type Case = (subject: Subject) => Effect.Effect<void, Error, Scope.Scope>

const talk =
  (setting: Setting, use: (socket: WebSocket.WebSocket) => Effect.Effect<void, Error>): Case =>
  (subject) =>
    Effect.flatMap(subject.open(setting), ({ socket }) =>
      Effect.zipRight(use(socket), Effect.ignore(socket.close(1000)))
    )

export const cases = {
  text: talk("plain", (socket) => echo(socket, "héllo, 世界 🎉")),
  binary: talk("plain", (socket) => echo(socket, bytes(256))),
  empty: talk("plain", (socket) => Effect.zipRight(echo(socket, ""), echo(socket, new Uint8Array(0)))),
  "1 MiB": talk("plain", (socket) =>
    Effect.zipRight(echo(socket, "é".repeat(mebibyte / 2)), echo(socket, bytes(mebibyte)))
  ),
  "fragments out": talk("small", (socket) =>
    Effect.zipRight(echo(socket, "añb".repeat(2500)), echo(socket, bytes(9999)))
  ),
  "fragments in": talk("plain", (socket) =>
    Effect.gen(function* () {
      yield* socket.send("!fragments")
      yield* same((yield* socket.receive).data, "one two three")
    })
  ),
  "ping out": talk("plain", (socket) => socket.ping(Buffer.from("are you there"))),
  "ping in": talk("plain", (socket) =>
    Effect.gen(function* () {
      const ping = yield* Effect.fork(Stream.runHead(socket.pings))
      yield* echo(socket, "first")
      yield* socket.send("!ping")
      yield* same(Option.map(yield* Fiber.join(ping), utf8), Option.some("from the peer"))
    })
  ),
  subprotocol: (subject) =>
    Effect.gen(function* () {
      const { socket } = yield* subject.open("plain", { protocols: ["chat.v1"] })
      yield* same(socket.protocol, "chat.v1")
      yield* echo(socket, "agreed")
      yield* socket.close(1000)
    }),
  "we close": (subject) =>
    Effect.gen(function* () {
      const { report, socket } = yield* subject.open("plain")
      yield* echo(socket, "first")
      yield* socket.close(4001, "ça suffit")
      const { clean, received, sent } = yield* socket.closeStatus
      yield* same([clean, sent?.code, received?.code], [true, 4001, 4001])
      if (report === undefined) return
      const { code, reason } = yield* report
      yield* same([code, reason], [4001, "ça suffit"])
    }),
  "it closes": (subject) =>
    Effect.gen(function* () {
      const { socket } = yield* subject.open("plain")
      yield* socket.send("!close 4002 enough")
      const { clean, error, initiator, received } = yield* socket.closeStatus
      yield* same(
        [clean, initiator, received, error._tag],
        [true, "remote", { code: 4002, reason: "enough" }, "Connection_closed"]
      )
    }),
  deflate: talk("compressed", (socket) =>
    Effect.gen(function* () {
      yield* same(
        socket.extensions.map(({ name }) => name),
        ["permessage-deflate"]
      )
      for (const text of ["", "a", "abc".repeat(20_000), "abc".repeat(20_000), "世界".repeat(500)]) {
        yield* echo(socket, text, { compress: true })
      }
      yield* echo(socket, bytes(100_000), { compress: true })
      yield* echo(socket, "not compressed", { compress: false })
    })
  ),
  "too large": (subject) =>
    Effect.gen(function* () {
      const { report, socket } = yield* subject.open("small")
      yield* socket.send("!big 100000")
      const { error, sent } = yield* socket.closeStatus
      yield* same([error._tag, sent?.code], ["Payload_too_large", 1009])
      if (report === undefined) return
      const { code } = yield* report
      yield* same(code, 1009)
    }),
  origin: (subject) =>
    Effect.gen(function* () {
      if (subject.refusesForeignOrigin !== undefined) {
        yield* same(yield* subject.refusesForeignOrigin, true)
        return
      }
      const { socket } = yield* subject.open("plain", { origin: "https://example.com" })
      yield* socket.send("!origin")
      yield* same((yield* socket.receive).data, "https://example.com")
      yield* socket.close(1000)
    })
} satisfies Readonly<Record<string, Case>>

export const caseNames = Object.keys(cases) as ReadonlyArray<CaseName>
