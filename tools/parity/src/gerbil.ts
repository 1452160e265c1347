/** G: `:std/net/websocket` of Gerbil Scheme. */
import { WebSocketClient, type WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Connection, Errors, Frame, Message, Opcode, Subprotocol } from "@effect-websocket/protocol"
import { Effect, Fiber, Redacted } from "effect"
import * as Assert from "node:assert/strict"
import { once } from "node:events"
import { createServer } from "node:http"
import { certificate } from "./certificate.js"
import { item, type Seed } from "./Item.js"
import { client, echo, server, serverOf } from "./Sockets.js"
import { closePayload, dial, frameBytes, header, listen, upgradeRequest, utf8, type Wire } from "./Wire.js"

const clientMask = [9, 8, 7, 6]

/** What a caller passes that TypeScript does not check. */
const mistaken = (u: unknown): never => u as never

const endError = (events: ReadonlyArray<Connection.Event>): Errors.ConnectionError | undefined => {
  const last = events.at(-1)
  return last?._tag === "Ended" ? last.error : undefined
}

/** Answers a request with a status and headers. */
const respond = (wire: Wire, start: string, ...lines: ReadonlyArray<string>) =>
  Effect.tap(wire.head, () =>
    Effect.sync(() => wire.end([`HTTP/1.1 ${start}`, ...lines, "Content-Length: 0", "", ""].join("\r\n")))
  )

/** What a server answers to a request with these lines. */
const negotiate = (options: WebSocketServer.Options, ...lines: ReadonlyArray<string>) =>
  Effect.map(server(options, ...lines), ({ head, socket }) => ({
    answered: header(head, "Sec-WebSocket-Protocol"),
    protocol: socket.protocol
  }))

