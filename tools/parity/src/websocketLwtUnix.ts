/** L: websocket-lwt-unix, an OCaml library for Lwt and Cohttp. */
import {
  FrameWebSocket,
  StreamingWebSocket,
  UpgradeCheck,
  WebSocket,
  WebSocketClient,
  WebSocketServer
} from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import {
  Connection,
  Errors,
  Frame,
  FrameDecoder,
  FrameEncoder,
  Mask,
  Message,
  Opcode
} from "@effect-websocket/protocol"
import { Cause, Deferred, Effect, Fiber, HashMap, Layer, Logger, LogLevel, Stream } from "effect"
import * as Assert from "node:assert/strict"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import * as Net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { certificate } from "./certificate.js"
import { item, type Seed } from "./Item.js"
import { client, echo, server, serverOf } from "./Sockets.js"
import { answer, closePayload, dial, frameBytes, header, listen, upgradeRequest, utf8 } from "./Wire.js"

const clientMask = [1, 2, 3, 4]

/** A path for a Unix socket, in a folder of its own. */
const socketPath = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "parity-"))),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  ),
  (folder) => join(folder, "server.sock")
)

/** The wire of a connection whose server serves frames to a handler. */
const served = <A, E, R>(
  handler: (socket: WebSocketServer.ServerWebSocket<"frames">) => Effect.Effect<A, E, R>,
  options?: Omit<WebSocketServer.RunOptions<"frames", undefined, E, never>, "delivery">
) =>
  Effect.gen(function* () {
    const service = yield* serverOf()
    yield* service.serve(handler, { ...options, delivery: "frames" })
    const wire = yield* dial(service.address.port)
    wire.write(upgradeRequest())
    yield* wire.head
    return wire
  })

/** The head of what a server answers to a request. */
const answerTo = (service: { readonly address: WebSocketServer.Address }, ...lines: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const wire = yield* dial(service.address.port)
    wire.write(upgradeRequest("/chat?room=1", ...lines))
    return yield* wire.head
  })

