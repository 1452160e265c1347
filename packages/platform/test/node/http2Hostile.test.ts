/** Clients over HTTP/2 that attack with its own frames. docs/security.md lists the bounds on each attack. */
import type { WebSocket } from "@effect-websocket/platform/WebSocket"
import { Effect, Exit, Logger, type Scope } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { http2Client } from "./http2.js"
import * as Frames from "./http2Frames.js"
import {
  eventually,
  facts,
  first,
  frame,
  mebibyte,
  memory,
  noHandlesLeft,
  type Peer,
  rawClient,
  serve,
  serveEcho,
  settled,
  stalled
} from "./support.js"

afterEach(noHandlesLeft)

const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

const quietly = Effect.provide(Logger.withoutDefault)

/** A session of bare frames, whose peer reads nothing unless it is asked to. */
const session = (port: number): Effect.Effect<Peer, never, Scope.Scope> =>
  Effect.map(rawClient(port), (peer) => {
    peer.write(Buffer.concat([Frames.preface, Frames.settingsAck]))
    return peer
  })

const served = (port: number) =>
  Effect.gen(function* () {
    const peer = yield* http2Client(port, "http")
    peer.write(frame(first.text, "still here", true))
    assert.strictEqual(String((yield* peer.frame).payload), "still here")
    peer.reset()
  }).pipe(Effect.scoped)

/** Writes without reading, until the server has gone, or takes no more. */
const flood = ({ socket }: Peer, next: () => Buffer): Effect.Effect<void> => {
  let turns = 0
  return eventually(() => {
    if (socket.writableLength === 0) {
      turns = 0
      socket.write(next())
    }
    return !socket.writable || ++turns > 500
  })
}

/** At least 64 KiB of the same frames. */
const repeated = (bytes: Buffer): Buffer =>
  Buffer.concat(Array.from({ length: Math.ceil(65536 / bytes.length) }, () => bytes))

// Node 20 stops to read a session in which HTTP/2 itself was broken, and the deadline ends it.
const options = { http2: true, handshakeTimeout: "200 millis" } as const

