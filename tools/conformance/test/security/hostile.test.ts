/** Hostile clients and servers over TCP. docs/security.md lists the bounds on each attack. */
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import type { ServerWebSocket } from "@effect-websocket/platform/WebSocketServer"
import * as Origin from "@effect-websocket/protocol/Origin"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Logger, type Scope } from "effect"
import * as Net from "node:net"
import { upgradeRequest } from "../../src/clauses/make.js"
import { binary, close, continuation, encode, ping, sentTo, unfinished } from "../../src/Frame.js"

const quiet = Logger.remove(Logger.defaultLogger)

const serve = (
  options: Partial<NodeWebSocketServer.PortOptions> = {},
  handler?: (socket: ServerWebSocket) => Effect.Effect<void>
) =>
  Effect.gen(function* () {
    const server = yield* NodeWebSocketServer.make({ port: 0, host: "127.0.0.1", ...options })
    const echo = (socket: ServerWebSocket) => Effect.ignore(socket.run((message) => socket.send(message)))
    yield* Effect.forkScoped(server.run(handler ?? echo))
    return server.address.port
  }).pipe(Effect.provide(quiet))

/** A socket, and all bytes that it has read so far. By default it reads from the beginning. */
interface Raw {
  readonly socket: Net.Socket
  readonly read: () => string
  readonly hasEnded: () => boolean
  /** Succeeds at any kind of end. */
  readonly ended: Effect.Effect<void>
}

const raw = (socket: Net.Socket, reads: boolean): Raw => {
  let text = ""
  let over = false
  const waiting: Array<() => void> = []
  const end = () => {
    over = true
    for (const resume of waiting.splice(0)) resume()
  }
  socket.setNoDelay(true)
  if (reads) {
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1")
    })
  }
  socket.on("end", end)
  socket.on("close", end)
  socket.on("error", end)
  return {
    socket,
    read: () => text,
    hasEnded: () => over,
    ended: Effect.async((resume) => {
      if (over) resume(Effect.void)
      else waiting.push(() => resume(Effect.void))
    })
  }
}

const connect = (port: number, { allowHalfOpen = false, reads = true } = {}): Effect.Effect<Raw, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<Raw>((resume) => {
      const socket = Net.connect({ port, host: "127.0.0.1", allowHalfOpen })
      const peer = raw(socket, reads)
      socket.once("connect", () => resume(Effect.succeed(peer)))
    }),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

