import * as MockTransport from "@effect-websocket/platform/MockTransport"
import type { Transport, TransportSink, WriteResult } from "@effect-websocket/platform/Transport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import { IoError, type ConnectionError } from "@effect-websocket/protocol/Errors"
import * as Frame from "@effect-websocket/protocol/Frame"
import { frames } from "@effect-websocket/protocol/FrameDecoder"
import * as FrameEncoder from "@effect-websocket/protocol/FrameEncoder"
import * as Message from "@effect-websocket/protocol/Message"
import { NodeZlib } from "@effect-websocket/platform/node"
import type { Zlib } from "@effect-websocket/platform/Zlib"
import { Effect, Exit, Fiber, Scope, Stream, TestClock } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { timers } from "../../src/internal/timers.js"
import { makeWebSocket } from "../../src/internal/deliveries.js"
import type { MessageWebSocketImpl } from "../../src/internal/MessageWebSocketImpl.js"
import { placeIn } from "../../src/internal/scopes.js"
import { resolve } from "../../src/internal/settings.js"
import { timersOf } from "../../src/internal/timers.js"
import {
  alone,
  close,
  closedError,
  concat,
  connected,
  deafPeer,
  fields,
  finalizersIn,
  from,
  isPending,
  latin1,
  other,
  outcome,
  ping,
  resetError,
  roles,
  type Role,
  settled,
  settledLate,
  spy,
  text,
  wrote
} from "../support.js"

const pairOfSpies = Effect.gen(function* () {
  const pair = yield* MockTransport.make()
  const spies = { client: spy(pair.client), server: spy(pair.server) }
  const client = yield* WebSocket.fromTransport(spies.client.transport, { role: "client" })
  const server = yield* WebSocket.fromTransport(spies.server.transport, { role: "server" })
  yield* Effect.addFinalizer(() => pair.reset)
  return { pair, spies, client, server }
})

/** The end of the turn, before anything else of the event loop. */
const microtask = Effect.promise(() => Promise.resolve())

/** A transport under the test's control, and the sink that was given to it. */
const manual = (results: WriteResult) => {
  const written: Array<Uint8Array> = []
  const calls: Array<string> = []
  const control = { results, sink: undefined as TransportSink | undefined }
  const transport: Transport = {
    remoteAddress: undefined,
    bufferedBytes: 0,
    start: (sink) => {
      control.sink = sink
    },
    pause: () => calls.push("pause"),
    resume: () => calls.push("resume"),
    write: (chunks) => {
      written.push(...chunks)
      calls.push("write")
      return control.results
    },
    end: () => calls.push("end"),
    abort: () => {
      calls.push("abort")
      queueMicrotask(() => control.sink?.onClose())
    }
  }
  return { transport, written, calls, control }
}

const clear: WriteResult = { taken: true, belowHighWater: true }
const pending: WriteResult = { taken: false, belowHighWater: true }
const congested: WriteResult = { taken: false, belowHighWater: false }

const textsIn = (written: ReadonlyArray<Uint8Array>) =>
  frames({ role: "client" })(concat(...written)).frames.map(({ payload }) => latin1(payload))

/** A server's connection whose transport holds everything, or nothing. */
const retaining = (taken: boolean) => {
  const held: Array<Uint8Array> = []
  const transport: Transport = {
    remoteAddress: undefined,
    get bufferedBytes() {
      return held.reduce((size, chunk) => size + chunk.length, 0)
    },
    start: () => {},
    pause: () => {},
    resume: () => {},
    write: (chunks) => {
      if (!taken) held.push(...chunks)
      return { taken, belowHighWater: true }
    },
    end: () => {},
    abort: () => {}
  }
  return Effect.map(timers, (shared) => {
    const negotiated = { url: "", agreement: { protocol: undefined, extensions: [] } }
    const mode = { delivery: "messages" } as const
    const socket = makeWebSocket("server", transport, resolve({}), shared, negotiated, mode, undefined)
    socket.link.start()
    return { socket, held, transport }
  })
}

