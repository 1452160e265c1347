/** The programs of docs/protocol.md. */
import { assert, describe, it, vi } from "@effect/vitest"
import { Connection, Errors, Handshake, Mask, Message } from "@effect-websocket/protocol"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { createServer, type AddressInfo } from "node:net"
import { Duplex } from "node:stream"
import * as Codec from "../src/protocol/codec.js"
import * as Compression from "../src/protocol/compression.js"
import { answer, checkAnswer, type Head, parseHead, request } from "../src/protocol/handshake.js"
import { makeServer } from "../src/protocol/limits.js"
import { askOnce, echoServer } from "../src/protocol/net.js"
import { runOnStreams } from "../src/protocol/webStream.js"

const key = "dGhlIHNhbXBsZSBub25jZQ=="
const offer: Handshake.Offer = { key, protocols: ["chat.v1"], origin: "https://example.com" }
const asked = (parts: Handshake.Offer) => parseHead(Errors.getOrThrow(request("a", "/", parts)).split("\r\n\r\n")[0]!)
const headOf = (text: string): Head => parseHead(text.split("\r\n\r\n")[0]!)

describe("docs/protocol.md", () => {
  it("shows only excerpts of programs that run here", () => {
    const text = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8")
    const blocks = [...text.matchAll(/^```ts\n(.*)$/gm)].map(([, first]) => first)
    assert.isAtLeast(blocks.length, 7)
    for (const first of blocks) assert.match(first ?? "", /^\/\/ examples\/src\/protocol\/\w+\.ts$/)
  })

  it("codec: decodes what it encodes, however it is split", () => {
    const lines = ["Text masked 3 bytes 68 65 6c", "Ping fin masked 0 bytes", "Continuation fin masked 2 bytes 6c 6f"]
    assert.deepStrictEqual(Codec.readByServer(Codec.sentByClient), lines)
    const bytes = Codec.sentByClient.flatMap((frame) => Array.from(frame, (byte) => Uint8Array.of(byte)))
    assert.deepStrictEqual(Codec.readByServer(bytes), lines)
    const unmasked = Uint8Array.of(0x89, 0)
    assert.deepStrictEqual(Codec.readByServer([unmasked]), ["A client's frame is not masked (RFC 6455 §5.1)"])
  })

  it("handshake: both sides reach the same agreement", () => {
    const { agreement, head } = answer(asked(offer))
    assert.deepStrictEqual(agreement, { protocol: "chat.v1", extensions: [] })
    assert.deepStrictEqual(checkAnswer(headOf(head), offer), agreement)
  })

  it.each([
    ["404", parseHead("GET / HTTP/1.1\r\nHost: a")],
    ["400", { ...asked(offer), start: "POST / HTTP/1.1" }],
    ["403", asked({ key })],
    ["403", asked({ key, origin: "https://evil.example" })]
  ] satisfies ReadonlyArray<[string, Head]>)("handshake: answers %s", (status, head) => {
    const refused = answer(head)
    assert.strictEqual(refused.head.split(" ")[1], status)
    assert.isUndefined(refused.agreement)
    assert.isTrue(Errors.isProtocolError(checkAnswer(headOf(refused.head), offer)))
  })

  it("handshake: a malformed offer is an error before anything is sent", () => {
    assert.isTrue(Errors.isProtocolError(request("a", "/", { key: "short" })))
  })

  it("net: a client and a server exchange messages and close", async () => {
    const server = echoServer().listen(0, "127.0.0.1")
    try {
      await once(server, "listening")
      const { port } = server.address() as AddressInfo
      assert.strictEqual(await askOnce(port, "hello"), "hello")
    } finally {
      server.close()
      await once(server, "close")
    }
  })

  it("net: reads nothing from a peer that does not read", async () => {
    const size = 100_000
    const client = Connection.make({ role: "client", maskKey: () => 0 })
    const sent = Array.from({ length: 20 }, (_, index) => {
      client.send(Message.binary(new Uint8Array(size)))
      // The Close arrives in one read with the last message, while the socket is paused for the echo.
      if (index === 19) client.close(1000)
      return Buffer.concat(client.takeOutput())
    })
    const behindClose = Buffer.alloc(size)
    const input = [Buffer.from(Errors.getOrThrow(request("a", "/", offer))), ...sent, behindClose]
    const output: Array<Buffer> = []
    let reading = false
    let take: () => void = () => undefined
    const socket = new Duplex({
      read() {
        this.push(input.shift() ?? null)
      },
      write(bytes: Buffer, _encoding, taken) {
        output.push(bytes)
        if (reading) setImmediate(taken)
        else take = taken
      }
    })
    const closed = once(socket, "close")
    const stopped = Promise.race([once(socket, "pause"), once(socket, "end")])
    echoServer().emit("connection", socket)
    await stopped
    assert.isTrue(socket.isPaused())
    assert.isBelow(socket.writableLength, 2 * size)
    assert.isAtLeast(input.length, 17)

    reading = true
    take()
    await closed
    assert.isTrue(socket.readableEnded)
    const bytes = Buffer.concat(output)
    const events = client.receive(bytes.subarray(bytes.indexOf("\r\n\r\n") + 4))
    assert.lengthOf(events.filter(Message.isMessage), 20)
    assert.strictEqual(client.closeStatus.received?.code, 1000)
  })

  it("net: a server drops a peer that sends no head", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
    try {
      const socket = new Duplex({ read: () => undefined, write: (_bytes, _encoding, taken) => taken() })
      const closed = new Promise<void>((resolve) => socket.once("close", resolve))
      echoServer().emit("connection", socket)
      vi.advanceTimersByTime(9999)
      assert.isFalse(socket.destroyed)
      vi.advanceTimersByTime(1)
      await closed
      assert.strictEqual(socket.errored?.message, "No head came in time")
    } finally {
      vi.useRealTimers()
    }
  })

  it("net: a head that is too long is an error of the client", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => socket.destroy())
      socket.resume().end("a".repeat(17 * 1024))
    }).listen(0, "127.0.0.1")
    try {
      await once(server, "listening")
      const { port } = server.address() as AddressInfo
      const error: unknown = await askOnce(port, "hello").catch((cause: unknown) => cause)
      assert.match(String(error), /too long/)
    } finally {
      server.close()
      await once(server, "close")
    }
  })

  it("web streams: a client and a server exchange messages and close", async () => {
    const pipe = () => new TransformStream<Uint8Array, Uint8Array>(undefined, undefined, { highWaterMark: 16 })
    const there = pipe()
    const back = pipe()
    const server = Connection.make({ role: "server" })
    const client = Connection.make({ role: "client", maskKey: Mask.keys(globalThis.crypto) })
    const received: Array<string> = []
    client.send(Message.text("hello"))
    await Promise.all([
      runOnStreams(server, { readable: there.readable, writable: back.writable }, (event) => {
        if (Message.isMessage(event)) server.send(event)
      }),
      runOnStreams(client, { readable: back.readable, writable: there.writable }, (event) => {
        if (event._tag !== "Text") return
        received.push(event.data)
        client.close(1000)
      })
    ])
    assert.deepStrictEqual(received, ["hello"])
    assert.isTrue(client.closeStatus.clean && server.closeStatus.clean)
  })

  it("limits: apply in both directions", () => {
    const server = makeServer()
    const refused = server.send(Message.text("a".repeat(1024 * 1024 + 1)))
    assert(refused?._tag === "Payload_too_large")
    assert.strictEqual(refused.direction, "outbound")
    assert.isUndefined(server.send(Message.text("on")))
    const client = Connection.make({ role: "client", maskKey: () => 0, maxFrameSize: 1024 })
    client.send(Message.text("a".repeat(64 * 1024)))
    const events = client.takeOutput().flatMap((bytes) => server.receive(bytes))
    assert.strictEqual(events[0]?._tag, "Ended")
    assert.strictEqual(server.closeStatus.sent?.code, 1009)
  })

  it("compression: is negotiated and saves bytes", () => {
    const offered = { ...offer, extensions: Compression.offers }
    const checked = (parts: Handshake.Offer) => {
      const headers = Errors.getOrThrow(Handshake.requestHeaders(parts))
      const request = Handshake.checkRequest({
        method: "GET",
        url: "/",
        httpVersion: "1.1",
        headers: { host: "a", ...headers }
      })
      assert(request._tag === "UpgradeRequest")
      return request
    }
    const { connection: server, headers } = Compression.acceptRequest(checked(offered), "chat.v1")
    const answered = Errors.getOrThrow(Handshake.checkResponse({ status: 101, headers }, offered))
    const client = Errors.getOrThrow(Compression.acceptAnswer(answered))
    const text = "hello ".repeat(100)
    client.send(Message.text(text))
    assert.isBelow(client.outputBytes, text.length / 4)
    const events = client.takeOutput().flatMap((bytes) => server.receive(bytes))
    assert.deepStrictEqual({ ...events[0] }, { ...Message.text(text) })
    assert.isUndefined(Compression.acceptRequest(checked(offer)).headers["Sec-WebSocket-Extensions"])
    const stray = {
      protocol: undefined,
      extensions: [{ name: "permessage-deflate", parameters: [["x", "y"] as const] }]
    }
    assert.isTrue(Errors.isProtocolError(Compression.acceptAnswer(stray)))
    assert.strictEqual(
      Compression.zlib.inflate(Uint8Array.of(0xff), { dictionary: new Uint8Array(0), windowBits: 15, maxBytes: 10 }),
      "Corrupt"
    )
  })
})