const listen = (serveOne: (peer: Raw) => void): Effect.Effect<string, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.async<Net.Server>((resume) => {
        const server = Net.createServer((socket) => serveOne(raw(socket, true)))
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.async<void>((resume) => {
          server.close(() => resume(Effect.void))
        })
    ),
    (server) => {
      const address = server.address()
      return `ws://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
    }
  )

/** Runs in every turn of the event loop, until something ends it. */
const repeatedly = (step: () => boolean): Effect.Effect<void> =>
  Effect.async<void>((resume) => {
    let timer: NodeJS.Immediate
    const turn = () => {
      if (step()) timer = setImmediate(turn)
      else resume(Effect.void)
    }
    turn()
    return Effect.sync(() => clearImmediate(timer))
  })

const until = (holds: () => boolean) => repeatedly(() => !holds())

/** Writes a text byte by byte, one in each turn, as long as the other side stays. */
const trickle = ({ socket }: Raw, text: (index: number) => string): Effect.Effect<void> => {
  let index = 0
  return repeatedly(() => {
    if (!socket.writable) return false
    socket.write(text(index++), "latin1")
    return true
  })
}

const assertServes = (port: number) =>
  Effect.gen(function* () {
    const peer = yield* connect(port)
    peer.socket.write(Buffer.concat([Buffer.from(upgradeRequest()), sentTo("server", [binary("hello")])]))
    yield* until(() => peer.read().endsWith("\x82\x05hello"))
  }).pipe(Effect.scoped)

const opened = (port: number, reads = true) =>
  Effect.gen(function* () {
    const peer = yield* connect(port, { reads })
    peer.socket.write(upgradeRequest())
    return peer
  })

// Most of them wait for a timeout, `writeTimeout` for ten seconds: together, and each with a server of its own.
describe.concurrent("a hostile client", () => {
  it.scopedLive("sends an endless handshake byte by byte: it is dropped", () =>
    Effect.gen(function* () {
      const port = yield* serve({ handshakeTimeout: "500 millis" })
      const peer = yield* connect(port)
      peer.socket.write("GET / HTTP/1.1\r\nHost: a\r\nX: ")
      yield* trickle(peer, () => "x")
      yield* peer.ended
      assert.match(peer.read(), /^HTTP\/1\.1 (408|431) /)
      yield* assertServes(port)
    })
  )

  it.scopedLive(
    "leaves 2,000 handshakes half open: the oldest are dropped first, others are served, and finally all are dropped",
    () =>
      Effect.gen(function* () {
        const half = upgradeRequest().slice(0, 60)
        const halfOpen = (port: number, count: number) =>
          Effect.forEach(
            Array.from({ length: count }, (_, i) => i),
            (i) => Effect.tap(connect(port), ({ socket }) => Effect.sync(() => i % 2 === 0 && socket.write(half))),
            { concurrency: 100 }
          )
        const admission = { maxHandshakes: 100 }
        // Longer than it takes to connect all of them, also on a busy machine.
        const patient = yield* serve({ handshakeTimeout: "1 minute", admission })
        const peers = yield* halfOpen(patient, 2000)
        yield* until(() => peers.filter((peer) => !peer.hasEnded()).length <= 100)
        // The first ones. Of those that did not fit into the backlog of the listener, some are accepted late.
        assert.isTrue(peers.slice(0, 400).every((peer) => peer.hasEnded()))
        assert.isTrue(peers.every((peer) => peer.read() === ""))
        yield* assertServes(patient)
        const port = yield* serve({ handshakeTimeout: "1 second", admission })
        const late = yield* halfOpen(port, 100)
        yield* Effect.forEach(late, (peer) => peer.ended, { discard: true })
        assert.isTrue(late.every((peer) => peer.read().startsWith("HTTP/1.1 408 ")))
        yield* assertServes(port)
      })
  )

  it.scopedLive(
    "stays after 300 refused handshakes: the oldest sockets are dropped, and accepted connections stay",
    () =>
      Effect.gen(function* () {
        const admission = { maxConnections: 1, maxHandshakes: 50 }
        const port = yield* serve({ admission })
        const accepted = yield* opened(port)
        yield* until(() => accepted.read().includes("\r\n\r\n"))
        const requests = [upgradeRequest(), upgradeRequest({ Origin: "http://evil.example" })]
        const peers = yield* Effect.forEach(
          Array.from({ length: 300 }, (_, i) => i),
          // Clients that do not end their side when the server does.
          (i) =>
            Effect.tap(connect(port, { allowHalfOpen: true }), (peer) =>
              Effect.zipRight(
                Effect.sync(() => peer.socket.write(requests[i % 2] ?? "")),
                peer.ended
              )
            )
        )
        for (const peer of peers) assert.match(peer.read(), /^HTTP\/1\.1 (403|503) /)
        // A dropped socket resets a peer that still writes to it.
        yield* until(() => {
          const left = peers.filter(({ socket }) => socket.writable)
          for (const { socket } of left) socket.write("x")
          return left.length <= 50
        })
        assert.isTrue(peers.slice(250).every(({ socket }) => socket.writable))
        accepted.socket.write(sentTo("server", [binary("hello")]))
        yield* until(() => accepted.read().endsWith("\x82\x05hello"))
      })
  )

  it.scopedLive("sends more headers than Node keeps by default: none is lost, and the server goes on", () =>
    Effect.gen(function* () {
      const port = yield* serve()
      const fillers = "a:b\r\n".repeat(2500)
      const [line = "", rest = ""] = upgradeRequest().split(/(?<=^[^\n]*\n)/)
      const requests = [
        [`${line}${fillers}${rest}`, 101],
        [`${line}${rest.slice(0, -2)}${fillers}\r\n`, 101],
        // The header that announces a body is not lost either.
        [`${line}${rest.slice(0, -2)}${fillers}Content-Length: 5\r\n\r\n`, 400]
      ] as const
      for (const [request, status] of requests) {
        const peer = yield* connect(port)
        peer.socket.write(request)
        yield* until(() => peer.read().includes("\r\n"))
        assert.strictEqual(Number(peer.read().split(" ")[1]), status)
        peer.socket.destroy()
      }
      yield* assertServes(port)
    })
  )

  it.scopedLive("sends another request behind a refused one: it is not read", () =>
    Effect.gen(function* () {
      const port = yield* serve()
      for (const refused of [
        upgradeRequest({ "Sec-WebSocket-Version": "12" }),
        upgradeRequest({ Origin: "http://evil.example" }),
        upgradeRequest({ Connection: "keep-alive" })
      ]) {
        const peer = yield* connect(port)
        peer.socket.write(refused + upgradeRequest())
        yield* peer.ended
        assert.lengthOf(peer.read().match(/HTTP\/1\.1 /g) ?? [], 1)
        assert.notMatch(peer.read(), /HTTP\/1\.1 101/)
      }
    })
  )

  it.scopedLive("is a page of another site: it is refused with 403", () =>
    Effect.gen(function* () {
      const port = yield* serve()
      for (const origin of [
        "http://evil.example",
        "null",
        "http://127.0.0.1.evil.example",
        "http://127.0.0.1@evil.example",
        "http://evil.example/127.0.0.1",
        "http://127.0.0.1:1",
        "file://",
        "http://localhost"
      ]) {
        const peer = yield* connect(port)
        peer.socket.write(upgradeRequest({ Origin: origin }))
        yield* peer.ended
        assert.match(peer.read(), /^HTTP\/1\.1 403 /, origin)
      }
    })
  )

  it.scopedLive("is a page whose domain name points to this address: a list of origins refuses it", () =>
    Effect.gen(function* () {
      const port = yield* serve({ origin: Origin.allowList(["http://localhost:5173"]) })
      const peer = yield* connect(port)
      peer.socket.write(upgradeRequest({ Host: "evil.example", Origin: "http://evil.example" }))
      yield* peer.ended
      assert.match(peer.read(), /^HTTP\/1\.1 403 /)
    })
  )

  it.scopedLive("offers compression to a server without it: the offer is declined", () =>
    Effect.gen(function* () {
      const port = yield* serve()
      const peer = yield* connect(port)
      peer.socket.write(upgradeRequest({ "Sec-WebSocket-Extensions": "permessage-deflate" }))
      yield* until(() => peer.read().includes("\r\n\r\n"))
      assert.match(peer.read(), /^HTTP\/1\.1 101 /)
      assert.notMatch(peer.read(), /extensions/i)
    })
  )

  it.scopedLive("floods with pings and reads nothing: one pong waits for many pings", () =>
    Effect.gen(function* () {
      const accepted = yield* Deferred.make<ServerWebSocket>()
      const port = yield* serve({}, (socket) =>
        Effect.zipRight(
          Deferred.succeed(accepted, socket),
          Effect.ignore(
            Effect.raceFirst(
              Effect.forever(socket.send(new Uint8Array(65536))),
              socket.run(() => {})
            )
          )
        )
      )
      const { socket } = yield* opened(port, false)
      const { bufferedBytes, isOpen } = yield* Deferred.await(accepted)
      // Fills the buffers between the two, so that every pong waits in this process.
      const before = yield* Effect.repeat(Effect.zipRight(Effect.yieldNow(), bufferedBytes), {
        until: (bytes) => bytes >= 65536
      })
      const flood = Buffer.concat(Array.from({ length: 500 }, () => encode(ping("x".repeat(125)), true)))
      let most = 0
      // 32 MiB. The kernel holds a part of it.
      for (let i = 0; i < 500; i++) {
        socket.write(flood)
        yield* until(() => socket.writableLength === 0)
        most = Math.max(most, yield* bufferedBytes)
      }
      assert.isAtMost(most, before + 33 * 127)
      assert.isTrue(yield* isOpen)
    })
  )

  it.scopedLive("floods with Closes: it gets one Close and the end of TCP", () =>
    Effect.gen(function* () {
      const port = yield* serve()
      const peer = yield* opened(port)
      peer.socket.write(Buffer.concat(Array.from({ length: 10_000 }, () => encode(close(1000), true))))
      yield* peer.ended
      assert.isTrue(peer.read().endsWith("\r\n\r\n\x88\x02\x03\xe8"))
    })
  )

  it.scopedLive("floods with empty fragments: it is closed with 1009 at the limit", () =>
    Effect.gen(function* () {
      const port = yield* serve()
      const peer = yield* opened(port)
      peer.socket.write(encode(binary("", unfinished), true))
      peer.socket.write(Buffer.concat(Array.from({ length: 10_000 }, () => encode(continuation("", unfinished), true))))
      yield* peer.ended
      assert.include(peer.read(), "\x03\xf1The message has 1,025 frames; `limits.maxFragments` allows 1,024")
    })
  )

  it.scopedLive("never reads: it is dropped after writeTimeout, and others go on", () =>
    Effect.gen(function* () {
      const failed = yield* Deferred.make<unknown>()
      const port = yield* serve({ writeTimeout: "200 millis" }, (socket) =>
        Effect.forever(socket.send(new Uint8Array(65536))).pipe(
          Effect.catchAll((error) => Effect.asVoid(Deferred.succeed(failed, { ...error })))
        )
      )
      yield* opened(port, false)
      assert.deepInclude(yield* Deferred.await(failed), { _tag: "Io_error", reason: "Timeout", operation: "write" })
    })
  )

  it.scopedLive("never ends a message: it is closed after messageTimeout", () =>
    Effect.gen(function* () {
      const port = yield* serve({ messageTimeout: "200 millis" })
      const peer = yield* opened(port)
      yield* until(() => peer.read().includes("\r\n\r\n"))
      // One mebibyte that arrives byte by byte.
      peer.socket.write(encode(binary(new Uint8Array(1024 * 1024)), true).subarray(0, 14))
      yield* trickle(peer, () => "x")
      yield* peer.ended
      assert.include(peer.read().slice(-125), "\x03\xf0")
    })
  )
})

describe("a hostile server", () => {
  const dial = (url: string, options?: NodeWebSocketClient.Options) =>
    Effect.gen(function* () {
      const { connect } = yield* NodeWebSocketClient.make(options)
      return yield* Effect.flip(connect(url))
    }).pipe(Effect.scoped)

  it.scopedLive("answers byte by byte and never ends: the client gives up", () =>
    Effect.gen(function* () {
      const url = yield* listen((peer) => {
        peer.socket.write("HTTP/1.1 101 Switching Protocols\r\nX: ")
        Effect.runFork(trickle(peer, () => "x"))
      })
      const error = yield* dial(url, { openTimeout: "200 millis" })
      assert.strictEqual(error._tag, "Io_error")
      if (error._tag === "Io_error") assert.include(["Timeout", "HeadersTooLarge"], error.reason)
    })
  )

  it.scopedLive("answers with endless headers: the client gives up", () =>
    Effect.gen(function* () {
      const url = yield* listen(({ socket }) =>
        socket.write(`HTTP/1.1 101 Switching Protocols\r\nX: ${"x".repeat(65536)}`)
      )
      assert.deepInclude({ ...(yield* dial(url)) }, { _tag: "Io_error", reason: "HeadersTooLarge" })
    })
  )

  it.scopedLive("sends interim responses forever: the client gives up", () =>
    Effect.gen(function* () {
      const url = yield* listen((peer) => {
        Effect.runFork(trickle(peer, () => "HTTP/1.1 100 Continue\r\n\r\n"))
      })
      const error = yield* dial(url, { openTimeout: "200 millis" })
      assert.deepInclude({ ...error }, { _tag: "Io_error", reason: "Timeout", operation: "open" })
    })
  )

  it.scopedLive("refuses with an endless body: the client keeps 64 KiB of it", () =>
    Effect.gen(function* () {
      const url = yield* listen((peer) => {
        peer.socket.write("HTTP/1.1 403 Forbidden\r\n\r\n")
        Effect.runFork(trickle(peer, () => "x".repeat(16_384)))
      })
      const error = yield* dial(url)
      assert.strictEqual(error._tag, "Handshake_rejected")
      if (error._tag === "Handshake_rejected") {
        assert.isAtMost(error.body.length, 65_536)
        assert.isTrue(error.bodyTruncated)
      }
    })
  )

  it.scopedLive("redirects the client: it does not follow", () =>
    Effect.gen(function* () {
      let connections = 0
      const url = yield* listen(({ socket }) => {
        connections++
        socket.end(`HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n`)
      })
      assert.deepInclude({ ...(yield* dial(url)) }, { _tag: "Handshake_rejected", status: 302 })
      assert.strictEqual(connections, 1)
    })
  )
})
