/** Connections over streams of the app's, which has read the request itself. */
import * as ByteBudget from "@effect-websocket/platform/ByteBudget"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import * as Extension from "@effect-websocket/protocol/Extension"
import { isKey } from "@effect-websocket/protocol/Handshake"
import { Option } from "effect"
import * as Http2 from "node:http2"
import * as Net from "node:net"
import { Duplex, PassThrough, Transform, type DuplexOptions } from "node:stream"
import * as Tls from "node:tls"
import { Cause, Deferred, Effect, Fiber, Exit, Queue, Scope } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { interruptedAt } from "../scheduling.js"
import {
  acceptOfKey,
  childScope,
  closedFacts,
  closing,
  eventually,
  facts,
  first,
  frame,
  header,
  ioFacts,
  key,
  listen,
  noHandlesLeft,
  Peer,
  rawClient,
  readResponse,
  tls,
  upgradeRequest
} from "./support.js"

afterEach(noHandlesLeft)

/** The request that a stream begins with, and what came behind it. The stream is left as it is between two reads: paused. */
const readRequest = (duplex: Duplex): Effect.Effect<{ readonly request: string; readonly head: Buffer }> =>
  Effect.callback((resume) => {
    let bytes = Buffer.alloc(0)
    const onData = (chunk: Buffer): void => {
      bytes = Buffer.concat([bytes, chunk])
      const end = bytes.indexOf("\r\n\r\n")
      if (end < 0) return
      duplex.off("data", onData)
      duplex.pause()
      resume(Effect.succeed({ request: bytes.toString("latin1", 0, end + 4), head: bytes.subarray(end + 4) }))
    }
    duplex.on("data", onData)
  })

const keyOf = (request: string): string => header(request, "Sec-WebSocket-Key") ?? ""

/** A server of raw sockets, and what it accepts. */
const sockets = <S extends Net.Server>(server: S, event: "connection" | "secureConnection" = "connection") =>
  Effect.gen(function* () {
    const accepted = yield* Queue.unbounded<Net.Socket>()
    server.on(event, (socket: Net.Socket) => Queue.offerUnsafe(accepted, socket))
    const port = yield* listen(server)
    return { port, next: Queue.take(accepted) }
  })

/** Two ends of a way for bytes, in memory. */
const pair = (): readonly [Duplex, Duplex] => {
  const there = new PassThrough()
  const back = new PassThrough()
  return [Duplex.from({ readable: there, writable: back }), Duplex.from({ readable: back, writable: there })]
}

/** A client of the library's over one end of a pair. */
const clientOver = (duplex: Duplex, options?: WebSocketClient.ConnectOptions) =>
  WebSocketClient.connect("ws://localhost/chat", options).pipe(
    Effect.provide(NodeWebSocketClient.layerWith({ createConnection: () => duplex }))
  )

/** A stream that only takes what the server writes, and has what the test pushes. */
class Recorder extends Duplex {
  written = ""
  override _read(): void {}
  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.written += chunk.toString("latin1")
    done()
  }
}

