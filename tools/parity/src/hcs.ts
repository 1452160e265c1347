/** H: `Hcs.Websocket`, an OCaml library for Eio. */
import { WebSocket, WebSocketClient } from "@effect-websocket/platform"
import { NodeTransport, NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import {
  Connection,
  Errors,
  Frame,
  FrameDecoder,
  FrameEncoder,
  Handshake,
  HeaderField,
  Mask,
  Message,
  Opcode,
  Origin
} from "@effect-websocket/protocol"
import { Effect, Exit, Fiber, Scope } from "effect"
import * as Assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { certificate } from "./certificate.js"
import { item, type Seed } from "./Item.js"
import { client, server, serverOf } from "./Sockets.js"
import { accept, answer, closePayload, dial, frameBytes, header, key, listen, upgradeRequest, utf8 } from "./Wire.js"

const clientMask = [0x37, 0xfa, 0x21, 0x3d]
const clientKey = 0x37fa213d

const requestHeaders = (more: HeaderField.Input = {}) =>
  new Headers([
    ["Host", "example.com"],
    ["Upgrade", "websocket"],
    ["Connection", "keep-alive, Upgrade"],
    ["Sec-WebSocket-Key", key],
    ["Sec-WebSocket-Version", "13"],
    ...HeaderField.entries(more).map(([name, value]): [string, string] => [name, value])
  ])

const checkVersion = (version: string | undefined) =>
  Handshake.checkRequest({
    method: "GET",
    url: "/",
    httpVersion: "1.1",
    headers: {
      host: "example.com",
      upgrade: "websocket",
      connection: "upgrade",
      "sec-websocket-key": key,
      "sec-websocket-version": version
    }
  })

/** The reason for which a policy refuses an origin for the host `example.com`; `undefined` if it does not. */
const refusal = (policy: Origin.Policy, origin: string | undefined): string | undefined =>
  Origin.check(policy, requestHeaders(origin === undefined ? {} : { Origin: origin }))

/** A flow whose request the app has read itself, with bytes that came behind it, and the client at its other end. */
const handedOver = (behind: Uint8Array = new Uint8Array(0)) =>
  Effect.gen(function* () {
    const listener = yield* listen()
    const wire = yield* dial(listener.port)
    wire.write(Buffer.concat([Buffer.from(upgradeRequest()), behind]))
    const ours = yield* listener.next
    yield* ours.head
    return { flow: ours.release(), wire }
  })

export const hcs: Seed = {
  name: "Hcs.Websocket",
  about: "OCaml, Eio",
  items: [
    item("websocket_uuid", "the GUID of RFC 6455", () => {
      Assert.equal(Handshake.guid, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
    }),
    item("Opcode.t", "the opcodes and their numbers, both ways", () => {
      const opcodes = ["Continuation", "Text", "Binary", "Close", "Ping", "Pong"] as const
      Assert.deepEqual(opcodes.map(Opcode.fromName), [0x0, 0x1, 0x2, 0x8, 0x9, 0xa])
      Assert.deepEqual(opcodes.map(Opcode.fromName).map(Opcode.toName), opcodes)
      Assert.equal(Opcode.Ping, 0x9)
    }),
    item("frame.opcode", "the opcode of a frame, as it was received", () => {
      const { frames } = FrameDecoder.frames({ role: "client" })(Uint8Array.of(0x89, 0))
      Assert.deepEqual(
        frames.map(({ opcode }) => opcode),
        [Opcode.Ping]
      )
    }),
    item("frame.extension", "the reserved bits as a number, sent and received", () => {
      const bytes = FrameEncoder.encode(Frame.make(Opcode.Binary, { rsv: 5 }))
      Assert.deepEqual([...bytes], [0b1101_0010, 0])
      const { frames } = FrameDecoder.frames({ role: "client", rsv: 5 })(bytes)
      Assert.equal(frames[0]?.rsv, 5)
    }),
    item("frame.final", "whether it is the last fragment", () => {
      const { frames } = FrameDecoder.frames({ role: "client" })(Uint8Array.of(0x01, 0, 0x80, 0))
      Assert.deepEqual(
        frames.map(({ fin }) => fin),
        [false, true]
      )
    }),
    item("frame.content", "the payload, unmasked, as bytes and as text", () => {
      const { frames } = FrameDecoder.frames({ role: "server" })(frameBytes(0x81, "grüße", clientMask))
      Assert.deepEqual(frames[0]?.payload, utf8("grüße"))
      Assert.equal(frames[0] && Frame.toText(frames[0]), "grüße")
    }),
    item("pp_frame", "a frame on one line", () => {
      Assert.equal(Frame.format(Frame.text("hi")), "Text fin 2 bytes 68 69")
      Assert.equal(Frame.format(Frame.make(0x3, { fin: false, rsv: 2 })), "Reserved(0x3) rsv2 0 bytes")
    }),
    item("make_frame", "by default final, without reserved bits and without content", () => {
      const { fin, masked, payload, rsv } = Frame.make(Opcode.Text)
      Assert.deepEqual({ fin, masked, payload: [...payload], rsv }, { fin: true, masked: false, payload: [], rsv: 0 })
    }),
    item("make_frame ?opcode ?extension ?final ?content", "any frame, as bytes", () => {
      const frame = Frame.make(0x3, { rsv: 2, fin: false, payload: utf8("ab") })
      Assert.deepEqual([...FrameEncoder.encode(frame)], [0b0010_0011, 2, 0x61, 0x62])
    }),
    item("close_frame code", "a Close with the code in network byte order, no narrowing for a code of the RFC", () => {
      const frame: Frame.Frame = Frame.close(1001)
      Assert.deepEqual([...FrameEncoder.encode(frame)], [0x88, 2, 0x03, 0xe9])
      const own = Errors.getOrThrow(Frame.close(4001, "kicked"))
      Assert.deepEqual(own.payload, closePayload(4001, "kicked"))
      Assert.ok(Errors.isProtocolError(Frame.close(1005)))
    }),
    item("default_max_payload_size", "what a connection allows by default, to the byte", () => {
      const max = Connection.defaultLimits.maxMessageBytes
      const head = (size: number) => Uint8Array.of(0x82, 127, 0, 0, 0, 0, size >> 24, size >> 16, size >> 8, size)
      const receive = (size: number) => Connection.make({ role: "client", maskKey: () => 0 }).receive(head(size))
      Assert.deepEqual(receive(max), [])
      const [ended] = receive(max + 1)
      Assert.ok(ended?._tag === "Ended" && Errors.isPayloadTooLarge(ended.error))
      Assert.equal(ended.error.max, max)
    }),
    item(
      "t.flow",
      "a connection over any two-way flow of bytes",
      Effect.gen(function* () {
        const listener = yield* listen()
        const wire = yield* dial(listener.port)
        const flow = (yield* listener.next).release().socket
        const socket = yield* WebSocket.fromTransport(NodeTransport.make(flow), { role: "server" })
        yield* Effect.addFinalizer(() => socket.abort)
        wire.write(frameBytes(0x81, "over a flow", clientMask))
        Assert.deepEqual(yield* socket.receive, Message.text("over a flow"))
      })
    ),
    item(
      "t.closed",
      "false at first, true once it is closed",
      Effect.gen(function* () {
        const { socket, wire } = yield* client()
        Assert.equal(yield* socket.isOpen, true)
        wire.end(frameBytes(0x88, closePayload(1000)))
        Assert.equal((yield* socket.closeStatus).clean, true)
        Assert.equal(yield* socket.isOpen, false)
      })
    ),
    item("t.is_client", "the role of a connection, without I/O", () => {
      Assert.equal(Connection.make({ role: "client", maskKey: () => 0 }).role, "client")
      Assert.equal(Connection.make({ role: "server" }).role, "server")
    }),
    item(
      "t.is_client",
      "the role of a socket",
      Effect.gen(function* () {
        Assert.equal((yield* client()).socket.role, "client")
        Assert.equal((yield* server()).socket.role, "server")
      })
    ),
    item("t.read_buf", "how much is held of what has not ended", () => {
      const connection = Connection.make({ role: "client", maskKey: () => 0 })
      Assert.deepEqual([connection.receiving, connection.heldBytes], [false, 0])
      connection.receive(Uint8Array.of(0x82, 4, 1, 2, 3))
      Assert.equal(connection.receiving, true)
      Assert.ok(connection.heldBytes >= 3)
      connection.receive(Uint8Array.of(4))
      Assert.deepEqual([connection.receiving, connection.heldBytes], [false, 0])
    }),
    item(
      "t.max_payload_size",
      "the limit that a connection was given can be read",
      Effect.gen(function* () {
        const { socket } = yield* client({ limits: { maxMessageBytes: 1234 } })
        Assert.equal(socket.limits.maxMessageBytes, 1234)
      })
    ),
    item(
      "Connection_closed",
      "reading and sending fail with it once the peer has closed, with its code and reason",
      Effect.gen(function* () {
        const { socket, wire } = yield* client()
        wire.write(frameBytes(0x88, closePayload(4000, "enough")))
        const error = yield* Effect.flip(socket.receive)
        Assert.ok(error._tag === "Connection_closed")
        Assert.deepEqual([error.code, error.reason, error.initiator, error.clean], [4000, "enough", "remote", true])
        Assert.equal(yield* Effect.flip(socket.send("late")), error)
      })
    ),
    item(
      "Protocol_error of string",
      "what a peer breaks, with the words and the section; the peer gets 1002",
      Effect.gen(function* () {
        const { socket, wire } = yield* client()
        wire.write(frameBytes(0x83, ""))
        const error = yield* Effect.flip(socket.receive)
        Assert.ok(error._tag === "Protocol_error")
        Assert.equal(error.origin, "remote")
        Assert.match(error.message, /opcode.*RFC 6455/i)
        const { first, payload } = yield* wire.frame
        Assert.deepEqual([first, ...payload.subarray(0, 2)], [0x88, ...closePayload(1002)])
      })
    ),
    item(
      "Io_error of string",
      "a connection that breaks, and one that cannot be made",
      Effect.gen(function* () {
        const { socket, wire } = yield* client()
        wire.socket.resetAndDestroy()
        const broken = yield* Effect.flip(socket.receive)
        Assert.ok(broken._tag === "Io_error")
        Assert.equal(broken.reason, "Reset")
        const listener = yield* Effect.scoped(listen())
        const refused = yield* Effect.flip(WebSocketClient.connect(listener.url))
        Assert.ok(refused._tag === "Io_error")
        Assert.equal(refused.reason, "Connect")
        Assert.match(refused.message, /ECONNREFUSED/)
      })
    ),
    item(
      "Payload_too_large of int",
      "the size that was refused; the peer gets 1009",
      Effect.gen(function* () {
        const { socket, wire } = yield* client({ limits: { maxMessageBytes: 10 } })
        wire.write(frameBytes(0x82, new Uint8Array(11)))
        const error = yield* Effect.flip(socket.receive)
        Assert.ok(error._tag === "Payload_too_large")
        Assert.deepEqual([error.size, error.max, error.direction], [11, 10, "inbound"])
        Assert.deepEqual((yield* wire.frame).payload.subarray(0, 2), closePayload(1009))
      })
    ),
    item("b64_encoded_sha1sum", "SHA-1 in base64, which is what an accept value is", () => {
      const sum = createHash("sha1").update(`${key}${Handshake.guid}`).digest("base64")
      Assert.equal(Handshake.acceptValue(key), sum)
    }),
    item("compute_accept_key", "the accept value of the RFC's key", () => {
      Assert.equal(Handshake.acceptValue(key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }),
    item("Rng", "masking keys and handshake keys from a source of randomness", () => {
      let filled = 0
      const source = { getRandomValues: (bytes: Uint8Array) => bytes.fill(++filled) }
      Assert.equal(Mask.keys(source)(), 0x01010101)
      Assert.equal(Handshake.generateKey(source), Buffer.alloc(16, 2).toString("base64"))
      const next = Mask.keys(globalThis.crypto)
      Assert.ok(new Set(Array.from({ length: 100 }, next)).size > 90)
    }),
    item("xor_mask", "masks the example of RFC 6455 §5.7, and unmasks it", () => {
      const bytes = utf8("Hello")
      Mask.apply(bytes, clientKey)
      Assert.deepEqual([...bytes], [0x7f, 0x9f, 0x4d, 0x51, 0x58])
      Mask.apply(bytes.subarray(0, 2), clientKey)
      Mask.apply(bytes.subarray(2), clientKey, 2)
      Assert.deepEqual(bytes, utf8("Hello"))
    }),
    item("write_frame_to_buf ~is_client:true", "a masked frame, its key before its payload", () => {
      const bytes = FrameEncoder.encode(Frame.text("Hello"), clientKey)
      Assert.deepEqual([...bytes], [0x81, 0x85, ...clientMask, 0x7f, 0x9f, 0x4d, 0x51, 0x58])
    }),
    item("write_frame_to_buf ~is_client:false", "an unmasked frame, with the shortest length", () => {
      const head = (size: number) => [...FrameEncoder.encode(Frame.binary(new Uint8Array(size))).subarray(0, 10)]
      Assert.deepEqual(head(125).slice(0, 3), [0x82, 125, 0])
      Assert.deepEqual(head(126).slice(0, 5), [0x82, 126, 0, 126, 0])
      Assert.deepEqual(head(65_535).slice(0, 5), [0x82, 126, 255, 255, 0])
      Assert.deepEqual(head(65_536), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0])
    }),
    item("write_frame_to_buf ~is_client", "a client's frames must be masked, a server's must not", () => {
      for (const [role, bytes] of [
        ["server", frameBytes(0x81, "a")],
        ["client", frameBytes(0x81, "a", clientMask)]
      ] as const) {
        const { frames, violation } = FrameDecoder.frames({ role })(bytes)
        Assert.deepEqual(frames, [])
        Assert.equal(violation && Errors.closeCodeOf(violation), 1002)
      }
    }),
    item("read_exactly flow n", "bytes may arrive in pieces of any size", () => {
      const decode = FrameDecoder.frames({ role: "server" })
      const bytes = [...frameBytes(0x01, "Hel", clientMask), ...frameBytes(0x80, "lo", clientMask)]
      const found = bytes.flatMap((byte) => decode(Uint8Array.of(byte)).frames)
      Assert.deepEqual(
        found.map((frame) => Frame.toText(frame)),
        ["Hel", "lo"]
      )
    }),
    item(
      "read_frame t",
      "the next frame, or the error",
      Effect.gen(function* () {
        const { socket, wire } = yield* client({ delivery: "frames" })
        wire.write(frameBytes(0x01, "Hel"))
        wire.write(frameBytes(0x83, "?"))
        Assert.equal(Frame.format(yield* socket.receive), "Text 3 bytes 48 65 6c")
        Assert.equal((yield* Effect.flip(socket.receive))._tag, "Protocol_error")
      })
    ),
    item(
      "is_open t",
      "true until either side closes",
      Effect.gen(function* () {
        const { socket, wire } = yield* client()
        Assert.equal(yield* socket.isOpen, true)
        const closing = yield* Effect.fork(socket.close())
        Assert.equal((yield* wire.frame).first, 0x88)
        Assert.equal(yield* socket.isOpen, false)
        wire.end(frameBytes(0x88, closePayload(1000)))
        yield* Fiber.join(closing)
        Assert.equal(yield* socket.isOpen, false)
      })
    ),
    item(
      "send t frame",
      "any frame that may travel, masked by a client; another one is an error and is not sent",
      Effect.gen(function* () {
        const { socket, wire } = yield* client({ delivery: "frames" })
        yield* socket.send(Frame.text("Hel", { fin: false }))
        Assert.equal((yield* Effect.flip(socket.send(Frame.text("no"))))._tag, "Protocol_error")
        yield* socket.send(Frame.continuation("lo"))
        const [one, two] = [yield* wire.frame, yield* wire.frame]
        Assert.deepEqual([one.first, one.masked, one.payload], [0x01, true, utf8("Hel")])
        Assert.deepEqual([two.first, two.masked, two.payload], [0x80, true, utf8("lo")])
      })
    ),
    item(
      "send_text",
      "one final text frame with UTF-8",
      Effect.gen(function* () {
        const { socket, wire } = yield* server()
        yield* socket.send("grüße")
        const { first, masked, payload } = yield* wire.frame
        Assert.deepEqual([first, masked, payload], [0x81, false, utf8("grüße")])
      })
    ),
    item(
      "send_binary",
      "one final binary frame",
      Effect.gen(function* () {
        const { socket, wire } = yield* server()
        yield* socket.send(Uint8Array.of(0, 255, 1))
        const { first, payload } = yield* wire.frame
        Assert.deepEqual([first, ...payload], [0x82, 0, 255, 1])
      })
    ),
    item(
      "send_ping ?content",
      "a ping with the content; too much of it is an error and nothing is sent",
      Effect.gen(function* () {
        const { socket, wire } = yield* client()
        const error = yield* Effect.flip(socket.ping(new Uint8Array(126)))
        Assert.ok(error._tag === "Payload_too_large" && error.direction === "outbound")
        const ping = yield* Effect.fork(socket.ping(utf8("there?")))
        const { first, payload } = yield* wire.frame
        Assert.deepEqual([first, payload], [0x89, utf8("there?")])
        wire.write(frameBytes(0x8a, "there?"))
        yield* Fiber.join(ping)
      })
    ),
    item(
      "send_pong ?content",
      "a pong with the content, and one without",
      Effect.gen(function* () {
        const { socket, wire } = yield* client()
        yield* socket.pong(utf8("here"))
        yield* socket.pong()
        const [one, two] = [yield* wire.frame, yield* wire.frame]
        Assert.deepEqual([one.first, one.payload], [0x8a, utf8("here")])
        Assert.deepEqual([two.first, two.payload.length], [0x8a, 0])
      })
    ),
    item(
      "recv t",
      "each frame in turn, control frames too",
      Effect.gen(function* () {
        const { socket, wire } = yield* server({ delivery: "frames" })
        for (const [first, data] of [
          [0x01, "a"],
          [0x89, "p"],
          [0x80, "b"]
        ] as const) {
          wire.write(frameBytes(first, data, clientMask))
        }
        const received = [yield* socket.receive, yield* socket.receive, yield* socket.receive]
        Assert.deepEqual(
          received.map(({ fin, opcode, payload }) => [fin, opcode, payload]),
          [
            [false, Opcode.Text, utf8("a")],
            [true, Opcode.Ping, utf8("p")],
            [true, Opcode.Continuation, utf8("b")]
          ]
        )
      })
    ),
    item(
      "recv_message t",
      "a complete message with its kind, whatever its fragments, pings answered between them",
      Effect.gen(function* () {
        const { socket, wire } = yield* server()
        wire.write(frameBytes(0x01, utf8("grü").subarray(0, 3), clientMask))
        wire.write(frameBytes(0x89, "p", clientMask))
        wire.write(frameBytes(0x80, utf8("grüße").subarray(3), clientMask))
        wire.write(frameBytes(0x82, Uint8Array.of(1, 2), clientMask))
        Assert.deepEqual(yield* socket.receive, Message.text("grüße"))
        Assert.deepEqual(yield* socket.receive, Message.binary(Uint8Array.of(1, 2)))
        const { first, payload } = yield* wire.frame
        Assert.deepEqual([first, payload], [0x8a, utf8("p")])
      })
    ),
    item(
      "close ?code t",
      "a Close with the code, by default 1000; once",
      Effect.gen(function* () {
        const { socket, wire } = yield* client()
        const closing = yield* Effect.fork(socket.close(4000, "bye"))
        const { first, payload } = yield* wire.frame
        Assert.deepEqual([first, payload], [0x88, closePayload(4000, "bye")])
        wire.end(frameBytes(0x88, closePayload(4000)))
        yield* Fiber.join(closing)
        yield* socket.close(1011)
        Assert.equal(yield* wire.rest, "")
        Assert.deepEqual((yield* socket.closeStatus).sent, { code: 4000, reason: "bye" })
        const other = yield* client()
        yield* Effect.fork(other.socket.close())
        Assert.deepEqual((yield* other.wire.frame).payload, closePayload(1000))
      })
    ),
    item("has_connection_upgrade_token", "whether a list has the token, in any case and place", () => {
      Assert.equal(HeaderField.hasToken("keep-alive, Upgrade", "upgrade"), true)
      Assert.equal(HeaderField.hasToken("UPGRADE", "upgrade"), true)
      Assert.equal(HeaderField.hasToken("keep-alive", "upgrade"), false)
      Assert.equal(HeaderField.hasToken("not-upgrade, upgraded", "upgrade"), false)
    }),
    item("is_upgrade_request headers", "Upgrade has websocket, Connection has upgrade", () => {
      Assert.equal(Handshake.isUpgradeRequest(requestHeaders()), true)
      Assert.equal(Handshake.isUpgradeRequest({ upgrade: "WebSocket", CONNECTION: "Upgrade" }), true)
      Assert.equal(Handshake.isUpgradeRequest({ upgrade: "websocket" }), false)
      Assert.equal(Handshake.isUpgradeRequest({ upgrade: "h2c", connection: "upgrade" }), false)
      Assert.equal(Handshake.isUpgradeRequest(new Headers()), false)
    }),
    item("get_websocket_key headers", "the key, if there is one", () => {
      Assert.equal(HeaderField.get(requestHeaders(), "Sec-WebSocket-Key"), key)
      Assert.equal(HeaderField.get({ "SEC-WEBSOCKET-KEY": key }, "sec-websocket-key"), key)
      Assert.equal(HeaderField.get({}, "Sec-WebSocket-Key"), undefined)
    }),
    item("supported_websocket_version", "13", () => {
      Assert.equal(Handshake.version, "13")
    }),
    item("get_websocket_version headers", "the version, if there is one", () => {
      Assert.equal(HeaderField.get(requestHeaders(), "Sec-WebSocket-Version"), "13")
      Assert.equal(HeaderField.get({}, "Sec-WebSocket-Version"), undefined)
    }),
    item("validate_websocket_version headers", "13 is accepted; another gets 426 with 13, and a reason", () => {
      Assert.equal(checkVersion("13")._tag, "UpgradeRequest")
      const refused = checkVersion("8")
      Assert.ok(refused._tag === "RefusedRequest")
      Assert.equal(refused.status, 426)
      Assert.equal(HeaderField.get(refused.headers, "Sec-WebSocket-Version"), "13")
      Assert.match(refused.error.description, /8/)
      const missing = checkVersion(undefined)
      Assert.ok(missing._tag === "RefusedRequest")
      Assert.equal(missing.status, 400)
    }),
    item("get_origin headers", "the origin, if there is one", () => {
      Assert.equal(HeaderField.get(requestHeaders({ Origin: "https://a.example" }), "Origin"), "https://a.example")
      Assert.equal(HeaderField.get(requestHeaders(), "Origin"), undefined)
    }),
    item("Allow_all", "any origin", () => {
      Assert.equal(refusal(Origin.allowAll, "https://evil.example"), undefined)
    }),
    item("Allow_list origins", "those of the list and no others", () => {
      const policy = Origin.required(Origin.allowList(["https://a.example", "https://b.example:8443"]))
      Assert.equal(refusal(policy, "https://a.example"), undefined)
      Assert.equal(refusal(policy, "https://b.example:8443"), undefined)
      Assert.match(refusal(policy, "https://b.example") ?? "", /https:\/\/b\.example/)
      Assert.notEqual(refusal(policy, "http://a.example"), undefined)
    }),
    item("Allow_same_origin", "the origin must match Host", () => {
      const policy = Origin.required(Origin.sameOrigin())
      Assert.equal(refusal(policy, "https://example.com"), undefined)
      Assert.notEqual(refusal(policy, "https://example.com:8443"), undefined)
      Assert.notEqual(refusal(policy, "https://example.com.evil.example"), undefined)
    }),
    item("validate_origin ~policy headers", "Ok, or the reason; the headers must contain Origin", () => {
      for (const policy of [Origin.allowList(["https://example.com"]), Origin.sameOrigin()]) {
        Assert.equal(refusal(Origin.required(policy), undefined), "The request has no Origin")
        Assert.equal(refusal(Origin.required(policy), "https://example.com"), undefined)
        // The request of a program that is not a browser.
        Assert.equal(refusal(policy, undefined), undefined)
      }
    }),
    item(
      "validate_origin ~policy headers",
      "a server that is given a policy answers 403 to what it refuses",
      Effect.gen(function* () {
        const service = yield* serverOf({ origin: Origin.required(Origin.allowList(["https://a.example"])) })
        yield* service.serve((socket) => socket.run(() => undefined))
        for (const origin of ["https://evil.example", undefined]) {
          const error = yield* Effect.flip(WebSocketClient.connect(service.address.url, { origin }))
          Assert.ok(error._tag === "Handshake_rejected")
          Assert.equal(error.status, 403)
        }
        yield* WebSocketClient.connect(service.address.url, { origin: "https://a.example" })
      })
    ),
    item("generate_key ()", "16 random bytes in base64", () => {
      const one = Handshake.generateKey(globalThis.crypto)
      Assert.equal(Buffer.from(one, "base64").length, 16)
      Assert.notEqual(one, Handshake.generateKey(globalThis.crypto))
    }),
    item(
      "connect ~sw ~net uri",
      "an open connection, after a handshake with the path and the host of the URI",
      Effect.gen(function* () {
        const { head, socket, wire } = yield* client()
        Assert.match(head, /^GET \/ HTTP\/1\.1\r\n/)
        Assert.match(header(head, "Host") ?? "", /^127\.0\.0\.1:\d+$/)
        Assert.equal(header(head, "Sec-WebSocket-Version"), "13")
        wire.write(frameBytes(0x81, "hello"))
        Assert.deepEqual(yield* socket.receive, Message.text("hello"))
      })
    ),
    item(
      "connect ~sw",
      "the switch, here the scope, closes the connection",
      Effect.gen(function* () {
        const listener = yield* listen()
        const scope = yield* Scope.make()
        const connecting = yield* Effect.fork(Scope.extend(WebSocketClient.connect(listener.url), scope))
        const wire = yield* listener.next
        yield* answer(wire)
        yield* Fiber.join(connecting)
        const ending = yield* Effect.fork(Scope.close(scope, Exit.void))
        Assert.deepEqual((yield* wire.frame).payload, closePayload(1000))
        wire.end(frameBytes(0x88, closePayload(1000)))
        yield* Fiber.join(ending)
        Assert.equal(yield* wire.rest, "")
      })
    ),
    item(
      "connect ?protocols",
      "offers them in order, and knows which was selected",
      Effect.gen(function* () {
        const { head, socket } = yield* client({ protocols: ["chat.v2", "chat.v1"] }, "Sec-WebSocket-Protocol: chat.v1")
        Assert.equal(header(head, "Sec-WebSocket-Protocol"), "chat.v2, chat.v1")
        Assert.equal(socket.protocol, "chat.v1")
      })
    ),
    item(
      "connect: (t, error) result",
      "an answer other than 101, and one that breaks the handshake, are errors",
      Effect.gen(function* () {
        const listener = yield* listen()
        const answers = (text: string) =>
          Effect.gen(function* () {
            const failing = yield* Effect.fork(Effect.flip(WebSocketClient.connect(listener.url)))
            const wire = yield* listener.next
            yield* wire.head
            wire.write(text)
            return yield* Fiber.join(failing)
          })
        const refused = yield* answers("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        Assert.ok(refused._tag === "Handshake_rejected")
        Assert.deepEqual([refused.status, refused.text], [403, "no"])
        const wrong = yield* answers(
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n"
        )
        Assert.ok(wrong._tag === "Protocol_error")
        Assert.equal(wrong.origin, "remote")
      })
    ),
    item(
      "connect ?tls_config",
      "TLS options of one connection, beside others that trust nobody",
      Effect.gen(function* () {
        const tls = yield* certificate
        const service = yield* NodeWebSocketServer.make({ port: 0, host: "127.0.0.1", tls })
        yield* service.serve((socket) => socket.run((message) => socket.send(message)))
        const { url } = service.address
        const socket = yield* NodeWebSocketClient.connect(url, { tls: { ca: tls.cert } })
        yield* socket.send("secret")
        Assert.deepEqual(yield* socket.receive, Message.text("secret"))
        for (const connect of [NodeWebSocketClient.connect, WebSocketClient.connect]) {
          const error = yield* Effect.flip(connect(url))
          Assert.ok(error._tag === "Io_error")
          Assert.equal(error.reason, "CertificateSelfSigned")
        }
      })
    ),
    item(
      "accept ~flow ~key ()",
      "writes the 101 for the key alone, and is a connection of a server",
      Effect.gen(function* () {
        const { flow, wire } = yield* handedOver()
        const socket = yield* NodeWebSocketServer.fromDuplex(flow.socket, { key })
        yield* Effect.addFinalizer(() => socket.abort)
        const head = yield* wire.head
        Assert.match(head, /^HTTP\/1\.1 101 /)
        Assert.equal(header(head, "Sec-WebSocket-Accept"), accept(key))
        Assert.equal(
          Handshake.isUpgradeRequest({ connection: header(head, "Connection"), upgrade: header(head, "Upgrade") }),
          true
        )
        Assert.equal(socket.role, "server")
        yield* socket.send("to the client")
        const { first, masked, payload } = yield* wire.frame
        Assert.deepEqual([first, masked, payload], [0x81, false, utf8("to the client")])
        wire.write(frameBytes(0x81, "to the server", clientMask))
        Assert.deepEqual(yield* socket.receive, Message.text("to the server"))
      })
    ),
    item(
      "accept ~flow ~key ()",
      "a flow that is paused when it is handed over is read on, with what came behind the request",
      Effect.gen(function* () {
        const { flow, wire } = yield* handedOver(frameBytes(0x81, "early", clientMask))
        Assert.equal(flow.socket.isPaused(), true)
        const socket = yield* NodeWebSocketServer.fromDuplex(flow.socket, { key, head: flow.head })
        yield* Effect.addFinalizer(() => socket.abort)
        wire.write(frameBytes(0x81, "late", clientMask))
        Assert.deepEqual(yield* socket.receive, Message.text("early"))
        Assert.deepEqual(yield* socket.receive, Message.text("late"))
      })
    ),
    item(
      "accept ~flow ~key ()",
      "its scope closes the connection",
      Effect.gen(function* () {
        const { flow, wire } = yield* handedOver()
        yield* Effect.fork(Effect.scoped(NodeWebSocketServer.fromDuplex(flow.socket, { key })))
        yield* wire.head
        Assert.deepEqual((yield* wire.frame).payload, closePayload(1000))
        wire.write(frameBytes(0x88, closePayload(1000), clientMask))
        Assert.equal(yield* wire.rest, "")
      })
    ),
    item(
      "accept ?max_payload_size",
      "the largest message of the connection",
      Effect.gen(function* () {
        const { flow, wire } = yield* handedOver()
        const limits = { maxMessageBytes: 10 }
        const socket = yield* NodeWebSocketServer.fromDuplex(flow.socket, { key, limits })
        yield* Effect.addFinalizer(() => socket.abort)
        yield* wire.head
        wire.write(frameBytes(0x82, new Uint8Array(11), clientMask))
        const error = yield* Effect.flip(socket.receive)
        Assert.ok(error._tag === "Payload_too_large")
        Assert.deepEqual((yield* wire.frame).payload.subarray(0, 2), closePayload(1009))
      })
    ),
    item(
      "accept: (t, error) result",
      "a malformed key is an error, and nothing is written",
      Effect.gen(function* () {
        const { flow, wire } = yield* handedOver()
        const error = yield* Effect.flip(NodeWebSocketServer.fromDuplex(flow.socket, { key: "short" }))
        Assert.ok(error._tag === "Protocol_error" && error.origin === "local")
        flow.socket.end("by hand")
        Assert.equal(yield* wire.rest, "by hand")
      })
    )
  ]
}
