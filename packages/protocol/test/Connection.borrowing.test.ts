/** Borrowed messages: payloads that the app gives back. */
import { assert, describe, it } from "vitest"
import type * as Connection from "@effect-websocket/protocol/Connection"
import * as Message from "@effect-websocket/protocol/Message"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import * as fc from "fast-check"
import * as Any from "./arbitraries.js"
import {
  binary,
  continuation,
  endpoint,
  peerOf,
  plainEvent,
  roles,
  sentTo,
  text,
  type Endpoint,
  type Role
} from "./endpoints.js"
import { concat, hex } from "./support.js"
import { zlib } from "./zlib.js"

const settings = PermessageDeflate.resolve({
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  threshold: 0
})
const direction = { windowBits: 12, contextTakeover: false }
const compression = {
  agreement: { extension: PermessageDeflate.offer(settings)[0]!, outbound: direction, inbound: direction },
  settings,
  zlib
}

const borrower = (role: Role, options?: Endpoint): Connection.Connection => {
  const connection = endpoint(role, options)
  connection.borrowing = true
  return connection
}

const receiveOne = (connection: Connection.Connection, ...chunks: ReadonlyArray<Uint8Array>): Message.Message => {
  const events = chunks.flatMap((chunk) => connection.receive(chunk))
  assert.lengthOf(events, 1)
  const [message] = events
  assert.isTrue(Message.isMessage(message))
  return message as Message.Message
}

const bytesOf = (message: Message.Message): Uint8Array => {
  assert.strictEqual(message._tag, "Binary")
  return message.data as Uint8Array
}

const payload = (size: number): Uint8Array => new Uint8Array(size).map((_, i) => i)

/** The chunks of a frame, cut after some bytes. */
const cut = (bytes: Uint8Array, at: number) => [bytes.slice(0, at), bytes.slice(at)]

describe.each(roles)("borrowing, as %s", (role) => {
  const arrivals = {
    "in one chunk": (sent: Uint8Array) => [sent],
    "in two chunks": (sent: Uint8Array) => cut(sent, 300)
  }
  for (const [how, chunksOf] of Object.entries(arrivals)) {
    it(`a message that arrives ${how} has its bytes until it is given back`, () => {
      const connection = borrower(role)
      const sent = payload(1000)
      const data = bytesOf(receiveOne(connection, ...chunksOf(sentTo(role, binary(sent)))))
      assert.strictEqual(hex(data), hex(sent))
      const part = data.subarray(3)
      connection.giveBack(Message.binary(data))
      assert.deepStrictEqual([data.length, part.length], [0, 0])
      const next = bytesOf(receiveOne(connection, ...chunksOf(sentTo(role, binary(payload(900))))))
      assert.strictEqual(hex(next), hex(payload(900)))
      assert.strictEqual(data.length, 0)
    })
  }

  it("a fragmented message is borrowed", () => {
    const connection = borrower(role)
    const sent = payload(5000)
    const frames = [binary(sent.subarray(0, 100), { fin: false }), continuation(sent.subarray(100))]
    const data = bytesOf(receiveOne(connection, sentTo(role, ...frames)))
    assert.strictEqual(hex(data), hex(sent))
    connection.giveBack(Message.binary(data))
    assert.lengthOf(data, 0)
  })

  it("a message that is never given back keeps its bytes", () => {
    const connection = borrower(role)
    const kept = Array.from({ length: 20 }, (_, i) =>
      receiveOne(connection, sentTo(role, binary(new Uint8Array(1000).fill(i))))
    )
    for (const [i, message] of kept.entries()) assert.isTrue(bytesOf(message).every((byte) => byte === i))
  })

  it("text, empty messages and messages that are not borrowed cannot be given back", () => {
    const connection = borrower(role)
    for (const message of [text("hello"), binary("")]) {
      const received = receiveOne(connection, sentTo(role, message))
      connection.giveBack(received)
      assert.strictEqual(Message.keep(received), received)
      assert.strictEqual(Message.size(received), message.payload.length)
    }
    connection.borrowing = false
    const owned = receiveOne(connection, sentTo(role, binary(payload(1000))))
    connection.giveBack(owned)
    assert.strictEqual(Message.keep(owned), owned)
    assert.strictEqual(hex(bytesOf(owned)), hex(payload(1000)))
  })

  it("compressed messages are not borrowed", () => {
    const connection = borrower(role, { compression })
    const peer = endpoint(peerOf(role), { compression })
    peer.send(Message.binary(payload(4000)))
    const message = receiveOne(connection, concat(peer.takeOutput()))
    connection.giveBack(message)
    assert.strictEqual(hex(bytesOf(message)), hex(payload(4000)))
  })

  it("recorded frames stay when their message is given back", () => {
    const connection = borrower(role, { recordFrames: true })
    const message = receiveOne(connection, sentTo(role, binary(payload(1000))))
    connection.giveBack(message)
    assert.strictEqual(hex(Message.frames(message)![0]!.payload), hex(payload(1000)))
  })

  it("a chunk is never kept, and its text and parts are as before", () => {
    const connection = borrower(role)
    const chunk = sentTo(role, binary(payload(1000)))
    const [message] = connection.receive(chunk, true)
    assert.isFalse(connection.keepsChunk)
    chunk.fill(0)
    assert.deepStrictEqual(plainEvent(message!), plainEvent(Message.binary(payload(1000))))
    connection.receive(sentTo(role, text("x".repeat(1000))), true)
    assert.isFalse(connection.keepsChunk)
    const parts = borrower(role, { delivery: "streams" })
    parts.receive(sentTo(role, binary(payload(1000))), true)
    assert.isTrue(parts.keepsChunk)
    const frames = borrower(role, { delivery: "frames" })
    frames.receive(sentTo(role, binary(payload(1000))), true)
    assert.isTrue(frames.keepsChunk)
  })

  it("all messages are right, however the bytes are cut and whenever messages are given back", () => {
    const message = fc.record({ data: fc.oneof(Any.text, Any.payload), givesBack: fc.boolean() })
    fc.assert(
      fc.property(fc.array(message, { maxLength: 8 }), fc.array(fc.nat(), { maxLength: 6 }), (sent, cuts) => {
        const connection = borrower(role)
        const bytes = sentTo(role, ...sent.map(({ data }) => (typeof data === "string" ? text(data) : binary(data))))
        const ends = [...cuts.map((at) => at % (bytes.length + 1)), bytes.length].sort((a, b) => a - b)
        const kept: Array<[Message.Message, string | Uint8Array]> = []
        let index = 0
        let start = 0
        for (const end of ends) {
          for (const event of connection.receive(bytes.slice(start, end), true)) {
            const { data, givesBack } = sent[index++]!
            const message = event as Message.Message
            assert.deepStrictEqual(plainEvent(message), plainEvent(Message.make(data)))
            if (givesBack) connection.giveBack(message)
            else kept.push([message, data])
          }
          start = end
        }
        assert.strictEqual(index, sent.length)
        for (const [message, data] of kept) assert.deepStrictEqual(plainEvent(message), plainEvent(Message.make(data)))
      })
    )
  })
})