const answer = (lines: ReadonlyArray<string> = []): string =>
  [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${acceptOfKey}`,
    ...lines,
    "\r\n"
  ].join("\r\n")

const text = (data: string): Buffer => frame(first.text, data, true)

describe("over TCP", () => {
  it.live("answers 101, keeps frames that came with the request, and closes at the end of the scope", () =>
    Effect.gen(function* () {
      const server = yield* sockets(Net.createServer())
      const peer = yield* rawClient(server.port)
      peer.write(
        Buffer.concat([
          Buffer.from(upgradeRequest({ "Sec-WebSocket-Protocol": "chat" })),
          text("one"),
          text("two"),
          text("three").subarray(0, 4)
        ])
      )
      const duplex = yield* server.next
      const { head, request } = yield* readRequest(duplex)
      const closed = yield* Effect.scoped(
        Effect.gen(function* () {
          const socket = yield* NodeWebSocketServer.fromDuplex(duplex, {
            key: keyOf(request),
            head,
            protocol: "chat",
            url: "/chat",
            limits: { maxMessageBytes: 1000 }
          })
          assert.strictEqual(yield* peer.until("\r\n\r\n"), answer(["Sec-WebSocket-Protocol: chat"]))
          assert.deepStrictEqual(
            [socket.protocol, socket.url, socket.remoteAddress, socket.limits.maxMessageBytes],
            ["chat", "/chat", "127.0.0.1", 1000]
          )
          peer.write(text("three").subarray(4))
          for (const data of ["one", "two", "three"]) assert.strictEqual((yield* socket.receive).data, data)
          yield* socket.send("hello")
          const { masked, payload } = yield* peer.frame
          assert.deepStrictEqual([masked, payload.toString()], [false, "hello"])
          return yield* Effect.forkDetach(peer.farewell)
        })
      )
      assert.deepStrictEqual((yield* Fiber.join(closed)).payload, closing(1000))
    })
  )

  it.live("obeys the limits, and fails with a reset", () =>
    Effect.gen(function* () {
      const server = yield* sockets(Net.createServer())
      const accept = Effect.gen(function* () {
        const peer = yield* rawClient(server.port)
        const duplex = yield* server.next
        const socket = yield* NodeWebSocketServer.fromDuplex(duplex, { key, limits: { maxMessageBytes: 10 } })
        yield* peer.until("\r\n\r\n")
        return { peer, socket }
      })
      const large = yield* accept
      large.peer.write(text("x".repeat(11)))
      assert.strictEqual((yield* Effect.flip(large.socket.receive))._tag, "Payload_too_large")
      assert.deepStrictEqual((yield* large.peer.frame).payload.readUInt16BE(), 1009)
      yield* large.socket.abort
      const reset = yield* accept
      reset.peer.reset()
      assert.deepStrictEqual(facts(yield* Effect.flip(reset.socket.receive)), ioFacts("Reset", "read"))
    })
  )

  it.live("has the delivery of its options", () =>
    Effect.gen(function* () {
      const server = yield* sockets(Net.createServer())
      const peer = yield* rawClient(server.port)
      const options = { key, delivery: "frames", answerPings: false } as const
      const socket = yield* NodeWebSocketServer.fromDuplex(yield* server.next, options)
      yield* peer.until("\r\n\r\n")
      peer.write(frame(first.ping, "p", true))
      const received = yield* socket.receive
      assert.deepStrictEqual([received.opcode, Buffer.from(received.payload).toString()], [9, "p"])
      yield* socket.abort
    })
  )
})

it.live("over TLS, with a client of the library's", () =>
  Effect.gen(function* () {
    const server = yield* sockets(Tls.createServer(tls), "secureConnection")
    const client = yield* Effect.forkChild(
      WebSocketClient.connect(`wss://localhost:${server.port}/chat`).pipe(
        Effect.provide(NodeWebSocketClient.layerWith({ tls: { ca: tls.cert } }))
      )
    )
    const duplex = yield* server.next
    const { head, request } = yield* readRequest(duplex)
    const socket = yield* NodeWebSocketServer.fromDuplex(duplex, { key: keyOf(request), head })
    const connected = yield* Fiber.join(client)
    yield* connected.send("secret")
    assert.strictEqual((yield* socket.receive).data, "secret")
    yield* Effect.all([connected.close(4000), socket.closeStatus], { concurrency: 2 })
    assert.deepStrictEqual((yield* socket.closeStatus).received, { code: 4000, reason: "" })
  })
)

it.live("over a stream of HTTP/2, as through a tunnel", () =>
  Effect.gen(function* () {
    const streams = yield* Queue.unbounded<Http2.ServerHttp2Stream>()
    const server = Http2.createServer()
    server.on("stream", (stream: Http2.ServerHttp2Stream) => {
      stream.respond({ ":status": 200 })
      Queue.offerUnsafe(streams, stream)
    })
    const port = yield* listen(server)
    const session = yield* Effect.acquireRelease(
      Effect.sync(() => Http2.connect(`http://127.0.0.1:${port}`)),
      (session) => Effect.sync(() => session.destroy())
    )
    const tunnel = session.request({ ":method": "CONNECT", ":authority": "localhost" }, { endStream: false })
    const client = yield* Effect.forkChild(clientOver(tunnel))
    const duplex = yield* Queue.take(streams)
    const { head, request } = yield* readRequest(duplex)
    const socket = yield* NodeWebSocketServer.fromDuplex(duplex, { key: keyOf(request), head })
    const connected = yield* Fiber.join(client)
    yield* connected.send("x".repeat(300_000))
    assert.strictEqual((yield* socket.receive).data.length, 300_000)
    yield* socket.send("back")
    assert.strictEqual((yield* connected.receive).data, "back")
    yield* Effect.all([connected.close(), socket.closeStatus], { concurrency: 2 })
  })
)