describe("memory", () => {
  it.effect("of ten peers that do not read, of a thousand, is at most a block and twice the waiting bytes each", () =>
    Effect.gen(function* () {
      const peers = yield* Effect.forEach(Array.from({ length: 1000 }), (_, i) => retaining(i % 100 !== 50))
      const sockets = peers.map(({ socket }) => socket)
      for (let round = 0; round < 60; round++) {
        yield* WebSocket.broadcast(sockets, "x".repeat(400))
        // Some rounds share a turn, so that the frames of each peer are spread over many blocks.
        if (round % 3 === 0) yield* microtask
      }
      yield* settled
      const slow = peers.filter(({ held }) => held.length > 0)
      assert.lengthOf(slow, 10)
      for (const { held, transport } of slow) {
        const buffers = new Set(held.map(({ buffer }) => buffer))
        const retained = [...buffers].reduce((size, { byteLength }) => size + byteLength, 0)
        assert.strictEqual(transport.bufferedBytes, 60 * 404)
        assert.isAtMost(retained, 2 * transport.bufferedBytes + 64 * 1024)
        assert.deepStrictEqual(new Set(textsIn(held)), new Set(["x".repeat(400)]))
      }
      for (const { socket } of peers) socket.link.onClose()
    })
  )
})

describe("writing", () => {
  for (const role of roles) {
    it.effect(`writes once for all that is sent in one turn, and within that turn, as ${role}`, () =>
      Effect.gen(function* () {
        const { spies, ...sockets } = yield* pairOfSpies
        const socket = sockets[role]
        yield* socket.send("alone")
        yield* microtask
        assert.lengthOf(spies[role].writes, 1)
        yield* Effect.forEach(Array.from({ length: 100 }), (_, i) => socket.send(`${i}`))
        yield* socket.pong()
        yield* settled
        assert.lengthOf(spies[role].writes, 2)
      })
    )

    it.effect(`does not wait for the end of the turn with more than 64 KiB, as ${role}`, () =>
      Effect.gen(function* () {
        const pair = yield* MockTransport.make()
        const { transport, writes } = spy(pair[role])
        const socket = yield* WebSocket.fromTransport(transport, { role, sendHighWaterMark: 1024 * 1024 })
        yield* Effect.addFinalizer(() => pair.reset)
        for (let i = 0; i < 15; i++) yield* socket.send(new Uint8Array(4096))
        assert.deepStrictEqual(writes, [])
        for (let i = 0; i < 35; i++) yield* socket.send(new Uint8Array(4096))
        assert.lengthOf(writes, 3)
        for (const size of writes) assert.isAtLeast(size, 64 * 1024)
      })
    )

    it.effect(`sends what was sent in a turn and the Close that follows in one write, as ${role}`, () =>
      Effect.gen(function* () {
        const { spies, ...sockets } = yield* pairOfSpies
        yield* sockets[role].send("last")
        yield* sockets[role].close()
        assert.lengthOf(spies[role].writes, 1)
      })
    )

    const replying: ReadonlyArray<readonly [string, (socket: WebSocket.WebSocket) => Effect.Effect<unknown, unknown>]> =
      [
        ["run", (socket) => socket.run((message) => socket.send(message))],
        [
          "run, with several steps",
          (socket) => socket.run((message) => Effect.flatMap(Effect.void, () => socket.send(message)))
        ],
        ["receive", (socket) => Effect.forever(Effect.flatMap(socket.receive, (message) => socket.send(message)))],
        ["messages", (socket) => Stream.runForEach(socket.messages, (message) => socket.send(message))]
      ]
    for (const [name, reply] of replying) {
      it.effect(`writes once for the replies to one read that are made by ${name}, as ${role}`, () =>
        Effect.gen(function* () {
          const { spies, ...sockets } = yield* pairOfSpies
          yield* Effect.forkScoped(reply(sockets[role]))
          yield* settled
          const peer = sockets[other(role)]
          let reads = 0
          spies[role].state.afterChunk = () => reads++
          for (let round = 1; round <= 3; round++) {
            // More than a fiber does before it yields.
            yield* Effect.forEach(Array.from({ length: 1000 }), (_, i) => peer.send(`${i}`))
            yield* Effect.forEach(Array.from({ length: 1000 }), () => peer.receive)
            assert.isAtMost(spies[role].writes.length, reads)
            assert.isAtMost(reads, 2 * round)
          }
        })
      )
    }
  }

  it.effect("does not hold replies back while the handler of the next message takes its time", () =>
    Effect.gen(function* () {
      const { inject, socket, wrote } = yield* alone("server")
      yield* Effect.forkScoped(
        socket.run(({ data }) => (data === "slow" ? Effect.never : Effect.andThen(Effect.yieldNow, socket.send(data))))
      )
      yield* inject(text("quick"), text("slow"), text("third"))
      yield* settled
      assert.deepStrictEqual(yield* wrote, ["Text quick"])
    })
  )

  it.effect("writes the same bytes even if the transport takes them later", () =>
    Effect.gen(function* () {
      const { control, transport, written } = manual(pending)
      const socket = yield* WebSocket.fromTransport(transport, { role: "server" })
      const sent = Array.from({ length: 2000 }, (_, i) => `${i}`.repeat(20))
      for (const data of sent) {
        yield* socket.send(data)
        yield* microtask
      }
      assert.deepStrictEqual(textsIn(written), sent)
      control.sink?.onClose()
    })
  )

  it.effect("copies large bytes if no caller waits until they are out", () =>
    Effect.gen(function* () {
      const { control, transport, written } = manual(pending)
      const socket = yield* WebSocket.fromTransport(transport, {
        role: "server",
        sendHighWaterMark: 10,
        sendStrategy: "dropping"
      })
      const bytes = new Uint8Array(1000).fill(65)
      yield* socket.send(bytes)
      bytes.fill(66)
      yield* microtask
      assert.deepStrictEqual(textsIn(written), ["A".repeat(1000)])
      control.sink?.onClose()
    })
  )

  it.effect("writes nothing but a Close above the high-water mark, until the drain", () =>
    Effect.gen(function* () {
      for (const closes of [false, true]) {
        const { calls, control, transport, written } = manual(congested)
        const socket = yield* WebSocket.fromTransport(transport, { role: "server" })
        const sending = yield* Effect.forEach(["a", "b", "c"], (data) => Effect.forkChild(socket.send(data)))
        yield* settled
        const before = calls.length
        const late = yield* Effect.forkChild(socket.send("d"))
        control.sink?.onChunk(Uint8Array.of(0x89, 0x80, 0, 0, 0, 0), true)
        assert.isTrue(yield* isPending(late))
        assert.strictEqual(calls.length, before)
        if (closes) {
          yield* Effect.forkChild(socket.close())
          yield* settled
          assert.strictEqual(calls.length, before + 1)
        } else {
          control.results = clear
          control.sink?.onDrain()
          yield* Effect.forEach([...sending, late], (fiber) => Fiber.join(fiber))
          assert.deepStrictEqual(
            textsIn(written).filter((data) => data !== ""),
            ["a", "b", "c", "d"]
          )
        }
        control.sink?.onClose()
      }
    })
  )
})