describe("a hostile client over HTTP/2", () => {
  const { continuation, ping, settings } = Frames.types
  const unfinished = Frames.headers(1, Frames.connectFields, Frames.flags.none)
  const field = Frames.headerBlock([["x-flood", "x".repeat(100)]])
  let stream = 1
  const reset200 = (): Buffer =>
    Buffer.concat(
      Array.from({ length: 200 }, () => {
        stream += 2
        return Buffer.concat([Frames.headers(stream, Frames.connectFields), Frames.reset(stream, Frames.codes.cancel)])
      })
    )
  const pings = repeated(Frames.http2Frame(ping, Frames.flags.none, 0, Buffer.alloc(8)))
  const fields = repeated(Frames.http2Frame(continuation, Frames.flags.none, 1, field))
  const empty = repeated(Frames.http2Frame(continuation, Frames.flags.none, 1))
  const noSettings = repeated(Frames.http2Frame(settings, Frames.flags.none, 0))
  const emptyData = repeated(Frames.data(1, Buffer.alloc(0)))
  it.live.each([
    ["sends CONTINUATION frames that never end", unfinished, () => fields],
    ["sends CONTINUATION frames without fields that never end", unfinished, () => empty],
    ["sends PINGs and does not read the answers", Buffer.alloc(0), () => pings],
    ["sends SETTINGS and does not read the answers", Buffer.alloc(0), () => noSettings],
    ["sends empty DATA frames", Frames.headers(1, Frames.connectFields), () => emptyData],
    // CVE-2023-44487
    ["opens streams and resets them at once", Buffer.alloc(0), reset200]
  ] as const)("%s: its session ends, and others are served", ([, start, next]) =>
    Effect.gen(function* () {
      const server = yield* serveEcho(options)
      const peer = yield* session(server.address.port)
      peer.write(start)
      const before = memory()
      yield* flood(peer, next)
      yield* served(server.address.port)
      assert.isBelow(memory() - before, 64 * mebibyte)
      yield* peer.left
    }).pipe(quietly)
  )

  it.live("opens more streams than it may: its session ends, and others are served", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho(options)
      const peer = yield* session(server.address.port)
      yield* Frames.frameOf(peer, Frames.types.settings)
      // In the next round trip, so that the limit holds.
      yield* served(server.address.port)
      peer.write(
        Buffer.concat(Array.from({ length: 101 }, (_, index) => Frames.headers(1 + 2 * index, Frames.connectFields)))
      )
      yield* served(server.address.port)
      yield* Effect.repeat(Effect.andThen(turn, server.connections), { until: (open) => open.length === 0 })
      yield* peer.left
    }).pipe(quietly)
  )

  it.live("sends headers that are malformed or too many: the stream is reset, and the session goes on", () =>
    Effect.gen(function* () {
      const server = yield* serveEcho({ http2: true })
      const peer = yield* session(server.address.port)
      const without = (name: string) => Frames.connectFields.filter((field) => field[0] !== name)
      const { enhanceYourCalm, protocolError } = Frames.codes
      const cases = [
        [without(":path"), protocolError],
        [without(":scheme"), protocolError],
        [without(":authority"), protocolError],
        [[...Frames.connectFields, [":path", "/"]], protocolError],
        [[...Frames.connectFields, ["Upper-Case", "1"]], protocolError],
        [[...Frames.connectFields, ["connection", "Upgrade"]], protocolError],
        [
          [...Frames.connectFields, ...Array.from({ length: 200 }, (_, index) => [`x${index}`, ""] as const)],
          enhanceYourCalm
        ]
      ] as const
      let id = 1
      for (const [fields, code] of cases) {
        peer.write(Frames.headers(id, fields))
        const { payload, stream } = yield* Frames.frameOf(peer, Frames.types.reset)
        assert.deepStrictEqual([stream, payload.readUInt32BE(0)], [id, code], JSON.stringify(fields.slice(0, 8)))
        id += 2
      }
      // A key is not looked at.
      peer.write(Frames.headers(id, [...Frames.connectFields, ["sec-websocket-key", "no key"]]))
      assert.strictEqual((yield* Frames.frameOf(peer, Frames.types.headers)).stream, id)
      peer.write(Frames.data(id, frame(first.text, "hello", true)))
      assert.strictEqual(String((yield* Frames.frameOf(peer, Frames.types.data)).payload.subarray(2)), "hello")
      peer.write(Frames.reset(id, Frames.codes.cancel))
    })
  )

  it.live("closes the windows of a hundred streams: each holds a bounded number of bytes until writeTimeout", () =>
    Effect.gen(function* () {
      const server = yield* serve({ http2: true, writeTimeout: "300 millis" })
      const ended: Array<Record<string, unknown>> = []
      const sending = new Set<WebSocket>()
      yield* Effect.forkScoped(
        server.run((socket) =>
          Effect.gen(function* () {
            sending.add(socket)
            yield* Effect.ignore(Effect.forever(socket.send(new Uint8Array(16384))))
            ended.push(facts((yield* socket.closeStatus).error))
          })
        )
      )
      const peer = yield* rawClient(server.address.port)
      peer.write(
        Buffer.concat([
          Frames.preface.subarray(0, 24),
          Frames.settings([Frames.setting.initialWindowSize, 0]),
          ...Array.from({ length: 100 }, (_, index) => Frames.headers(1 + 2 * index, Frames.connectFields))
        ])
      )
      yield* eventually(() => sending.size === 100)
      for (const socket of sending) assert.isAtMost(yield* stalled(socket), 2 * 65536 + 16384)
      yield* eventually(() => ended.length === 100)
      for (const error of ended) assert.deepInclude(error, { _tag: "Io_error", reason: "Timeout", operation: "write" })
    }).pipe(quietly)
  )

  /** The heartbeat ends them on Node 20, which stops to read such a session. */
  it.live("breaks HTTP/2 itself: its connections end", () =>
    Effect.gen(function* () {
      const heartbeat = { heartbeatInterval: "50 millis", heartbeatTimeout: "50 millis" } as const
      const server = yield* serve({ ...options, ...heartbeat, closeTimeout: "50 millis" })
      const peer = yield* session(server.address.port)
      peer.write(Frames.headers(1, Frames.connectFields))
      const socket = yield* server.accept()
      peer.write(Frames.http2Frame(Frames.types.windowUpdate, Frames.flags.none, 1, Buffer.alloc(3)))
      const error = facts(yield* Effect.flip(socket.receive))
      assert.strictEqual(error["_tag"], "Io_error")
      assert.include(["Reset", "Timeout"], error["reason"])
      yield* peer.left
    }).pipe(quietly)
  )
})