describe("over a pair in memory", () => {
  for (const [name, extensions] of Object.entries({
    "one value": (offered: string) => offered,
    "several lines": (offered: string) => ["x-unknown", offered],
    parsed: () => [Extension.make("permessage-deflate", [["client_max_window_bits", true]])]
  })) {
    it.live(`compresses if the client offers it, as ${name}`, () =>
      Effect.gen(function* () {
        const [near, far] = pair()
        const client = yield* Effect.forkChild(clientOver(far, { compression: true }))
        const { head, request } = yield* readRequest(near)
        const offered = header(request, "Sec-WebSocket-Extensions") ?? ""
        assert.include(offered, "permessage-deflate")
        const socket = yield* NodeWebSocketServer.fromDuplex(near, {
          key: keyOf(request),
          head,
          compression: { threshold: 0 },
          extensions: extensions(offered)
        })
        const connected = yield* Fiber.join(client)
        for (const { extensions } of [socket, connected])
          assert.isTrue(Extension.includes(extensions, "permessage-deflate"))
        const data = "compress me ".repeat(1000)
        yield* socket.send(data)
        assert.strictEqual((yield* connected.receive).data, data)
        yield* connected.send(data)
        assert.strictEqual((yield* socket.receive).data, data)
        yield* Effect.all([connected.close(), socket.closeStatus], { concurrency: 2 })
      })
    )
  }

  it.live("agrees on no extension that is not offered or not wanted", () =>
    Effect.gen(function* () {
      const offer = "permessage-deflate"
      for (const options of [
        { extensions: offer },
        { extensions: offer, compression: false },
        { compression: true },
        { compression: true, extensions: "" },
        { compression: true, extensions: [] },
        { compression: true, extensions: "x-other" },
        { compression: true, extensions: `${offer}; unknown_parameter` }
      ]) {
        const duplex = new Recorder()
        const socket = yield* NodeWebSocketServer.fromDuplex(duplex, { key, ...options })
        assert.strictEqual(duplex.written, answer())
        assert.deepStrictEqual(socket.extensions, [])
        yield* socket.abort
      }
    })
  )
})