describe("the transport's reports", () => {
  it.effect("a transport that is over at once ends the connection", () =>
    Effect.gen(function* () {
      const { control, transport } = manual(clear)
      const socket = yield* WebSocket.fromTransport(transport, { role: "client" })
      control.sink?.onClose()
      assert.deepStrictEqual(fields((yield* socket.closeStatus).error), closedError(1006, "remote", false))
      assert.deepStrictEqual(fields(yield* Effect.flip(socket.receive)), closedError(1006, "remote", false))
    })
  )

  it.effect("gives a chunk back that was owned and is not used any more", () =>
    Effect.gen(function* () {
      const { control, transport } = manual(clear)
      const released: Array<Uint8Array> = []
      const socket = yield* WebSocket.fromTransport(
        { ...transport, release: (chunk) => released.push(chunk) },
        { role: "client" }
      )
      const message = Frame.binary(new Uint8Array(1000).fill(1))
      const whole = FrameEncoder.encode(message)
      const pieces = [whole.slice(0, 400), whole.slice(400, 900), whole.slice(900)]
      for (const piece of pieces) control.sink?.onChunk(piece, true)
      control.sink?.onChunk(whole.slice(), true)
      control.sink?.onChunk(whole.slice(0, 400), false)
      assert.deepStrictEqual(released, pieces)
      const received = yield* socket.receiveAll
      const expected = Message.binary(message.payload)
      assert.deepStrictEqual(Array.from(received), [expected, expected])
      control.sink?.onClose()
    })
  )

  it.effect("an error is the connection's, and the transport is dropped", () =>
    Effect.gen(function* () {
      const { calls, control, transport } = manual(clear)
      const socket = yield* WebSocket.fromTransport(transport, { role: "client" })
      const reading = yield* Effect.forkChild(Effect.flip(socket.receive))
      yield* settled
      const error = new IoError({ reason: "Reset", operation: "read" })
      control.sink?.onError(error)
      assert.strictEqual(yield* Fiber.join(reading), error)
      assert.strictEqual((yield* socket.closeStatus).error, error)
      assert.deepStrictEqual(calls, ["abort"])
    })
  )

  it.effect("an error after the connection's end changes nothing", () =>
    Effect.gen(function* () {
      const { inject, pair, socket } = yield* alone("client")
      yield* inject(close(1000))
      yield* settled
      yield* pair.reset
      const status = yield* socket.closeStatus
      assert.deepStrictEqual(outcome(status), [1000, 1000, "remote", true])
      assert.deepStrictEqual(fields(status.error), closedError(1000, "remote", true))
    })
  )

  it.effect("a Close behind an unread message takes effect at the end of the turn", () =>
    Effect.gen(function* () {
      const { inject, pair, socket, wrote } = yield* alone("client")
      yield* inject(ping("p"), text("one"), close(1000))
      yield* settledLate
      assert.deepStrictEqual(yield* wrote, ["Pong p", "Close 1000"])
      yield* pair.reset
      assert.strictEqual((yield* socket.receive).data, "one")
    })
  )
})