describe("a client that goes away", () => {
  it.live("is seen at every moment, and its scope ends", () =>
    Effect.gen(function* () {
      const server = yield* serve({ http2: true })
      const half = frame(first.text, "half", true).subarray(0, 7)
      const cancel = (id: number) => Frames.reset(id, Frames.codes.cancel)
      const end = (id: number, bytes: Buffer) => Frames.data(id, bytes, Frames.flags.endStream)
      const text = frame(first.text, "one", true)
      const closing = frame(first.close, Buffer.from([0x03, 0xe8]), true)
      const peer = yield* session(server.address.port)
      const cases: ReadonlyArray<
        readonly [name: string, frames: (id: number) => ReadonlyArray<Buffer>, outcome: ReadonlyArray<unknown>]
      > = [
        ["a reset", (id) => [cancel(id)], ["Io_error", "Reset"]],
        ["a reset behind a message", (id) => [Frames.data(id, text), cancel(id)], ["one", "Io_error", "Reset"]],
        ["a reset within a message", (id) => [Frames.data(id, half), cancel(id)], ["Io_error", "Reset"]],
        ["END_STREAM with a message", (id) => [end(id, text)], ["one", "Connection_closed", 1006]],
        ["END_STREAM within a message", (id) => [end(id, half)], ["Connection_closed", 1006]],
        ["END_STREAM with the Close", (id) => [end(id, Buffer.concat([text, closing]))], ["one", "ended"]]
      ]
      let id = 1
      for (const [name, frames, outcome] of cases) {
        peer.write(Frames.headers(id, Frames.connectFields))
        const seen: Array<unknown> = []
        yield* Effect.scoped(
          Effect.gen(function* () {
            const socket = yield* server.accept()
            peer.write(Buffer.concat(frames(id)))
            const exit = yield* Effect.exit(Effect.flip(socket.run(({ data }) => void seen.push(data))))
            if (Exit.isFailure(exit)) return void seen.push("ended")
            const error = facts(exit.value)
            seen.push(error["_tag"], error["reason"] || error["code"])
          })
        )
        assert.deepStrictEqual(seen, outcome, name)
        id += 2
      }
      assert.strictEqual((yield* server.connections).length, 0)
    })
  )

  it.live("is seen once the app reads again", () =>
    Effect.gen(function* () {
      const server = yield* serve({ http2: true })
      const peer = yield* session(server.address.port)
      peer.write(Frames.headers(1, Frames.connectFields))
      const socket = yield* server.accept()
      const message = frame(first.binary, Buffer.alloc(16000), true)
      for (let sent = 0; sent < 64000; sent += 16000) {
        peer.write(Frames.data(1, message))
        yield* settled(() => peer.socket.writableLength)
      }
      peer.write(Frames.reset(1, Frames.codes.cancel))
      yield* settled(() => peer.socket.writableLength)
      const error = yield* Effect.flip(socket.run(() => {}))
      assert.deepInclude(facts(error), { _tag: "Io_error", reason: "Reset" })
      assert.isFalse((yield* socket.closeStatus).clean)
    })
  )
})
