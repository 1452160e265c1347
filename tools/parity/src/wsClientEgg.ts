/** C: ws-client, a CHICKEN Scheme egg. */
import { WebSocket, WebSocketClient } from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import {
  CloseCode,
  Connection,
  Errors,
  Extension,
  Frame,
  FrameDecoder,
  Message,
  Opcode,
  PermessageDeflate
} from "@effect-websocket/protocol"
import { Effect, Fiber, Option } from "effect"
import * as Assert from "node:assert/strict"
import { certificate } from "./certificate.js"
import { item, type Seed } from "./Item.js"
import { client, echo, serverOf } from "./Sockets.js"
import { answer, closePayload, frameBytes, header, listen, utf8 } from "./Wire.js"

const reasons = [
  [1000, "NormalClosure"],
  [1001, "GoingAway"],
  [1002, "ProtocolError"],
  [1003, "UnsupportedData"],
  [1005, "NoStatusReceived"],
  [1006, "AbnormalClosure"],
  [1007, "InvalidPayloadData"],
  [1008, "PolicyViolation"],
  [1009, "MessageTooBig"],
  [1010, "MandatoryExtension"],
  [1011, "InternalError"],
  [1015, "TlsHandshake"]
] as const satisfies ReadonlyArray<readonly [number, CloseCode.Name]>

const optypes = [
  [0x0, "Continuation"],
  [0x1, "Text"],
  [0x2, "Binary"],
  [0x8, "Close"],
  [0x9, "Ping"],
  [0xa, "Pong"]
] as const satisfies ReadonlyArray<readonly [number, Opcode.Name]>

const receivedBy = (options: FrameDecoder.Options, ...bytes: ReadonlyArray<number>): Frame.Frame => {
  const [frame] = FrameDecoder.frames(options)(Uint8Array.from(bytes)).frames
  Assert.ok(frame !== undefined, "There is no frame")
  return frame
}

/** The messages that a client's connection delivers for some bytes. */
const messages = (...chunks: ReadonlyArray<Uint8Array>): ReadonlyArray<Message.Message> => {
  const connection = Connection.make({ role: "client", maskKey: () => 0, recordFrames: true })
  return chunks.flatMap((chunk) => connection.receive(chunk)).filter(Message.isMessage)
}

const fragmented = [frameBytes(0x01, "Hel"), frameBytes(0x89, "p"), frameBytes(0x00, ""), frameBytes(0x80, "lo")]

/** What a client gets when a server answers with this text. */
const answered = (text: string, options?: WebSocketClient.ConnectOptions) =>
  Effect.gen(function* () {
    const listener = yield* listen()
    const connecting = yield* Effect.fork(Effect.flip(WebSocketClient.connect(listener.url, options)))
    const wire = yield* listener.next
    yield* wire.head
    wire.end(text)
    return yield* Fiber.join(connecting)
  })