describe("a stream that is handed over", () => {
  const states: Readonly<Record<string, (duplex: Duplex) => void>> = {
    untouched: () => {},
    paused: (duplex) => void duplex.pause(),
    "no longer piped": (duplex) => {
      const elsewhere = new PassThrough()
      duplex.pipe(elsewhere)
      duplex.unpipe(elsewhere)
    },
    "no longer read by chunks": (duplex) => {
      const listener = (): void => {}
      duplex.on("readable", listener)
      duplex.off("readable", listener)
    }
  }
  for (const [name, prepare] of Object.entries(states)) {
    for (const [kind, buffered] of [
      ["with what it has read", true],
      ["with nothing read", false]
    ] as const) {
      it.live(`${name}, ${kind}, is read on`, () =>
        Effect.gen(function* () {
          const duplex = new Recorder()
          prepare(duplex)
          if (buffered) duplex.push(text("two"))
          const socket = yield* NodeWebSocketServer.fromDuplex(duplex, { key, head: text("one") })
          if (!buffered) duplex.push(text("two"))
          duplex.push(text("three"))
          for (const data of ["one", "two", "three"]) assert.strictEqual((yield* socket.receive).data, data)
          yield* socket.abort
        })
      )
    }
  }

  it.live("within its last read, keeps the bytes behind the request, even if others still listen", () =>
    Effect.gen(function* () {
      const duplex = new Recorder()
      const opened = yield* Deferred.make<string>()
      const scope = yield* Effect.scope
      // It listens on, and never pauses.
      duplex.on("data", (bytes: Buffer) => {
        const end = bytes.indexOf("\r\n\r\n") + 4
        if (end < 4) return
        const head = bytes.subarray(end)
        Effect.runFork(
          NodeWebSocketServer.fromDuplex(duplex, { key, head }).pipe(
            Effect.flatMap((socket) => socket.receive),
            Effect.flatMap(({ data }) => Deferred.succeed(opened, String(data))),
            Scope.provide(scope)
          )
        )
      })
      duplex.push(Buffer.concat([Buffer.from(upgradeRequest()), text("early")]))
      assert.strictEqual(yield* Deferred.await(opened), "early")
      duplex.destroy()
    })
  )

  it.live("may reuse its memory", () =>
    Effect.gen(function* () {
      const memory = Buffer.alloc(64)
      const duplex = new Recorder()
      const socket = yield* NodeWebSocketServer.fromDuplex(duplex, { key })
      for (const data of ["one", "two", "three"]) {
        const size = text(data).copy(memory)
        duplex.push(memory.subarray(0, size))
        yield* eventually(() => duplex.readableLength === 0)
      }
      for (const data of ["one", "two", "three"]) assert.strictEqual((yield* socket.receive).data, data)
      yield* socket.abort
    })
  )
})