export const gerbil: Seed = {
  name: ":std/net/websocket",
  about: "Gerbil Scheme",
  items: [
    item(
      "(interface (WebSocket Socket) …)",
      "a socket sends and receives, has an address, and is closed",
      Effect.gen(function* () {
        const { socket, wire } = yield* server()
        Assert.equal(socket.remoteAddress, "127.0.0.1")
        wire.write(frameBytes(0x82, Uint8Array.of(1, 2), clientMask))
        Assert.deepEqual(yield* socket.receive, Message.binary(Uint8Array.of(1, 2)))
        yield* socket.send(Uint8Array.of(3))
        Assert.deepEqual((yield* wire.frame).payload, Uint8Array.of(3))
        yield* Effect.fork(socket.close())
        Assert.equal((yield* wire.frame).first, 0x88)
      })
    ),
    item("(defstruct message (data type partial?))", "one constructor for text and for bytes", () => {
      const made = [Message.make("hi"), Message.make(Uint8Array.of(1)), Message.make(Uint8Array.of(2).buffer)]
      Assert.deepEqual(
        made.map(({ _tag }) => _tag),
        ["Text", "Binary", "Binary"]
      )
      Assert.deepEqual(made[2] && Message.bytes(made[2]), Uint8Array.of(2))
    }),
    item("message data", "a string if the type is text or close", () => {
      Assert.equal(Message.text("grüße").data, "grüße")
      Assert.equal(Frame.toText(Frame.text("grüße")), "grüße")
      Assert.equal(Frame.toText(Errors.getOrThrow(Frame.close(1001, "bye"))), "bye")
      Assert.ok(Errors.isProtocolError(Frame.toText(Frame.binary(Uint8Array.of(0xff)))))
    }),
    item("message data", "bytes otherwise", () => {
      Assert.deepEqual(Message.binary(Uint8Array.of(1, 2)).data, Uint8Array.of(1, 2))
      for (const frame of [
        Frame.binary(Uint8Array.of(7)),
        Frame.ping(Uint8Array.of(7)),
        Frame.pong(Uint8Array.of(7))
      ]) {
        Assert.deepEqual(frame.payload, Uint8Array.of(7))
      }
    }),
    item("message data", "text or bytes of either kind, from one data", () => {
      Assert.deepEqual(Message.bytes(Message.make("€")), utf8("€"))
      Assert.deepEqual(Message.bytes(Message.make(new DataView(Uint8Array.of(1, 2, 3).buffer, 1))), Uint8Array.of(2, 3))
    }),
    item("message partial?", "whole by default; a partial message is a frame that is not the last", () => {
      Assert.equal(Frame.text("a").fin, true)
      Assert.equal(Frame.text("a", { fin: false }).fin, false)
      Assert.equal(Frame.continuation("b").fin, true)
      Assert.equal(Frame.make(Opcode.Binary).fin, true)
    }),
    item("(valid-message? msg)", "data of a wrong type is refused, and nothing is sent", () => {
      for (const construct of [Message.make, Message.text, Message.binary]) {
        for (const data of [3, null, undefined, { length: 3 }, [1, 2]]) {
          Assert.throws(() => construct(mistaken(data)), TypeError)
        }
      }
      Assert.throws(() => Message.text(mistaken(Uint8Array.of(1))), TypeError)
      Assert.throws(() => Message.binary(mistaken("text")), TypeError)
      const connection = Connection.make({ role: "server" })
      for (const message of [{ _tag: "Text", data: 3 }, { _tag: "Binary", data: "text" }, { data: 3 }, 3]) {
        Assert.throws(() => connection.send(mistaken(message)), TypeError)
      }
      Assert.equal(connection.outputBytes, 0)
      Assert.deepEqual(
        [Message.isMessage(Message.text("a")), Message.isMessage({ _tag: "Text", data: 3 })],
        [true, false]
      )
      Assert.deepEqual([Frame.isFrame(Frame.ping()), Frame.isFrame({ opcode: 9 })], [true, false])
    }),
    item(
      "(valid-message? msg)",
      "sending what is not a message is a defect, and the connection goes on",
      Effect.gen(function* () {
        const { socket, wire } = yield* server()
        for (const data of [3, { data: 3 }, null]) {
          const exit = yield* Effect.exit(socket.send(mistaken(data)))
          Assert.ok(exit._tag === "Failure" && exit.cause._tag === "Die")
        }
        yield* socket.send("next")
        Assert.deepEqual((yield* wire.frame).payload, utf8("next"))
      })
    ),
    item(
      "'binary",
      "a binary message, there and back",
      Effect.gen(function* () {
        const socket = yield* WebSocketClient.connect(yield* echo())
        yield* socket.send(Message.binary(Uint8Array.of(0, 255)))
        Assert.deepEqual(yield* socket.receive, Message.binary(Uint8Array.of(0, 255)))
      })
    ),
    item(
      "'text",
      "a textual message, there and back",
      Effect.gen(function* () {
        const socket = yield* WebSocketClient.connect(yield* echo())
        yield* socket.send(Message.text("grüße"))
        Assert.deepEqual(yield* socket.receive, Message.text("grüße"))
      })
    ),
    item(
      "'ping",
      "a ping message is seen, and the programmer replies with a pong",
      Effect.gen(function* () {
        const { socket, wire } = yield* server({ delivery: "frames", answerPings: false })
        wire.write(frameBytes(0x89, "there?", clientMask))
        const { opcode, payload } = yield* socket.receive
        Assert.deepEqual([opcode, payload], [Opcode.Ping, utf8("there?")])
        yield* socket.send(Frame.pong(utf8("mine")))
        Assert.deepEqual((yield* wire.frame).payload, utf8("mine"))
      })
    ),
    item(
      "'pong",
      "the reply to a ping",
      Effect.gen(function* () {
        const { socket, wire } = yield* server({ delivery: "frames" })
        yield* socket.send(Frame.ping("there?"))
        const { first, payload } = yield* wire.frame
        Assert.deepEqual([first, payload], [0x89, utf8("there?")])
        wire.write(frameBytes(0x8a, "there?", clientMask))
        const reply = yield* socket.receive
        Assert.deepEqual([reply.opcode, reply.payload], [Opcode.Pong, utf8("there?")])
      })
    ),
    item(
      "'close",
      "a close message is seen with its text, and the program closes the socket",
      Effect.gen(function* () {
        const { socket, wire } = yield* server({ delivery: "frames", answerClose: false })
        wire.write(frameBytes(0x88, closePayload(1000, "done"), clientMask))
        const frame = yield* socket.receive
        Assert.deepEqual([frame.opcode, Frame.toText(frame)], [Opcode.Close, "done"])
        Assert.equal(yield* socket.isOpen, true)
        yield* Effect.fork(socket.close(1000))
        const { first, payload } = yield* wire.frame
        Assert.deepEqual([first, payload], [0x88, closePayload(1000)])
      })
    ),
    item(
      "websocket-connect url",
      "an open WebSocket",
      Effect.gen(function* () {
        const { head, socket } = yield* client()
        Assert.match(head, /^GET \/ HTTP\/1\.1/)
        Assert.equal(yield* socket.isOpen, true)
      })
    ),
    item(
      "websocket-connect protocol:",
      "a comma-separated list of protocols, of which the server selects one",
      Effect.gen(function* () {
        const protocols = Errors.getOrThrow(Subprotocol.parse("graphql-ws, graphql-transport-ws"))
        const { head, socket } = yield* client({ protocols }, "Sec-WebSocket-Protocol: graphql-transport-ws")
        Assert.equal(header(head, "Sec-WebSocket-Protocol"), "graphql-ws, graphql-transport-ws")
        Assert.equal(socket.protocol, "graphql-transport-ws")
      })
    ),
    item(
      "websocket-connect redirect:",
      "follows redirects if it is asked to; otherwise the redirect is an error with the location",
      Effect.gen(function* () {
        const target = yield* echo()
        const listener = yield* listen()
        const redirected = (options: WebSocketClient.ConnectOptions) =>
          Effect.gen(function* () {
            const connecting = yield* Effect.fork(Effect.either(WebSocketClient.connect(listener.url, options)))
            yield* respond(yield* listener.next, "302 Found", `Location: ${target}`)
            return yield* Fiber.join(connecting)
          })
        const followed = yield* redirected({ maxRedirects: 1 })
        Assert.ok(followed._tag === "Right")
        yield* followed.right.send("there")
        Assert.deepEqual(yield* followed.right.receive, Message.text("there"))
        const refused = yield* redirected({})
        Assert.ok(refused._tag === "Left" && refused.left._tag === "Handshake_rejected")
        Assert.deepEqual([refused.left.reason, refused.left.headers["location"]], ["Redirect", target])
      })
    ),
    item(
      "websocket-connect headers:",
      "are sent with the request",
      Effect.gen(function* () {
        const { head } = yield* client({ headers: { "X-Token": "abc" } })
        Assert.equal(header(head, "X-Token"), "abc")
      })
    ),
    item(
      "websocket-connect cookies:",
      "are sent with the request, by name",
      Effect.gen(function* () {
        const { head } = yield* client({ cookies: { session: "abc", theme: "dark" } })
        Assert.equal(header(head, "Cookie"), "session=abc; theme=dark")
      })
    ),
    item(
      "websocket-connect params:",
      "are the query of the request, encoded, beside that of the URL",
      Effect.gen(function* () {
        const listener = yield* listen()
        yield* Effect.fork(WebSocketClient.connect(`${listener.url}/chat?a=1`, { query: { room: "blue sky", n: "2" } }))
        const head = yield* (yield* listener.next).head
        const [, target = ""] = head.split(" ")
        Assert.deepEqual(
          [...new URL(target, "http://x").searchParams],
          [
            ["a", "1"],
            ["room", "blue sky"],
            ["n", "2"]
          ]
        )
      })
    ),
    item(
      "websocket-connect auth:",
      "a name and a password, or a token",
      Effect.gen(function* () {
        const basic = yield* client({ auth: { username: "ann", password: Redacted.make("pass") } })
        Assert.equal(header(basic.head, "Authorization"), `Basic ${Buffer.from("ann:pass").toString("base64")}`)
        const bearer = yield* client({ auth: { token: Redacted.make("abc") } })
        Assert.equal(header(bearer.head, "Authorization"), "Bearer abc")
      })
    ),
    item(
      "websocket-connect ssl-context:",
      "whom one connection trusts; by default the authorities of the runtime",
      Effect.gen(function* () {
        const tls = yield* certificate
        const service = yield* NodeWebSocketServer.make({ port: 0, host: "127.0.0.1", tls })
        yield* service.serve((socket) => socket.run((message) => socket.send(message)))
        const socket = yield* NodeWebSocketClient.connect(service.address.url, { tls: { ca: tls.cert } })
        yield* socket.send("secret")
        Assert.deepEqual(yield* socket.receive, Message.text("secret"))
        Assert.equal((yield* Effect.flip(NodeWebSocketClient.connect(service.address.url)))._tag, "Io_error")
      })
    ),
    item(
      "websocket-connect timeout:",
      "bounds the whole opening, and is an error",
      Effect.gen(function* () {
        const listener = yield* listen()
        const error = yield* Effect.flip(WebSocketClient.connect(listener.url, { openTimeout: "20 millis" }))
        Assert.ok(error._tag === "Io_error")
        Assert.deepEqual([error.reason, error.operation], ["Timeout", "open"])
      })
    ),
    item(
      "websocket-connect max-frame-size:",
      "a larger frame is refused with 1009, a smaller one is not",
      Effect.gen(function* () {
        const { socket, wire } = yield* client({ limits: { maxFrameBytes: 10 } })
        wire.write(frameBytes(0x01, "0123456789"))
        wire.write(frameBytes(0x80, "0123456789"))
        Assert.deepEqual(yield* socket.receive, Message.text("01234567890123456789"))
        wire.write(frameBytes(0x81, "0123456789+"))
        const error = yield* Effect.flip(socket.receive)
        Assert.ok(error._tag === "Payload_too_large")
        Assert.deepEqual([error.limit, error.max, error.size], ["frame", 10, 11])
        Assert.deepEqual((yield* wire.frame).payload.subarray(0, 2), closePayload(1009))
      })
    ),
    item("default-max-frame-size", "1 MB: a header that announces more is refused", () => {
      const receive = (size: number) =>
        Connection.make({ role: "client", maskKey: () => 0 }).receive(
          Uint8Array.of(0x82, 127, 0, 0, 0, 0, size >> 24, size >> 16, size >> 8, size)
        )
      Assert.equal(endError(receive(1024 * 1024)), undefined)
      Assert.equal(endError(receive(1024 * 1024 + 1))?._tag, "Payload_too_large")
    }),
    item(
      "(websocket-request-handler continue select-protocol)",
      "upgrades requests of an HTTP server that answers others itself",
      Effect.gen(function* () {
        const http = createServer((_, response) => response.end("healthy"))
        yield* Effect.addFinalizer(() => Effect.sync(() => http.close()))
        const attached = yield* NodeWebSocketServer.attach(http)
        yield* attached.serve((socket) => socket.run((message) => socket.send(message)))
        yield* Effect.promise(() => once(http.listen(0, "127.0.0.1"), "listening"))
        const { url } = attached.address
        const response = yield* Effect.promise(() =>
          fetch(url.replace("ws:", "http:"), { headers: { Connection: "close" } }).then((response) => response.text())
        )
        Assert.equal(response, "healthy")
        const socket = yield* WebSocketClient.connect(url)
        yield* socket.send("hello")
        Assert.deepEqual(yield* socket.receive, Message.text("hello"))
      })
    ),
    item(
      "continue",
      "is called with the WebSocket after the upgrade, and is closed when it is done",
      Effect.gen(function* () {
        const service = yield* serverOf()
        yield* service.serve((socket) => socket.send("first"))
        const wire = yield* dial(service.address.port)
        wire.write(upgradeRequest())
        Assert.match(yield* wire.head, /^HTTP\/1\.1 101 /)
        Assert.deepEqual((yield* wire.frame).payload, utf8("first"))
        Assert.deepEqual((yield* wire.frame).payload, closePayload(1000))
        wire.end(frameBytes(0x88, closePayload(1000), clientMask))
        Assert.equal(yield* wire.rest, "")
      })
    ),
    item(
      "select-protocol",
      "takes the list that the client offers, and selects one",
      Effect.gen(function* () {
        const lists: Array<ReadonlyArray<string>> = []
        const protocols: Subprotocol.Selector = (offered) => {
          lists.push(offered)
          return offered[1]
        }
        const selected = yield* negotiate({ protocols }, "Sec-WebSocket-Protocol: a, b")
        Assert.deepEqual(lists, [["a", "b"]])
        Assert.deepEqual(selected, { answered: "b", protocol: "b" })
      })
    ),
    item(
      "select-protocol",
      "may select none",
      Effect.gen(function* () {
        const selected = yield* negotiate({ protocols: () => undefined }, "Sec-WebSocket-Protocol: a")
        Assert.deepEqual(selected, { answered: undefined, protocol: undefined })
      })
    ),
    item(
      "select-protocol",
      "is not invoked if the client does not specify a protocol",
      Effect.gen(function* () {
        let calls = 0
        const protocols = () => {
          calls++
          return "chat"
        }
        Assert.deepEqual(yield* negotiate({ protocols }), { answered: undefined, protocol: undefined })
        Assert.equal(calls, 0)
      })
    ),
    item(
      "websocket-request-handler max-frame-size:",
      "the largest frame that a server accepts",
      Effect.gen(function* () {
        const { socket, wire } = yield* server({ limits: { maxFrameBytes: 10 } })
        wire.write(frameBytes(0x82, new Uint8Array(11), clientMask))
        Assert.equal((yield* Effect.flip(socket.receive))._tag, "Payload_too_large")
        Assert.deepEqual((yield* wire.frame).payload.subarray(0, 2), closePayload(1009))
      })
    ),
    item(
      "WebSocket-send sock message",
      "a message above the maximum is an error: nothing of it is sent, and the connection goes on",
      Effect.gen(function* () {
        const { socket, wire } = yield* server({ maxSendBytes: 10 })
        for (const [data, size] of [
          [new Uint8Array(11), 11],
          ["€€€€", 12]
        ] as const) {
          const error = yield* Effect.flip(socket.send(data))
          Assert.ok(error._tag === "Payload_too_large")
          Assert.deepEqual([error.direction, error.max, error.size], ["outbound", 10, size])
        }
        yield* socket.send("0123456789")
        const { first, payload } = yield* wire.frame
        Assert.deepEqual([first, payload], [0x81, utf8("0123456789")])
      })
    ),
    item(
      "WebSocket-send-all sock message",
      "a message above the size of a frame is sent in fragments, as one of them is asked to be",
      Effect.gen(function* () {
        const { socket, wire } = yield* server()
        yield* socket.send("0123456789", { maxFrameSize: 4 })
        yield* socket.send("0123456789")
        const frames = [yield* wire.frame, yield* wire.frame, yield* wire.frame, yield* wire.frame]
        Assert.deepEqual(
          frames.map(({ first, payload }) => [first, payload]),
          [
            [0x01, utf8("0123")],
            [0x00, utf8("4567")],
            [0x80, utf8("89")],
            [0x81, utf8("0123456789")]
          ]
        )
      })
    ),
    item(
      "WebSocket-send-all sock message",
      "all messages of a connection with a frame size are fragmented, and arrive whole",
      Effect.gen(function* () {
        const service = yield* serverOf({ maxFrameSize: 4 })
        yield* service.serve((socket) => socket.run((message) => socket.send(message)))
        const socket = yield* WebSocketClient.connect(service.address.url, { recordFrames: true })
        yield* socket.send("0123456789")
        const message = yield* socket.receive
        Assert.equal(message.data, "0123456789")
        Assert.deepEqual(
          Message.frames(message)?.map(({ payload }) => payload.length),
          [4, 4, 2]
        )
      })
    ),
    item(
      "WebSocket-send sock message",
      "a partial message, and then the rest of it",
      Effect.gen(function* () {
        const { socket, wire } = yield* server({ delivery: "frames" })
        yield* socket.send(Frame.text("Hel", { fin: false }))
        yield* socket.send(Frame.continuation("lo"))
        const [one, two] = [yield* wire.frame, yield* wire.frame]
        Assert.deepEqual([one.first, one.payload, two.first, two.payload], [0x01, utf8("Hel"), 0x80, utf8("lo")])
      })
    ),
    item(
      "WebSocket-recv sock",
      "a partial message, before the rest of it has come",
      Effect.gen(function* () {
        const { socket, wire } = yield* server({ delivery: "frames" })
        wire.write(frameBytes(0x01, "Hel", clientMask))
        const part = yield* socket.receive
        Assert.deepEqual([part.fin, Frame.toText(part)], [false, "Hel"])
        wire.write(frameBytes(0x80, "lo", clientMask))
        const rest = yield* socket.receive
        Assert.deepEqual([rest.fin, Frame.toText(rest)], [true, "lo"])
      })
    ),
    item(
      "WebSocket-recv sock",
      "the next message, in order; a message above the limit is refused",
      Effect.gen(function* () {
        const { socket, wire } = yield* server({ limits: { maxMessageBytes: 4 } })
        wire.write(frameBytes(0x81, "one", clientMask))
        wire.write(frameBytes(0x81, "two", clientMask))
        wire.write(frameBytes(0x81, "three", clientMask))
        Assert.deepEqual([yield* socket.receive, yield* socket.receive], [Message.text("one"), Message.text("two")])
        const error = yield* Effect.flip(socket.receive)
        Assert.ok(error._tag === "Payload_too_large")
        Assert.deepEqual([error.size, error.max], [5, 4])
      })
    ),
    item(
      "WebSocket-recv-all sock maximum-message-size",
      "assembles partial messages up to a maximum of the call",
      Effect.gen(function* () {
        const { socket, wire } = yield* server()
        for (const [first, data] of [
          [0x01, "0123"],
          [0x00, "4567"],
          [0x80, "89"]
        ] as const) {
          wire.write(frameBytes(first, data, clientMask))
        }
        Assert.deepEqual(yield* socket.receiveWith({ maxMessageBytes: 10 }), Message.text("0123456789"))
      })
    ),
    item(
      "WebSocket-recv-all sock maximum-message-size",
      "more than that in total is an error",
      Effect.gen(function* () {
        const { socket, wire } = yield* server()
        wire.write(frameBytes(0x01, "0123456789", clientMask))
        wire.write(frameBytes(0x80, "+", clientMask))
        const error = yield* Effect.flip(socket.receiveWith({ maxMessageBytes: 10 }))
        Assert.ok(error._tag === "Payload_too_large")
        Assert.equal(error.max, 10)
      })
    ),
    item(
      "WebSocket-protocol sock",
      "the negotiated protocol, on both sides; none if none was asked for",
      Effect.gen(function* () {
        const asked = yield* negotiate({ protocols: ["chat.v2", "chat.v1"] }, "Sec-WebSocket-Protocol: chat.v1")
        Assert.deepEqual(asked, { answered: "chat.v1", protocol: "chat.v1" })
        const { socket } = yield* client()
        Assert.equal(socket.protocol, undefined)
      })
    ),
    item(
      "WebSocket-max-frame-size sock",
      "the sizes of a socket can be read, for what is received and for what is sent",
      Effect.gen(function* () {
        const { socket } = yield* server({ limits: { maxFrameBytes: 10 }, maxFrameSize: 20, maxSendBytes: 30 })
        Assert.deepEqual([socket.limits.maxFrameBytes, socket.maxFrameSize, socket.maxSendBytes], [10, 20, 30])
      })
    ),
    item(
      "WebSocket-max-frame-size sock",
      "a header of a frame that is larger is an error before its payload comes",
      () => {
        const connection = Connection.make({ role: "server", limits: { maxFrameBytes: 10 } })
        const error = endError(connection.receive(frameBytes(0x82, new Uint8Array(11), clientMask).subarray(0, 2)))
        Assert.ok(Errors.isPayloadTooLarge(error))
        Assert.deepEqual([error.limit, error.size, error.max], ["frame", 11, 10])
      }
    )
  ]
}