export const wsClientEgg: Seed = {
  name: "ws-client",
  about: "CHICKEN Scheme",
  items: [
    item(
      "(ws-connect uri)",
      "a connection, if the opening handshake succeeds",
      Effect.gen(function* () {
        const socket = yield* WebSocketClient.connect(yield* echo())
        Assert.equal(yield* socket.isOpen, true)
      })
    ),
    item(
      "(ws-connect uri)",
      "the HTTP response, if the status is not 101: status, headers and body",
      Effect.gen(function* () {
        const error = yield* answered("HTTP/1.1 404 Not Found\r\nX-Why: none\r\nContent-Length: 7\r\n\r\nno room")
        Assert.ok(error._tag === "Handshake_rejected")
        Assert.deepEqual(
          [error.status, error.reason, error.headers["x-why"], error.text, error.bodyTruncated],
          [404, "NotFound", "none", "no room", false]
        )
      })
    ),
    item(
      "(ws-connect uri)",
      "a redirect can be followed by hand",
      Effect.gen(function* () {
        const target = yield* echo()
        const error = yield* answered(
          `HTTP/1.1 307 Temporary Redirect\r\nLocation: ${target}\r\nContent-Length: 0\r\n\r\n`
        )
        Assert.ok(error._tag === "Handshake_rejected" && error.reason === "Redirect")
        const location = error.headers["location"]
        Assert.ok(typeof location === "string")
        const socket = yield* WebSocketClient.connect(location)
        yield* socket.send("there")
        Assert.deepEqual(yield* socket.receive, Message.text("there"))
      })
    ),
    item(
      "(ws-connect uri)",
      "what is not a valid WebSocket URI is an error, before anything is sent",
      Effect.gen(function* () {
        for (const url of ["http//x", "ftp://127.0.0.1", "ws://127.0.0.1/#fragment"]) {
          const error = yield* Effect.flip(WebSocketClient.connect(url))
          Assert.ok(error._tag === "Protocol_error" && error.origin === "local", url)
        }
      })
    ),
    item(
      "tcp6",
      "a server at an IPv6 address",
      Effect.gen(function* () {
        const listener = yield* listen("::1")
        const connecting = yield* Effect.fork(WebSocketClient.connect(listener.url))
        const wire = yield* listener.next
        const head = yield* answer(wire)
        const socket = yield* Fiber.join(connecting)
        yield* Effect.addFinalizer(() => socket.abort)
        Assert.equal(header(head, "Host"), `[::1]:${listener.port}`)
        wire.write(frameBytes(0x81, "hello"))
        Assert.deepEqual(yield* socket.receive, Message.text("hello"))
      })
    ),
    item(
      "(is-ws-connection? x)",
      "true for a connection, false for an HTTP response",
      Effect.gen(function* () {
        const socket = yield* Effect.merge(WebSocketClient.connect(yield* echo()))
        const response = yield* answered("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        Assert.deepEqual([WebSocket.isWebSocket(socket), WebSocket.isWebSocket(response)], [true, false])
        Assert.deepEqual([Errors.isHandshakeRejected(socket), Errors.isHandshakeRejected(response)], [false, true])
      })
    ),
    item(
      "scheme wss",
      "TLS, with a certificate that is verified",
      Effect.gen(function* () {
        const tls = yield* certificate
        const server = yield* NodeWebSocketServer.make({ port: 0, host: "127.0.0.1", tls })
        yield* server.serve((socket) => socket.run((message) => socket.send(message)))
        const secure = yield* NodeWebSocketClient.make({ tls: { ca: tls.cert } })
        const socket = yield* secure.connect(server.address.url)
        yield* socket.send("secret")
        Assert.deepEqual(yield* socket.receive, Message.text("secret"))
        Assert.equal((yield* Effect.flip(WebSocketClient.connect(server.address.url)))._tag, "Io_error")
      })
    ),
    item(
      "(ws-connect uri (list extension …))",
      "offers extensions; without any, none is offered",
      Effect.gen(function* () {
        const offering = yield* client({ compression: true })
        Assert.match(header(offering.head, "Sec-WebSocket-Extensions") ?? "", /^permessage-deflate/)
        const plain = yield* client()
        Assert.equal(header(plain.head, "Sec-WebSocket-Extensions"), undefined)
      })
    ),
    item(
      "'strip-host",
      "the request line has no scheme, host and port",
      Effect.gen(function* () {
        const listener = yield* listen()
        yield* Effect.fork(WebSocketClient.connect(`${listener.url}/chat?room=blue`))
        const head = yield* (yield* listener.next).head
        Assert.match(head, /^GET \/chat\?room=blue HTTP\/1\.1\r\n/)
        Assert.equal(header(head, "Host"), `127.0.0.1:${listener.port}`)
      })
    ),
    item("(message-type m)", "text or binary, by the opcode of the first frame", () => {
      const tags = messages(...fragmented, frameBytes(0x82, "b")).map(({ _tag }) => _tag)
      Assert.deepEqual(tags, ["Text", "Binary"])
    }),
    item("(message-data* m)", "the bytes of a message of either type", () => {
      Assert.deepEqual(Message.bytes(Message.text("grüße")), utf8("grüße"))
      Assert.deepEqual(Message.bytes(Message.binary(Uint8Array.of(1, 2))), Uint8Array.of(1, 2))
    }),
    item("(message-frames m)", "the frames from which a message was assembled, control frames not among them", () => {
      const [message] = messages(...fragmented)
      const frames = message && Message.frames(message)
      Assert.deepEqual(frames?.map(Frame.format), [
        "Text 3 bytes 48 65 6c",
        "Continuation 0 bytes",
        "Continuation fin 2 bytes 6c 6f"
      ])
    }),
    item("(message-frames m)", "their payloads are the data of the message", () => {
      for (const message of messages(...fragmented, frameBytes(0x82, Uint8Array.of(1, 2)))) {
        const payloads = (Message.frames(message) ?? []).map(({ payload }) => payload)
        Assert.deepEqual(Uint8Array.from(Buffer.concat(payloads)), Message.bytes(message))
      }
    }),
    item(
      "(message-frames m)",
      "of a message that a socket received",
      Effect.gen(function* () {
        const { socket, wire } = yield* client({ recordFrames: true })
        for (const bytes of fragmented) wire.write(bytes)
        const frames = Message.frames(yield* socket.receive)
        Assert.deepEqual(
          frames?.map(({ payload }) => payload),
          [utf8("Hel"), new Uint8Array(0), utf8("lo")]
        )
      })
    ),
    item("(message-size m)", "in bytes", () => {
      for (const message of [Message.text("10 €"), Message.text("😀"), Message.binary(new Uint8Array(3))]) {
        Assert.equal(Message.size(message), Message.bytes(message).length)
      }
      Assert.equal(Message.size(Message.text("10 €")), 6)
    }),
    item("(message-data m)", "a string or bytes, depending on its type", () => {
      Assert.equal(Message.text("hi").data, "hi")
      Assert.deepEqual(Message.binary(Uint8Array.of(1)).data, Uint8Array.of(1))
    }),
    item(
      "(recv-message conn)",
      "the next message; control frames that come within it are processed quietly",
      Effect.gen(function* () {
        const { socket, wire } = yield* client()
        for (const bytes of fragmented) wire.write(bytes)
        Assert.deepEqual(yield* socket.receive, Message.text("Hello"))
        const { first, payload } = yield* wire.frame
        Assert.deepEqual([first, payload], [0x8a, utf8("p")])
      })
    ),
    item(
      "(recv-message conn)",
      "at a Close the connection is closed, and there is none: a value, not an error",
      Effect.gen(function* () {
        const { socket, wire } = yield* client()
        wire.write(frameBytes(0x81, "last"))
        wire.end(frameBytes(0x88, closePayload(1000)))
        Assert.deepEqual(yield* socket.receiveOption, Option.some(Message.text("last")))
        Assert.deepEqual(yield* socket.receiveOption, Option.none())
        const { first, payload } = yield* wire.frame
        Assert.deepEqual([first, payload], [0x88, closePayload(1000)])
        Assert.equal(yield* socket.isOpen, false)
      })
    ),
    item(
      "(send-message conn m)",
      "echoes a message that was received, of either type",
      Effect.gen(function* () {
        const { socket, wire } = yield* client()
        for (const first of [0x81, 0x82]) {
          wire.write(frameBytes(first, "same"))
          yield* socket.send(yield* socket.receive)
          const sent = yield* wire.frame
          Assert.deepEqual([sent.first, sent.payload], [first, utf8("same")])
        }
      })
    ),
    item(
      "(send-text-message conn string)",
      "a text message",
      Effect.gen(function* () {
        const { socket, wire } = yield* client()
        yield* socket.send("grüße")
        const { first, payload } = yield* wire.frame
        Assert.deepEqual([first, payload], [0x81, utf8("grüße")])
      })
    ),
    item(
      "(send-binary-message conn blob)",
      "a binary message, of whatever holds bytes",
      Effect.gen(function* () {
        const { socket, wire } = yield* client()
        const bytes = Uint8Array.of(0, 1, 2, 255)
        yield* socket.send(bytes)
        yield* socket.send(Message.binary(bytes.buffer))
        yield* socket.send(Message.binary(new DataView(bytes.buffer)))
        for (let i = 0; i < 3; i++) {
          const { first, payload } = yield* wire.frame
          Assert.deepEqual([first, payload], [0x82, bytes])
        }
      })
    ),
    item(
      "(recv-message-loop conn handler)",
      "calls the handler for each message until the connection is closed, and answers the Close",
      Effect.gen(function* () {
        const { socket, wire } = yield* client()
        const seen: Array<unknown> = []
        const loop = yield* Effect.fork(socket.run(({ data }) => Effect.sync(() => seen.push(data))))
        wire.write(frameBytes(0x81, "one"))
        wire.write(frameBytes(0x81, "two"))
        wire.write(frameBytes(0x88, closePayload(1000)))
        const { first, payload } = yield* wire.frame
        Assert.deepEqual([first, payload], [0x88, closePayload(1000)])
        wire.socket.end()
        yield* Fiber.join(loop)
        Assert.deepEqual(seen, ["one", "two"])
        Assert.equal((yield* socket.closeStatus).clean, true)
      })
    ),
    item(
      "(recv-message-loop conn handler)",
      "closes because of a protocol error with the code for it",
      Effect.gen(function* () {
        for (const [bytes, code] of [
          [frameBytes(0xc1, "a"), 1002],
          [frameBytes(0x81, Uint8Array.of(0xff)), 1007]
        ] as const) {
          const { socket, wire } = yield* client()
          wire.write(bytes)
          const error = yield* Effect.flip(socket.run(() => undefined))
          Assert.equal(error._tag, "Protocol_error")
          const { first, payload } = yield* wire.frame
          Assert.deepEqual([first, payload.subarray(0, 2)], [0x88, closePayload(code)])
        }
      })
    ),
    item(
      "(ws-close conn reason)",
      "sends a Close with the code of the reason",
      Effect.gen(function* () {
        for (const [code, name] of [
          [1001, "GoingAway"],
          [1008, "PolicyViolation"]
        ] as const) {
          const { socket, wire } = yield* client()
          yield* Effect.fork(socket.close(name))
          const { first, payload } = yield* wire.frame
          Assert.deepEqual([first, payload], [0x88, closePayload(code)])
        }
      })
    ),
    item(
      "(ws-close conn reason)",
      "messages may still be received until the server's Close",
      Effect.gen(function* () {
        const { socket, wire } = yield* client()
        const closing = yield* Effect.fork(socket.close("GoingAway"))
        yield* wire.frame
        wire.write(frameBytes(0x81, "late"))
        Assert.deepEqual(yield* socket.receive, Message.text("late"))
        wire.end(frameBytes(0x88, closePayload(1001)))
        yield* Fiber.join(closing)
        Assert.equal((yield* socket.closeStatus).clean, true)
      })
    ),
    item(
      "(ws-close conn reason)",
      "nothing is sent after it",
      Effect.gen(function* () {
        const { socket, wire } = yield* client()
        const closing = yield* Effect.fork(socket.close())
        yield* wire.frame
        Assert.equal((yield* Effect.flip(socket.send("late")))._tag, "Connection_closed")
        wire.write(frameBytes(0x89, "there?"))
        wire.end(frameBytes(0x88, closePayload(1000)))
        yield* Fiber.join(closing)
        Assert.equal(yield* wire.rest, "")
      })
    ),
    item("(frame-fin f)", "whether the FIN bit is set", () => {
      Assert.equal(receivedBy({ role: "client" }, 0x81, 0).fin, true)
      Assert.equal(receivedBy({ role: "client" }, 0x01, 0).fin, false)
    }),
    item("(frame-rsv f)", "the RSV bits as an integer: RSV2 and RSV3 are 3", () => {
      Assert.equal(receivedBy({ role: "client", rsv: 7 }, 0b1011_0001, 0).rsv, 3)
      Assert.equal(receivedBy({ role: "client", rsv: 7 }, 0b1100_0001, 0).rsv, Frame.rsv1)
      Assert.deepEqual([Frame.rsv1, Frame.rsv2, Frame.rsv3], [4, 2, 1])
    }),
    item("(frame-opcode f)", "the opcode", () => {
      Assert.equal(receivedBy({ role: "client" }, 0x8a, 0).opcode, 0xa)
    }),
    item("(frame-optype f)", "the name of the opcode", () => {
      for (const [opcode, name] of optypes) Assert.equal(Opcode.toName(Frame.make(opcode).opcode), name)
    }),
    item("(frame-mask? f)", "whether the frame travelled masked", () => {
      Assert.equal(receivedBy({ role: "client" }, 0x81, 0).masked, false)
      Assert.equal(receivedBy({ role: "server" }, 0x81, 0x80, 1, 2, 3, 4).masked, true)
    }),
    item("(frame-payload-length f)", "the length of the payload", () => {
      Assert.equal(receivedBy({ role: "client" }, 0x82, 3, 1, 2, 3).payload.length, 3)
    }),
    item("(frame-payload-data f)", "the payload, without the mask", () => {
      const [frame] = FrameDecoder.frames({ role: "server" })(
        frameBytes(0x82, Uint8Array.of(7, 8), [1, 2, 3, 4])
      ).frames
      Assert.deepEqual(frame?.payload, Uint8Array.of(7, 8))
    }),
    item("(frame-rsv-bit f n)", "whether the bitwise and of n and the RSV bits is not zero", () => {
      const frame = Frame.make(Opcode.Text, { rsv: Frame.rsv1 | Frame.rsv3 })
      Assert.deepEqual(
        [4, 2, 1].map((n) => (frame.rsv & n) !== 0),
        [true, false, true]
      )
      Assert.deepEqual([Frame.hasRsv(frame, 1), Frame.hasRsv(frame, 2), Frame.hasRsv(frame, 3)], [true, false, true])
    }),
    item(
      "(recv-frame conn)",
      "the next frame, of any type",
      Effect.gen(function* () {
        const { socket, wire } = yield* client({ delivery: "frames" })
        for (const bytes of fragmented) wire.write(bytes)
        const frames = [yield* socket.receive, yield* socket.receive, yield* socket.receive, yield* socket.receive]
        Assert.deepEqual(frames.map(Frame.format), [
          "Text 3 bytes 48 65 6c",
          "Ping fin 1 bytes 70",
          "Continuation 0 bytes",
          "Continuation fin 2 bytes 6c 6f"
        ])
      })
    ),
    item(
      "(send-frame conn f)",
      "sends a frame; masking is handled quietly, with another key each time",
      Effect.gen(function* () {
        const { socket, wire } = yield* client({ delivery: "frames" })
        const payload = Uint8Array.of(1, 2, 3)
        const frame = Frame.binary(payload)
        const keys = new Set<string>()
        for (let i = 0; i < 8; i++) {
          yield* socket.send(frame)
          const sent = yield* wire.frame
          Assert.deepEqual([sent.first, sent.masked, sent.payload], [0x82, true, payload])
          keys.add(sent.key.join())
        }
        Assert.ok(keys.size > 1)
        Assert.deepEqual(payload, Uint8Array.of(1, 2, 3))
      })
    ),
    item("message-level and frame-level", "a continuation without a message to continue is an error", () => {
      const connection = Connection.make({ role: "client", maskKey: () => 0 })
      const [ended] = connection.receive(frameBytes(0x80, "lo"))
      Assert.ok(ended?._tag === "Ended" && Errors.isProtocolError(ended.error))
      Assert.equal(ended.error.closeCode, 1002)
    }),
    item("(opcode->optype n)", "the name of an opcode; none for one that is not recognised", () => {
      Assert.deepEqual(
        optypes.map(([opcode]) => Opcode.toName(opcode)),
        optypes.map(([, name]) => name)
      )
      Assert.equal(Opcode.toName(0x3), undefined)
    }),
    item("(optype->opcode name)", "the opcode with a name", () => {
      Assert.deepEqual(
        optypes.map(([, name]) => Opcode.fromName(name)),
        optypes.map(([opcode]) => opcode)
      )
    }),
    item(
      "reserved opcodes and RSV bits",
      "are received and sent if the application names them",
      Effect.gen(function* () {
        const { socket, wire } = yield* client({ delivery: "frames", opcodes: [0x3], rsv: Frame.rsv2 })
        wire.write(frameBytes(0xa3, "in"))
        const { opcode, payload, rsv } = yield* socket.receive
        Assert.deepEqual([opcode, payload, rsv], [0x3, utf8("in"), 2])
        yield* socket.send(Frame.make(0x3, { rsv: Frame.rsv2, payload: utf8("out") }))
        const sent = yield* wire.frame
        Assert.deepEqual([sent.first, sent.payload], [0xa3, utf8("out")])
      })
    ),
    item(
      "reserved opcodes and RSV bits",
      "all others are an error: received with 1002, and sent as one of the application",
      Effect.gen(function* () {
        const { socket, wire } = yield* client({ delivery: "frames", opcodes: [0x3], rsv: Frame.rsv2 })
        for (const frame of [Frame.make(0x4), Frame.make(Opcode.Binary, { rsv: Frame.rsv1 })]) {
          const error = yield* Effect.flip(socket.send(frame))
          Assert.ok(error._tag === "Protocol_error" && error.origin === "local")
        }
        wire.write(frameBytes(0x84, ""))
        const error = yield* Effect.flip(socket.receive)
        Assert.ok(error._tag === "Protocol_error" && error.origin === "remote")
        Assert.deepEqual((yield* wire.frame).payload.subarray(0, 2), closePayload(1002))
      })
    ),
    item("(reason->close-code reason)", "the code as two bytes, to be put into a payload", () => {
      for (const [code, name] of reasons) {
        Assert.equal(CloseCode.fromName(name), code)
        const payload = CloseCode.encodePayload(CloseCode.fromName(name))
        if (CloseCode.isSendable(code)) Assert.deepEqual(payload, closePayload(code))
        else Assert.ok(Errors.isProtocolError(payload) && payload.origin === "local")
      }
      const bytes: Uint8Array = CloseCode.encodePayload(1000)
      Assert.deepEqual([...bytes], [3, 232])
    }),
    item("(close-code->reason code)", "the name of a code; none for one that is not recognised", () => {
      for (const [code, name] of reasons) Assert.equal(CloseCode.toName(code), name)
      Assert.equal(CloseCode.toName(4001), undefined)
    }),
    item("reserved close codes", "an application names its own", () => {
      const codes = CloseCode.makeRegistry({ Kicked: 4001 })
      Assert.deepEqual([codes.fromName("Kicked"), codes.toName(4001)], [4001, "Kicked"])
      Assert.deepEqual([codes.fromName("GoingAway"), codes.toName(1001)], [1001, "GoingAway"])
      Assert.deepEqual(CloseCode.encodePayload(codes.fromName("Kicked")), closePayload(4001))
      Assert.throws(() => CloseCode.makeRegistry({ Mine: 1002 }), RangeError)
    }),
    item(
      "(permessage-deflate parameters)",
      "messages are compressed where both sides agree, and arrive as they were sent",
      Effect.gen(function* () {
        const service = yield* serverOf({ compression: true })
        yield* service.serve((socket) => socket.run((message) => socket.send(message)))
        const socket = yield* WebSocketClient.connect(service.address.url, { compression: { threshold: 0 } })
        Assert.deepEqual(
          socket.extensions.map(({ name }) => name),
          ["permessage-deflate"]
        )
        for (const text of ["", "grüße", "x".repeat(100_000)]) {
          yield* socket.send(text)
          Assert.deepEqual(yield* socket.receive, Message.text(text))
        }
        const [handle] = yield* service.connections
        Assert.ok(handle !== undefined && handle.receivedBytes < 2_000, `${handle?.receivedBytes} bytes`)
      })
    ),
    item(
      "(permessage-deflate parameters)",
      "a list of offers in order of preference, the fallback last",
      Effect.gen(function* () {
        const compression = { offers: [{ serverMaxWindowBits: 10 }, {}] }
        const { head } = yield* client({ compression })
        Assert.equal(
          header(head, "Sec-WebSocket-Extensions"),
          "permessage-deflate; server_max_window_bits=10, permessage-deflate"
        )
      })
    ),
    item(
      "(permessage-deflate parameters)",
      "the answer to either offer is taken, and one that fits none is refused",
      Effect.gen(function* () {
        const compression = { offers: [{ serverMaxWindowBits: 10 }, {}] }
        for (const extension of ["permessage-deflate; server_max_window_bits=10", "permessage-deflate"]) {
          const { socket } = yield* client({ compression }, `Sec-WebSocket-Extensions: ${extension}`)
          Assert.equal(Extension.format(socket.extensions), extension)
        }
        const settings = PermessageDeflate.resolve(compression)
        const unknown = PermessageDeflate.check([Extension.make("permessage-deflate", [["x", true]])], settings)
        Assert.ok(Errors.isProtocolError(unknown) && unknown.origin === "remote")
      })
    ),
    item(
      "condition 'websocket 'fail",
      "has a reason, which is the name of a close code, and a message; the peer gets the code",
      Effect.gen(function* () {
        for (const [bytes, code, reason] of [
          [frameBytes(0x83, ""), 1002, "ProtocolError"],
          [frameBytes(0x81, Uint8Array.of(0xff)), 1007, "InvalidPayloadData"],
          [frameBytes(0x82, new Uint8Array(11)), 1009, "MessageTooBig"]
        ] as const) {
          const { socket, wire } = yield* client({ limits: { maxMessageBytes: 10 } })
          wire.write(bytes)
          const error = yield* Effect.flip(socket.receive)
          Assert.equal(Errors.closeCodeOf(error), code)
          Assert.equal(CloseCode.toName(code), reason)
          Assert.notEqual(error.message, "")
          Assert.deepEqual((yield* wire.frame).payload.subarray(0, 2), closePayload(code))
        }
      })
    ),
    item("condition 'websocket 'fail", "is a value without I/O, with which the application closes by itself", () => {
      const { violation } = FrameDecoder.frames({ role: "client" })(frameBytes(0x83, ""))
      Assert.ok(violation !== undefined)
      const payload = CloseCode.encodePayload(Errors.closeCodeOf(violation))
      Assert.deepEqual(payload, closePayload(1002))
    }),
    item(
      "condition 'websocket 'exn",
      "no Close makes sense: the transport failed, or the application asked for what cannot be",
      Effect.gen(function* () {
        const { socket, wire } = yield* client()
        const refused = yield* Effect.flip(socket.close(1005))
        Assert.deepEqual([refused._tag, Errors.closeCodeOf(refused)], ["Protocol_error", undefined])
        Assert.equal(yield* socket.isOpen, true)
        wire.socket.resetAndDestroy()
        const broken = yield* Effect.flip(socket.receive)
        Assert.deepEqual([broken._tag, Errors.closeCodeOf(broken)], ["Io_error", undefined])
        Assert.notEqual(broken.message, "")
      })
    ),
    item(
      "Examples: echo client",
      "a client that echoes back every text message it receives",
      Effect.gen(function* () {
        const { socket, wire } = yield* client()
        const echoing = yield* Effect.fork(
          socket.run((message) => (message._tag === "Text" ? socket.send(message.data) : Effect.void))
        )
        wire.write(frameBytes(0x82, "binary"))
        wire.write(frameBytes(0x81, "text"))
        const { first, payload } = yield* wire.frame
        Assert.deepEqual([first, payload], [0x81, utf8("text")])
        wire.end(frameBytes(0x88, closePayload(1000)))
        yield* Fiber.join(echoing)
      })
    )
  ]
}