export const websocketLwtUnix: Seed = {
  name: "websocket-lwt-unix",
  about: "OCaml, Lwt",
  items: [
    item("Client of (int -> string)", "a client masks, with the randomness that it is handed", () => {
      const source = { getRandomValues: (bytes: Uint8Array) => bytes.forEach((_, i) => (bytes[i] = 0xaa)) }
      const connection = Connection.make({ role: "client", maskKey: Mask.keys(source) })
      connection.send(Message.text("Hello"))
      Assert.deepEqual(
        Buffer.concat(connection.takeOutput()),
        Buffer.from(frameBytes(0x81, "Hello", [0xaa, 0xaa, 0xaa, 0xaa]))
      )
    }),
    item("Server", "a server does not mask, and requires that the client does", () => {
      const connection = Connection.make({ role: "server" })
      connection.send(Message.text("Hello"))
      Assert.deepEqual(Buffer.concat(connection.takeOutput()), Buffer.from(frameBytes(0x81, "Hello")))
      const [ended] = connection.receive(frameBytes(0x81, "Hello"))
      Assert.ok(ended?._tag === "Ended" && Errors.isProtocolError(ended.error))
      Assert.equal(ended.error.closeCode, 1002)
    }),
    item("make_read_frame ~mode ic oc", "one frame after another, unmasked", () => {
      const decode = FrameDecoder.frames({ role: "server" })
      const bytes = [...frameBytes(0x01, "a", clientMask), ...frameBytes(0x89, "p", clientMask)]
      const { frames, violation } = decode(Uint8Array.from(bytes))
      Assert.equal(violation, undefined)
      Assert.deepEqual(
        frames.map(({ fin, masked, opcode, payload }) => ({ fin, masked, opcode, payload })),
        [
          { fin: false, masked: true, opcode: Opcode.Text, payload: utf8("a") },
          { fin: true, masked: true, opcode: Opcode.Ping, payload: utf8("p") }
        ]
      )
    }),
    item(
      "make_read_frame ~mode ic oc",
      "a frame that breaks the protocol is answered with a Close, and reading fails",
      Effect.gen(function* () {
        const { socket, wire } = yield* server({ delivery: "frames" })
        wire.write(frameBytes(0x89, new Uint8Array(126), clientMask))
        Assert.equal((yield* Effect.flip(socket.receive))._tag, "Protocol_error")
        const { first, payload } = yield* wire.frame
        Assert.deepEqual([first, payload.subarray(0, 2)], [0x88, closePayload(1002)])
      })
    ),
    item("?buf", "buffers are used again without being handed in", () => {
      const connection = Connection.make({ role: "server" })
      const buffers = [0, 1, 2].map(() => {
        connection.send(Message.text("a"))
        const [bytes] = connection.takeOutput()
        connection.recycleOutput()
        return bytes?.buffer
      })
      Assert.ok(buffers[1] !== undefined && buffers[1] === buffers[2])
    }),
    item("write_frame_to_buf ~mode buf frame", "the bytes of a frame, masked by a client only", () => {
      const frame = Frame.text("Hello")
      Assert.deepEqual(FrameEncoder.encode(frame), frameBytes(0x81, "Hello"))
      Assert.deepEqual(FrameEncoder.encode(frame, 0x01020304), frameBytes(0x81, "Hello", clientMask))
      const buffer = new Uint8Array(20)
      const size = FrameEncoder.writeHeader(buffer, 3, FrameEncoder.firstByte(true, 0, Opcode.Text), 5, undefined)
      Assert.deepEqual([...buffer.subarray(3, size)], [0x81, 5])
    }),
    item(
      "Connected_client",
      "what the handler of a server gets: the request, the address, and what sends and receives",
      Effect.gen(function* () {
        const { socket, wire } = yield* server({}, "X-Room: blue")
        Assert.deepEqual([socket.request.url, socket.request.headers["x-room"]], ["/", "blue"])
        Assert.equal(socket.remoteAddress, "127.0.0.1")
        yield* socket.sendAll(["one", "two"])
        Assert.deepEqual([(yield* wire.frame).payload, (yield* wire.frame).payload], [utf8("one"), utf8("two")])
        wire.write(frameBytes(0x81, "back", clientMask))
        Assert.deepEqual(yield* socket.receive, Message.text("back"))
      })
    ),
    item(
      "Connected_client: extra handling",
      "around each client, whatever its handler does",
      Effect.gen(function* () {
        const service = yield* serverOf()
        const seen: Array<string> = []
        const left = yield* Deferred.make<void>()
        const around =
          <A, E, R>(handler: (socket: WebSocketServer.ServerWebSocket) => Effect.Effect<A, E, R>) =>
          (socket: WebSocketServer.ServerWebSocket) =>
            Effect.acquireUseRelease(
              Effect.sync(() => seen.push(`joined ${socket.request.url}`)),
              () => handler(socket),
              () =>
                Effect.zipRight(
                  Effect.sync(() => seen.push("left")),
                  Deferred.succeed(left, undefined)
                )
            )
        yield* service.serve(
          around(() => Effect.fail("refused")),
          { onError: () => Effect.void }
        )
        const socket = yield* WebSocketClient.connect(`${service.address.url}/blue`)
        Assert.equal((yield* socket.closeStatus).received?.code, 1011)
        yield* Deferred.await(left)
        Assert.deepEqual(seen, ["joined /blue", "left"])
      })
    ),
    item(
      "type conn",
      "a connection is told from other values, by what it delivers",
      Effect.gen(function* () {
        const messages = (yield* client()).socket
        const frames = (yield* client({ delivery: "frames" })).socket
        const streams = (yield* client({ delivery: "streams" })).socket
        for (const [guard, socket] of [
          [WebSocket.isWebSocket, messages],
          [FrameWebSocket.isFrameWebSocket, frames],
          [StreamingWebSocket.isStreamingWebSocket, streams]
        ] as const) {
          const values = [messages, frames, streams, { send: () => Effect.void }, undefined]
          Assert.deepEqual(
            values.filter((value) => guard(value)),
            [socket]
          )
        }
      })
    ),
    item(
      "write conn frame",
      "sends any frame, masked by a client",
      Effect.gen(function* () {
        const { socket, wire } = yield* client({ delivery: "frames" })
        yield* socket.send(Frame.binary(Uint8Array.of(1, 2), { fin: false }))
        yield* socket.send(Frame.ping("p"))
        const [one, two] = [yield* wire.frame, yield* wire.frame]
        Assert.deepEqual([one.first, one.masked, ...one.payload], [0x02, true, 1, 2])
        Assert.deepEqual([two.first, two.masked, two.payload], [0x89, true, utf8("p")])
      })
    ),
    item(
      "close_transport conn",
      "ends the transport, without a Close",
      Effect.gen(function* () {
        const { socket, wire } = yield* client()
        yield* socket.abort
        Assert.equal(yield* wire.rest, "")
        const { clean, sent } = yield* socket.closeStatus
        Assert.deepEqual([clean, sent], [false, undefined])
      })
    ),
    item(
      "connect client uri",
      "an open connection",
      Effect.gen(function* () {
        const socket = yield* WebSocketClient.connect(yield* echo())
        yield* socket.send("hello")
        Assert.deepEqual(yield* socket.receive, Message.text("hello"))
      })
    ),
    item(
      "connect ?extra_headers",
      "are sent with the request; those of the handshake cannot be replaced",
      Effect.gen(function* () {
        const { head } = yield* client({ headers: { "X-Token": "abc", Cookie: "a=1" } })
        Assert.deepEqual([header(head, "X-Token"), header(head, "Cookie")], ["abc", "a=1"])
        const options = { headers: { "Sec-WebSocket-Key": "mine" } }
        const error = yield* Effect.flip(WebSocketClient.connect("ws://127.0.0.1:1", options))
        Assert.ok(error._tag === "Protocol_error" && error.origin === "local")
      })
    ),
    item(
      "connect ?random_string",
      "the randomness of the handshake and of masking, which a test can hand in",
      Effect.gen(function* () {
        const random = { getRandomValues: (bytes: Uint8Array) => bytes.fill(0xaa) }
        const { head, socket, wire } = yield* client({ random })
        Assert.equal(header(head, "Sec-WebSocket-Key"), Buffer.alloc(16, 0xaa).toString("base64"))
        yield* socket.send("hello")
        const { key, payload } = yield* wire.frame
        Assert.deepEqual([[...key], payload], [[0xaa, 0xaa, 0xaa, 0xaa], utf8("hello")])
      })
    ),
    item(
      "connect client uri: the endpoint",
      "where the connection goes is apart from the URI, for one connection",
      Effect.gen(function* () {
        const path = yield* socketPath
        const unix = yield* listen({ path })
        const tcp = yield* listen()
        for (const [endpoint, listener] of [
          [{ socketPath: path }, unix],
          [{ createConnection: () => Net.connect(tcp.port, "127.0.0.1") }, tcp]
        ] as const) {
          const connecting = yield* Effect.fork(NodeWebSocketClient.connect("ws://example.com/chat", endpoint))
          const wire = yield* listener.next
          const head = yield* answer(wire)
          const socket = yield* Fiber.join(connecting)
          yield* Effect.addFinalizer(() => socket.abort)
          Assert.match(head, /^GET \/chat /)
          Assert.equal(header(head, "Host"), "example.com")
          yield* socket.send("hello")
          Assert.deepEqual((yield* wire.frame).payload, utf8("hello"))
        }
      })
    ),
    item(
      "connect ?ctx",
      "the authorities that a client trusts; others fail",
      Effect.gen(function* () {
        const tls = yield* certificate
        const server = yield* NodeWebSocketServer.make({ port: 0, host: "127.0.0.1", tls })
        yield* server.serve((socket) => socket.run((message) => socket.send(message)))
        const { url } = server.address
        const trusting = yield* NodeWebSocketClient.make({ tls: { ca: tls.cert } })
        const socket = yield* trusting.connect(url)
        yield* socket.send("over TLS")
        Assert.deepEqual(yield* socket.receive, Message.text("over TLS"))
        const error = yield* Effect.flip(WebSocketClient.connect(url))
        Assert.ok(error._tag === "Io_error")
        Assert.equal(error.reason, "CertificateSelfSigned")
      })
    ),
    item(
      "connect ?buf",
      "a message that arrives in pieces, and more than a buffer holds, arrives whole",
      Effect.gen(function* () {
        const { socket, wire } = yield* client()
        const data = "x".repeat(60_000)
        const bytes = frameBytes(0x81, data)
        for (const [start, end] of [
          [0, 1],
          [1, 3],
          [3, 30_000],
          [30_000, bytes.length]
        ])
          wire.write(bytes.subarray(start, end))
        Assert.deepEqual(yield* socket.receive, Message.text(data))
      })
    ),
    item(
      "establish_server ~mode handler",
      "a TCP server, and a handler for each connection, which fails for itself",
      Effect.gen(function* () {
        const service = yield* serverOf()
        yield* service.serve(
          (socket) =>
            socket.run((message) => (message.data === "fail" ? Effect.fail("as told") : socket.send(message))),
          { onError: () => Effect.void }
        )
        const one = yield* WebSocketClient.connect(service.address.url)
        const two = yield* WebSocketClient.connect(service.address.url)
        yield* one.send("fail")
        Assert.equal((yield* one.closeStatus).received?.code, 1011)
        yield* two.send("still here")
        Assert.deepEqual(yield* two.receive, Message.text("still here"))
      })
    ),
    item(
      "establish_server ?read_buf ?write_buf",
      "how much waits is an option: a peer that does not read holds up what is sent to it",
      Effect.gen(function* () {
        const { socket, wire } = yield* server({ sendHighWaterMark: 1024, sendLowWaterMark: 512 })
        wire.socket.pause()
        const sending = yield* Effect.fork(Effect.forever(socket.send("x".repeat(64 * 1024))))
        const waits = Effect.repeat(
          Effect.zipRight(
            Effect.promise(() => new Promise(setImmediate)),
            socket.bufferedBytes
          ),
          {
            until: (bytes) => bytes >= 1024
          }
        )
        Assert.ok((yield* waits) < 256 * 1024)
        yield* Fiber.interrupt(sending)
      })
    ),
    item(
      "establish_server ?timeout",
      "closes a connection on which nothing happens for that long",
      Effect.gen(function* () {
        const { socket, wire } = yield* server({ idleTimeout: "20 millis" })
        Assert.deepEqual((yield* wire.frame).payload.subarray(0, 2), closePayload(1001))
        wire.end(frameBytes(0x88, closePayload(1001), clientMask))
        Assert.equal((yield* socket.closeStatus).initiator, "local")
      })
    ),
    item(
      "establish_server ?on_exn",
      "is told what a handler failed with, and for which client",
      Effect.gen(function* () {
        const service = yield* serverOf()
        const told = yield* Deferred.make<readonly [unknown, string]>()
        yield* service.serve(() => Effect.fail("broken"), {
          onError: (cause, socket) => Deferred.succeed(told, [Cause.squash(cause), socket.request.url])
        })
        yield* WebSocketClient.connect(`${service.address.url}/blue`)
        Assert.deepEqual(yield* Deferred.await(told), ["broken", "/blue"])
      })
    ),
    item(
      "establish_server ?on_exn",
      "by default the exception is logged, with the client",
      Effect.gen(function* () {
        const service = yield* serverOf()
        const logged = yield* Deferred.make<readonly [string, unknown]>()
        const logger = Logger.make(({ annotations, cause, logLevel }) => {
          if (Cause.isEmpty(cause)) return
          Deferred.unsafeDone(logged, Effect.succeed([logLevel.label, HashMap.unsafeGet(annotations, "websocket.url")]))
        })
        yield* service
          .serve(() => Effect.fail("broken"))
          .pipe(Effect.provide(Logger.replace(Logger.defaultLogger, logger)), Logger.withMinimumLogLevel(LogLevel.All))
        yield* WebSocketClient.connect(`${service.address.url}/blue`)
        Assert.deepEqual(yield* Deferred.await(logged), ["WARN", "/blue"])
      })
    ),
    item(
      "check_origin_with_host",
      "is the check by default: pages of other hosts get 403, and programs without an Origin do not",
      Effect.gen(function* () {
        const service = yield* serverOf()
        yield* service.serve((socket) => socket.run(() => undefined))
        const own = `Origin: http://127.0.0.1`
        Assert.match(yield* answerTo(service, "Origin: https://evil.example"), /^HTTP\/1\.1 403 /)
        Assert.match(yield* answerTo(service, own), /^HTTP\/1\.1 101 /)
        Assert.match(yield* answerTo(service), /^HTTP\/1\.1 101 /)
      })
    ),
    item(
      "establish_server ?ctx ~mode (TLS)",
      "a server with a certificate",
      Effect.gen(function* () {
        const tls = yield* certificate
        const service = yield* NodeWebSocketServer.make({ port: 0, host: "127.0.0.1", tls })
        yield* service.serve((socket) => socket.send("secret"))
        Assert.match(service.address.url, /^wss:/)
        const trusting = yield* NodeWebSocketClient.make({ tls: { ca: tls.cert } })
        const socket = yield* trusting.connect(service.address.url)
        Assert.deepEqual(yield* socket.receive, Message.text("secret"))
      })
    ),
    item(
      "establish_server ~mode (Unix socket)",
      "listens on a path, which is gone when the server is",
      Effect.gen(function* () {
        const path = yield* socketPath
        yield* Effect.scoped(
          Effect.gen(function* () {
            const service = yield* NodeWebSocketServer.make({ socketPath: path })
            yield* service.serve((socket) => socket.run((message) => socket.send(message)))
            Assert.equal(service.address.socketPath, path)
            const wire = yield* dial(path)
            wire.write(upgradeRequest())
            yield* wire.head
            wire.write(frameBytes(0x81, "hello", clientMask))
            Assert.deepEqual((yield* wire.frame).payload, utf8("hello"))
            wire.socket.destroy()
            const socket = yield* WebSocketClient.connect(`${service.address.url}/`)
            yield* socket.send("again")
            Assert.deepEqual(yield* socket.receive, Message.text("again"))
          })
        )
        Assert.equal(existsSync(path), false)
      })
    ),
    item(
      "establish_server ?stop",
      "no more connections are accepted, and those that are open go on",
      Effect.gen(function* () {
        const service = yield* serverOf()
        yield* service.serve((socket) => socket.run((message) => socket.send(message)))
        const { url } = service.address
        const socket = yield* WebSocketClient.connect(url)
        yield* WebSocketServer.stop.pipe(Effect.provideService(WebSocketServer.WebSocketServer, service))
        const error = yield* Effect.flip(WebSocketClient.connect(url))
        Assert.ok(error._tag === "Io_error" && error.reason === "Connect")
        yield* socket.send("still here")
        Assert.deepEqual(yield* socket.receive, Message.text("still here"))
      })
    ),
    item(
      "establish_server ?check_request",
      "is asked before the upgrade, and a request that it refuses gets 403 Forbidden",
      Effect.gen(function* () {
        const service = yield* serverOf()
        const asked: Array<string> = []
        let handled = 0
        const handler = () => Effect.sync(() => handled++)
        const check = ({ headers, url }: UpgradeCheck.Request) =>
          Effect.sync(() => {
            asked.push(url)
            return headers["x-token"] === "abc" ? UpgradeCheck.accept() : UpgradeCheck.reject(403)
          })
        yield* Layer.build(
          WebSocketServer.layerHandler(handler, { check }).pipe(
            Layer.provide(Layer.succeed(WebSocketServer.WebSocketServer, service))
          )
        )
        Assert.match(yield* answerTo(service), /^HTTP\/1\.1 403 Forbidden\r\n/)
        Assert.equal(handled, 0)
        Assert.match(yield* answerTo(service, "X-Token: abc"), /^HTTP\/1\.1 101 /)
        Assert.deepEqual(asked, ["/chat?room=1", "/chat?room=1"])
      })
    ),
    item(
      "mk_frame_stream f",
      "a stream of frames, which ends at a Close",
      Effect.gen(function* () {
        const { socket, wire } = yield* client({ delivery: "frames" })
        wire.write(frameBytes(0x01, "a"))
        wire.write(frameBytes(0x80, "b"))
        wire.end(frameBytes(0x88, closePayload(1000)))
        const frames = yield* Stream.runCollect(socket.frames)
        Assert.deepEqual([...frames].map(Frame.format), [
          "Text 1 bytes 61",
          "Continuation fin 1 bytes 62",
          "Close fin 2 bytes 03 e8"
        ])
      })
    ),
    item(
      "establish_standard_server",
      "a Ping is answered with a Pong",
      Effect.gen(function* () {
        const wire = yield* served((socket) => socket.run(() => undefined))
        wire.write(frameBytes(0x89, "there?", clientMask))
        const { first, payload } = yield* wire.frame
        Assert.deepEqual([first, payload], [0x8a, utf8("there?")])
      })
    ),
    item(
      "establish_standard_server",
      "a Close is answered with a Close, and the server ends the transport",
      Effect.gen(function* () {
        const wire = yield* served((socket) => socket.run(() => undefined))
        wire.write(frameBytes(0x88, closePayload(1001), clientMask))
        const { first, payload } = yield* wire.frame
        Assert.deepEqual([first, payload], [0x88, closePayload(1001)])
        Assert.equal(yield* wire.rest, "")
      })
    ),
    item(
      "establish_standard_server",
      "all frames are passed to the handler",
      Effect.gen(function* () {
        const passed = yield* Deferred.make<ReadonlyArray<number>>()
        const opcodes: Array<number> = []
        const wire = yield* served((socket) =>
          Effect.zipRight(
            socket.run(({ opcode }) => {
              opcodes.push(opcode)
            }),
            Deferred.succeed(passed, opcodes)
          )
        )
        for (const [first, data] of [
          [0x01, "a"],
          [0x89, "p"],
          [0x8a, ""],
          [0x80, "b"],
          [0x88, ""]
        ] as const) {
          wire.write(frameBytes(first, data, clientMask))
        }
        Assert.deepEqual(yield* Deferred.await(passed), [0x1, 0x9, 0xa, 0x0, 0x8])
      })
    ),
    item(
      "establish_server",
      "without the automatic handling, the handler answers pings and the Close",
      Effect.gen(function* () {
        const wire = yield* served(
          (socket) =>
            socket.run(({ opcode, payload }) =>
              opcode === Opcode.Ping
                ? socket.send(Frame.pong(Uint8Array.from([...payload, 0x21])))
                : opcode === Opcode.Close
                  ? socket.send(Errors.getOrThrow(Frame.close(4001, "by hand")))
                  : Effect.void
            ),
          { answerPings: false, answerClose: false }
        )
        wire.write(frameBytes(0x89, "p", clientMask))
        const pong = yield* wire.frame
        Assert.deepEqual([pong.first, pong.payload], [0x8a, utf8("p!")])
        wire.write(frameBytes(0x88, closePayload(1000), clientMask))
        const close = yield* wire.frame
        Assert.deepEqual([close.first, close.payload], [0x88, closePayload(4001, "by hand")])
      })
    )
  ]
}