describe("time", () => {
  it.effect("nothing is left of the deadlines of a connection that is over", () =>
    Effect.gen(function* () {
      const { client, pair, server } = yield* connected()
      const alarms = timersOf(yield* Effect.clock)["heap"]
      assert.lengthOf(alarms, 2)
      yield* client.close()
      yield* server.closeStatus
      assert.lengthOf(alarms, 0)
      assert.isUndefined(timersOf(yield* Effect.clock)["stopSleeper"])
      assert.deepStrictEqual(yield* wrote(pair, "client"), ["Close 1000"])
    })
  )

  it.effect("the deadline starts with the closing, whichever side began it, and only once", () =>
    Effect.gen(function* () {
      const { inject, socket, wrote } = yield* alone("client", { closeTimeout: "1 seconds" })
      yield* inject(close(4000))
      yield* settled
      yield* TestClock.adjust("600 millis")
      const closing = yield* Effect.forkChild(socket.close())
      yield* TestClock.adjust("399 millis")
      assert.isTrue(yield* isPending(closing))
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(yield* wrote, ["Close 4000"])
    })
  )

  it.effect("the deadline also bounds a wait that cannot be interrupted", () =>
    Effect.gen(function* () {
      const pair = yield* MockTransport.make()
      deafPeer(pair, "server")
      const closing = yield* WebSocket.fromTransport(pair.client, { role: "client", closeTimeout: "1 seconds" }).pipe(
        Effect.flatMap((socket) => socket.close()),
        Effect.scoped,
        Effect.uninterruptible,
        Effect.forkChild
      )
      yield* settled
      yield* TestClock.adjust("1 seconds")
      yield* Fiber.join(closing)
    })
  )
})