describe("a request that cannot be accepted", () => {
  const refused: Readonly<Record<string, Omit<NodeWebSocketServer.DuplexOptions, "delivery">>> = {
    "a key that is none": { key: "c2hvcnQ=" },
    "an empty key": { key: "" },
    "a protocol that is no token": { key, protocol: "a b" },
    "a protocol with a line break": { key, protocol: "a\r\nX: y" },
    "an empty protocol": { key, protocol: "" },
    "malformed extensions": { key, extensions: "permessage-deflate; =" },
    "malformed extensions in one of several lines": { key, extensions: ["x-ok", "a b"] },
    "an extension that is no token": { key, extensions: [Extension.make("a b")] }
  }
  for (const [name, options] of Object.entries(refused)) {
    it.live(`${name} is a local error, and the app answers`, () =>
      Effect.gen(function* () {
        const server = yield* sockets(Net.createServer())
        const peer = yield* rawClient(server.port)
        const duplex = yield* server.next
        const error = yield* Effect.flip(NodeWebSocketServer.fromDuplex(duplex, options))
        assert.deepInclude(facts(error), { _tag: "Protocol_error", origin: "local", closeCode: undefined })
        duplex.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\n\r\nmine")
        const { body, status } = yield* readResponse(peer)
        assert.deepStrictEqual([status, body], [400, "mine"])
        peer.end()
      })
    )
  }

  const ended: Readonly<Record<string, (duplex: Recorder) => Effect.Effect<unknown>>> = {
    "has ended": (duplex) => {
      duplex.push(null)
      duplex.resume()
      return eventually(() => duplex.readableEnded)
    },
    "has ended while it was paused": (duplex) => Effect.sync(() => void duplex.pause().push(null)),
    "is written to the end": (duplex) => Effect.sync(() => duplex.end()),
    "is destroyed": (duplex) => Effect.sync(() => duplex.destroy()),
    "has failed": (duplex) => {
      duplex.on("error", () => {})
      return Effect.sync(() => duplex.destroy(new Error("broken")))
    }
  }
  for (const [name, end] of Object.entries(ended)) {
    it.live(`a stream that ${name} is an IoError, and nothing is written`, () =>
      Effect.gen(function* () {
        const duplex = new Recorder()
        yield* end(duplex)
        const error = yield* Effect.flip(NodeWebSocketServer.fromDuplex(duplex, { key }))
        assert.deepStrictEqual(facts(error), ioFacts("Reset", "handshake"))
        assert.strictEqual(duplex.written, "")
      })
    )
  }

  it.live("more than the budget is an IoError, and nothing is written", () =>
    Effect.gen(function* () {
      const budget = yield* ByteBudget.make(1)
      const holder = new Recorder()
      const holding = yield* NodeWebSocketServer.fromDuplex(holder, { key, budget })
      holder.push(text("more than a byte"))
      yield* Effect.repeat(Effect.andThen(Effect.yieldNow, budget.usage), { until: (usage) => usage.isExhausted })
      const duplex = new Recorder()
      const error = yield* Effect.flip(NodeWebSocketServer.fromDuplex(duplex, { key, budget }))
      assert.deepStrictEqual(facts(error), ioFacts("Budget", "accept"))
      assert.strictEqual(duplex.written, "")
      yield* holding.abort
    })
  )

  const noBytes: Readonly<Record<string, () => Duplex>> = {
    "in object mode": () => new PassThrough({ objectMode: true }),
    "that is read in object mode": () => new Transform({ readableObjectMode: true }),
    "that is written in object mode": () => new Transform({ writableObjectMode: true }),
    "of an async function": () =>
      Duplex.from(async function* (source: AsyncIterable<unknown>) {
        yield* source
      }),
    "with an encoding": () => new PassThrough().setEncoding("utf8")
  }
  for (const [name, make] of Object.entries(noBytes)) {
    it.live(`a stream ${name} is a defect, and nothing is written`, () =>
      Effect.gen(function* () {
        const duplex = make()
        const exit = yield* Effect.exit(NodeWebSocketServer.fromDuplex(duplex, { key }))
        const defect = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : undefined
        assert.instanceOf(defect, TypeError)
        assert.strictEqual(duplex.writableLength + duplex.readableLength, 0)
        duplex.destroy()
      })
    )
  }

  it.live("a stream that carries a WebSocket is a defect, and nothing is written", () =>
    Effect.gen(function* () {
      const duplex = new Recorder()
      const socket = yield* NodeWebSocketServer.fromDuplex(duplex, { key, closeTimeout: 1 })
      const { written } = duplex
      const exit = yield* Effect.exit(NodeWebSocketServer.fromDuplex(duplex, { key }))
      const defect = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.dieOption(exit.cause)) : undefined
      assert.instanceOf(defect, TypeError)
      assert.strictEqual(duplex.written, written)
      assert.isTrue(yield* socket.isOpen)
      // The connection notices it as if nobody had tried.
      duplex.destroy(new Error("broken"))
      assert.strictEqual((yield* Effect.flip(socket.receive))._tag, "Io_error")
    })
  )

  it.live("options that make no sense are a defect, and nothing is written", () =>
    Effect.gen(function* () {
      const duplex = new Recorder()
      const exit = yield* Effect.exit(NodeWebSocketServer.fromDuplex(duplex, { key, closeTimeout: 0 }))
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.strictEqual(duplex.written, "")
    })
  )
})

describe("errors of the stream", () => {
  it.live("end no process: before the effect runs, after a refusal, and while it is open", () =>
    Effect.gen(function* () {
      const before = new Recorder()
      const accepting = NodeWebSocketServer.fromDuplex(before, { key })
      before.destroy(new Error("before"))
      assert.deepStrictEqual(facts(yield* Effect.flip(accepting)), ioFacts("Reset", "handshake"))

      const refused = new Recorder()
      yield* Effect.flip(NodeWebSocketServer.fromDuplex(refused, { key: "" }))
      refused.destroy(new Error("refused"))
      yield* eventually(() => refused.closed)

      const open = new Recorder()
      const socket = yield* NodeWebSocketServer.fromDuplex(open, { key })
      open.destroy(new Error("open"))
      const error = yield* Effect.flip(socket.receive)
      assert.deepStrictEqual(facts(error), ioFacts("Reset", "read"))
      // Another one, late.
      open.emit("error", new Error("again"))
    })
  )

  it.live("thrown by its methods fail the connection", () =>
    Effect.gen(function* () {
      for (const failing of [1, 2]) {
        let writes = 0
        const duplex = new Duplex({
          read() {},
          write(_chunk, _encoding, done) {
            if (++writes === failing) throw new Error("thrown")
            done()
          }
        })
        const socket = yield* NodeWebSocketServer.fromDuplex(duplex, { key })
        const sent = yield* Effect.exit(Effect.andThen(socket.send("a"), socket.receive))
        assert.isTrue(Exit.isFailure(sent))
        const { error } = yield* socket.closeStatus
        assert.strictEqual(error._tag, "Io_error")
        assert.isTrue(duplex.destroyed)
      }
    })
  )
})