describe("sending what was borrowed", () => {
  const size = 100_000
  const lent = (): { readonly connection: Connection.Connection; readonly message: Message.Message } => {
    const connection = borrower("server")
    return { connection, message: receiveOne(connection, sentTo("server", binary(payload(size)))) }
  }
  const received = (pieces: ReadonlyArray<Uint8Array>): string =>
    hex(bytesOf(receiveOne(endpoint("client"), concat(pieces))))

  it("leaves a large payload alone until its bytes are written", () => {
    const { connection, message } = lent()
    const other = endpoint("server")
    // On another connection, and a part of it.
    other.send(Message.binary(bytesOf(message).subarray(1)))
    connection.giveBack(message)
    assert.strictEqual(received(other.takeOutput()), hex(payload(size).subarray(1)))
    connection.giveBack(message)
    assert.lengthOf(bytesOf(message), size)
    other.recycleOutput()
    connection.giveBack(message)
    assert.lengthOf(bytesOf(message), 0)
  })

  it("waits for the right bytes: those of the last take, not later ones", () => {
    const { connection, message } = lent()
    const other = endpoint("server")
    other.send(Message.text("first"))
    other.takeOutput()
    other.send(message)
    other.recycleOutput()
    connection.giveBack(message)
    assert.lengthOf(bytesOf(message), size)
    other.takeOutput()
    other.send(Message.text("last"))
    other.recycleOutput()
    connection.giveBack(message)
    assert.lengthOf(bytesOf(message), 0)
  })

  it("never uses a payload again whose output was not recycled before the next was taken", () => {
    const { connection, message } = lent()
    const { connection: second, message: next } = lent()
    const other = endpoint("server")
    other.send(message)
    other.takeOutput()
    other.send(next)
    other.takeOutput()
    other.recycleOutput()
    connection.giveBack(message)
    second.giveBack(next)
    assert.deepStrictEqual([bytesOf(message).length, bytesOf(next).length], [size, 0])
  })

  it("copies a small payload, and everything that a client sends", () => {
    const { connection, message } = lent()
    const client = endpoint("client")
    client.send(message)
    const other = endpoint("server")
    const small = receiveOne(connection, sentTo("server", binary(payload(1000))))
    other.send(small)
    connection.giveBack(message)
    connection.giveBack(small)
    assert.deepStrictEqual([bytesOf(message).length, bytesOf(small).length], [0, 0])
    assert.strictEqual(received(other.takeOutput()), hex(payload(1000)))
    const peer = endpoint("server")
    assert.strictEqual(hex(bytesOf(receiveOne(peer, concat(client.takeOutput())))), hex(payload(size)))
  })

  it("is refused with a TypeError once it was given back", () => {
    const { connection, message } = lent()
    const part = bytesOf(message).subarray(7)
    connection.giveBack(message)
    const error = /was borrowed, and has been given back/
    assert.throws(() => connection.send(message), error)
    assert.throws(() => connection.send(Message.binary(part)), error)
    assert.throws(() => connection.sendFragment(part, true), error)
    assert.strictEqual(connection.outputBytes, 0)
    assert.isUndefined(connection.send(Message.binary(new Uint8Array(0))))
  })

  it("deflates a copy on another thread", () => {
    const other = endpoint("server", { compression })
    const { connection, message } = lent()
    const deflation = other.deflation(message)
    connection.giveBack(message)
    assert.strictEqual(hex(deflation!.data), hex(payload(size)))
  })
})

describe("Message.keep", () => {
  it("copies a borrowed message", () => {
    const connection = borrower("server")
    const message = receiveOne(connection, sentTo("server", binary(payload(1000))))
    const kept = Message.keep(message)
    connection.giveBack(message)
    assert.strictEqual(hex(bytesOf(kept)), hex(payload(1000)))
  })
})