describe("owners", () => {
  it.effect("a scope that lives long holds nothing of connections that ended, however they did", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      for (const end of ["close", "peer", "abort", "reset"] as const) {
        const pair = yield* MockTransport.make()
        const ends = yield* Effect.all({
          client: WebSocket.fromTransport(pair.client, { role: "client" }),
          server: WebSocket.fromTransport(pair.server, { role: "server" })
        }).pipe(Scope.provide(scope))
        assert.strictEqual(finalizersIn(scope), 2)
        if (end === "close") yield* ends.client.close()
        else if (end === "peer") yield* ends.server.close()
        else if (end === "abort") yield* ends.client.abort
        else yield* pair.reset
        yield* ends.client.closeStatus
        yield* ends.server.closeStatus
        assert.strictEqual(finalizersIn(scope), 0, end)
      }
      yield* Scope.close(scope, Exit.void)
    })
  )

  it.effect("any of several closes the connection, the others find it closed", () =>
    Effect.gen(function* () {
      const scopes = [yield* Scope.make(), yield* Scope.make()] as const
      const pair = yield* MockTransport.make()
      const peer = yield* WebSocket.fromTransport(pair.client, { role: "client" }).pipe(Scope.provide(scopes[0]))
      const negotiated = { url: "/", agreement: { protocol: undefined, extensions: [] } }
      const mode = { delivery: "messages" } as const
      const socket = makeWebSocket("server", pair.server, resolve(), yield* timers, negotiated, mode, undefined)
      socket.link.start(placeIn(scopes[0]))
      socket.link.addOwner(placeIn(scopes[1]))
      yield* Scope.close(scopes[1], Exit.fail("no"))
      assert.deepStrictEqual(outcome(yield* socket.closeStatus), [1011, 1011, "local", true])
      yield* peer.closeStatus
      assert.deepStrictEqual(scopes.map(finalizersIn), [0, 0])
      socket.link.addOwner(placeIn(scopes[0]))
      assert.strictEqual(finalizersIn(scopes[0]), 0)
      yield* Scope.close(scopes[0], Exit.void)
      assert.deepStrictEqual(outcome(yield* socket.closeStatus), [1011, 1011, "local", true])
    })
  )

  it.effect("a failure of the connection leaves no waiting fiber behind", () =>
    Effect.gen(function* () {
      const { pair, socket } = yield* alone("client", { sendHighWaterMark: 1, sendLowWaterMark: 1 })
      yield* from(pair, "client").stall
      const asked: ReadonlyArray<Effect.Effect<unknown, ConnectionError>> = [
        socket.receive,
        socket.send("a"),
        socket.send("b"),
        socket.ping()
      ]
      const waiting = yield* Effect.forEach(asked, (effect) => Effect.forkChild(Effect.flip(effect)))
      const streams = yield* Effect.forkChild(Stream.runDrain(Stream.merge(socket.pings, socket.pongs)))
      const closing = yield* Effect.forkChild(socket.closeStatus)
      yield* settled
      yield* pair.reset
      for (const fiber of waiting) assert.deepStrictEqual(fields(yield* Fiber.join(fiber)), resetError)
      yield* Fiber.join(streams)
      assert.deepStrictEqual(fields((yield* Fiber.join(closing)).error), resetError)
    })
  )
})