describe("a stream of an uncommon kind", () => {
  const kinds: Readonly<Record<string, DuplexOptions>> = {
    "that never tells it is closed": { emitClose: false },
    "that does not destroy itself": { autoDestroy: false },
    "that is never destroyed to the end": { destroy() {} }
  }
  for (const [name, options] of Object.entries(kinds)) {
    it.live(`${name} has an end`, () =>
      Effect.gen(function* () {
        const make = () => new Duplex({ read() {}, write: (_chunk, _encoding, done) => done(), ...options })
        const closing = make()
        const closed = yield* NodeWebSocketServer.fromDuplex(closing, { key })
        closing.push(frame(first.close, Buffer.from([0x03, 0xe8]), true))
        closing.push(null)
        const { clean, received } = yield* closed.closeStatus
        assert.deepStrictEqual([clean, received?.code], [true, 1000])
        assert.isTrue(closing.destroyed)
        const dropped = make()
        const aborted = yield* NodeWebSocketServer.fromDuplex(dropped, { key })
        yield* aborted.abort
        assert.isFalse((yield* aborted.closeStatus).clean)
        assert.isTrue(dropped.destroyed)
      })
    )
  }

  it.live("that is corked is written to", () =>
    Effect.gen(function* () {
      const duplex = new Recorder()
      duplex.cork()
      duplex.cork()
      const socket = yield* NodeWebSocketServer.fromDuplex(duplex, { key })
      assert.strictEqual(duplex.written, answer())
      yield* socket.abort
    })
  )
})

it.live("the end of the peer ends the connection", () =>
  Effect.gen(function* () {
    const duplex = new Recorder()
    const socket = yield* NodeWebSocketServer.fromDuplex(duplex, { key })
    duplex.push(text("last"))
    duplex.push(null)
    assert.strictEqual((yield* socket.receive).data, "last")
    assert.deepStrictEqual(facts(yield* Effect.flip(socket.receive)), closedFacts(1006, "remote", false))
  })
)

it.live("interrupted between any two operations, it has written nothing, or its scope closes what it opened", () =>
  Effect.gen(function* () {
    assert.isTrue(isKey(key))
    const seen = new Set<string>()
    for (let k = 1; ; k++) {
      const duplex = new Recorder()
      const scope = yield* Scope.make()
      const { exit, isInterrupted } = yield* interruptedAt(
        k,
        NodeWebSocketServer.fromDuplex(duplex, { key, closeTimeout: "1 seconds" }).pipe(Scope.provide(scope))
      )
      const { written } = duplex
      const release = yield* Effect.forkChild(Scope.close(scope, Exit.interrupt()))
      if (written === "") assert.isFalse(duplex.destroyed)
      else {
        yield* eventually(() => duplex.written !== written)
        assert.strictEqual(duplex.written, written + frame(first.close, closing(1001), false).toString("latin1"))
        duplex.push(frame(first.close, closing(1001), true))
      }
      duplex.push(null)
      yield* Fiber.join(release)
      seen.add(`${written === "" ? "nothing" : "open"} ${exit._tag}`)
      duplex.destroy()
      if (!isInterrupted) break
    }
    assert.includeMembers([...seen], ["nothing Failure", "open Success"])
  })
)

it.live("a scope that has ended closes it at once", () =>
  Effect.gen(function* () {
    const scope = yield* childScope
    yield* Scope.close(scope, Exit.void)
    const [near, far] = pair()
    const peer = new Peer(Object.assign(far, { setNoDelay: () => far }) as unknown as Net.Socket)
    const socket = yield* Scope.provide(NodeWebSocketServer.fromDuplex(near, { key }), scope)
    yield* peer.until("\r\n\r\n")
    assert.deepStrictEqual((yield* peer.frame).payload, closing(1001))
    yield* socket.abort
  })
)