describe("compression on another thread", () => {
  const direction = { windowBits: 12, contextTakeover: true }
  const negotiated = {
    url: "",
    agreement: { protocol: undefined, extensions: [] },
    deflate: { extension: { name: "permessage-deflate", parameters: [] }, outbound: direction, inbound: direction }
  }

  interface Job {
    readonly size: number
    readonly dictionary: number
    readonly finish: (deflated?: "larger") => void
    cancelled: boolean
  }

  /** An endpoint whose large messages are deflated when the test says so, and its peer. */
  const deflating = (role: Role, options?: WebSocket.Options) =>
    Effect.gen(function* () {
      const jobs: Array<Job> = []
      const zlib: Zlib = {
        ...NodeZlib.zlib,
        deflateLater: (data, options, done) => {
          const finish = (result?: "larger") => done(result ? undefined : NodeZlib.zlib.deflate(data, options))
          const job = { size: data.length, dictionary: options.dictionary.length, finish, cancelled: false }
          jobs.push(job)
          return () => {
            job.cancelled = true
          }
        }
      }
      const pair = yield* MockTransport.make()
      const scope = yield* Effect.scope
      const settings = resolve({ ...options, compression: true }, zlib)
      const services = yield* timers
      const spied = spy(pair[role])
      const mode = { delivery: "messages" } as const
      const socket = makeWebSocket(role, spied.transport, settings, services, negotiated, mode, undefined)
      const peer = makeWebSocket(other(role), pair[other(role)], settings, services, negotiated, mode, undefined)
      socket.link.start(placeIn(scope))
      peer.link.start(placeIn(scope))
      yield* Effect.addFinalizer(() => pair.reset)
      const sent = Effect.map(from(pair, role).written, (bytes) =>
        frames({ role: other(role), rsv: 4 })(bytes).frames.map(({ opcode, payload, rsv }) =>
          `${rsv === 0 ? "" : "compressed "}${names[opcode]} ${rsv === 0 ? payload.length : ""}`.trim()
        )
      )
      return { pair, jobs, socket, peer, sent }
    })

  const names: Record<number, string> = { 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong" }
  const large = "large ".repeat(11_000)
  const larger = `${large}${large}`

  for (const role of roles) {
    it.effect(`begins at 64 KiB, unless the message is sent as it is, as ${role}`, () =>
      Effect.gen(function* () {
        const { jobs, sent, socket } = yield* deflating(role, { sendHighWaterMark: 1024 * 1024 })
        yield* socket.send(large.slice(0, 65_535))
        yield* socket.send(large, { compress: false })
        yield* socket.send("small")
        assert.deepStrictEqual(jobs, [])
        yield* Effect.forkChild(socket.send(large))
        yield* settled
        assert.lengthOf(jobs, 1)
        assert.deepStrictEqual(yield* sent, ["compressed text", `text ${large.length}`, "text 5"])
      })
    )

    it.effect(`holds back messages, not pings and pongs, as ${role}`, () =>
      Effect.gen(function* () {
        const { jobs, peer, sent, socket } = yield* deflating(role)
        const fibers = yield* Effect.forEach(["first", large, "second", larger, "third"], (data) =>
          Effect.forkChild(socket.send(data))
        )
        yield* settled
        assert.isTrue(yield* isPending(fibers[2]!))
        yield* socket.pong(new Uint8Array(3))
        yield* Effect.forkChild(peer.receive)
        yield* peer.ping(new Uint8Array(4))
        yield* socket.ping(new Uint8Array(5))
        assert.deepStrictEqual(yield* sent, ["text 5", "pong 3", "pong 4", "ping 5"])
        assert.deepStrictEqual(
          jobs.map(({ dictionary, size }) => [size, dictionary]),
          [[large.length, 0]]
        )
        jobs[0]!.finish()
        yield* settled
        assert.isTrue(yield* isPending(fibers[4]!))
        assert.deepStrictEqual(
          jobs.slice(1).map(({ dictionary, size }) => [size, dictionary]),
          [[larger.length, 4096]]
        )
        jobs[1]!.finish()
        yield* Effect.forEach(fibers, Fiber.join)
        yield* settled
        assert.deepStrictEqual((yield* sent).slice(4), ["compressed text", "text 6", "compressed text", "text 5"])
        for (const data of [large, "second", larger, "third"]) assert.strictEqual((yield* peer.receive).data, data)
      })
    )

    it.effect(`sends a message uncompressed if it does not become smaller, as ${role}`, () =>
      Effect.gen(function* () {
        const { jobs, peer, sent, socket } = yield* deflating(role)
        yield* Effect.forkChild(Effect.forEach([large, larger], (data) => socket.send(data)))
        yield* settled
        jobs[0]!.finish("larger")
        yield* settled
        jobs[1]!.finish()
        yield* settled
        assert.deepStrictEqual(yield* sent, [`text ${large.length}`, "compressed text"])
        assert.strictEqual(jobs[1]!.dictionary, 0)
        assert.strictEqual((yield* peer.receive).data, large)
        assert.strictEqual((yield* peer.receive).data, larger)
      })
    )

    it.effect(`sends nothing of a message whose send is interrupted, and goes on, as ${role}`, () =>
      Effect.gen(function* () {
        const { jobs, peer, sent, socket } = yield* deflating(role)
        const first = yield* Effect.forkChild(socket.send(large))
        const second = yield* Effect.forkChild(socket.send(larger))
        const third = yield* Effect.forkChild(socket.send("third"))
        yield* settled
        yield* Fiber.interrupt(first)
        assert.deepStrictEqual(
          jobs.map(({ cancelled, size }) => [size, cancelled]),
          [
            [large.length, true],
            [larger.length, false]
          ]
        )
        jobs[1]!.finish()
        yield* Fiber.join(second)
        yield* Fiber.join(third)
        yield* settled
        assert.deepStrictEqual(yield* sent, ["compressed text", "text 5"])
        assert.strictEqual((yield* peer.receive).data, larger)
      })
    )

    const endings: ReadonlyArray<
      readonly [string, (sockets: Sockets) => Effect.Effect<unknown, unknown>, Record<string, unknown>]
    > = [
      ["a Close", ({ socket }) => socket.close(4000, "enough"), closedError(4000, "local", false, "enough")],
      ["the peer's Close", ({ peer }) => peer.close(4001), closedError(4001, "remote", true)],
      [
        "the end of the scope",
        ({ socket }) => Effect.sync(() => socket.link.beginClose(1001)),
        closedError(1001, "local", false)
      ],
      ["an abort", ({ socket }) => socket.abort, closedError(1006, "local", false)]
    ]
    for (const [name, end, expected] of endings) {
      it.effect(`${name} is not held back, and drops unsent messages, as ${role}`, () =>
        Effect.gen(function* () {
          const { jobs, peer, sent, socket } = yield* deflating(role)
          const fibers = yield* Effect.forEach([large, "second"], (data) =>
            Effect.forkChild(Effect.flip(socket.send(data)))
          )
          yield* settled
          yield* end({ socket, peer })
          for (const fiber of fibers) assert.deepStrictEqual(fields(yield* Fiber.join(fiber)), expected)
          assert.deepStrictEqual(
            jobs.map(({ cancelled }) => cancelled),
            [true]
          )
          yield* settled
          assert.isTrue((yield* sent).every((frame) => frame.startsWith("close")))
        })
      )
    }

    it.effect(`does not begin before there is room, as ${role}`, () =>
      Effect.gen(function* () {
        const { jobs, pair, socket } = yield* deflating(role, { sendHighWaterMark: 1000 })
        yield* from(pair, role).stall
        yield* Effect.forkChild(socket.send(new Uint8Array(2000), { compress: false }))
        const sending = yield* Effect.forkChild(socket.send(large))
        yield* settled
        assert.deepStrictEqual(jobs, [])
        yield* from(pair, role).unstall
        yield* settled
        assert.lengthOf(jobs, 1)
        assert.isTrue(yield* isPending(sending))
        jobs[0]!.finish()
        yield* Fiber.join(sending)
      })
    )
  }

  interface Sockets {
    readonly socket: MessageWebSocketImpl
    readonly peer: MessageWebSocketImpl
  }
})
