import { assert, describe, it } from "vitest"
import * as Message from "@effect-websocket/protocol/Message"

describe("Message", () => {
  it("makes text", () => {
    const message = Message.text("hello")
    assert.instanceOf(message, Message.Text)
    assert.deepStrictEqual({ ...message }, { _tag: "Text", data: "hello" })
    assert.isTrue(Message.isText(message))
    assert.isFalse(Message.isBinary(message))
  })

  it("makes binary messages without copying the bytes", () => {
    const data = new Uint8Array([1, 2])
    const message = Message.binary(data)
    assert.instanceOf(message, Message.Binary)
    assert.strictEqual(message._tag, "Binary")
    assert.strictEqual(message.data, data)
    assert.isTrue(Message.isBinary(message))
    assert.isFalse(Message.isText(message))
  })

  it("makes either kind from data", () => {
    assert.deepStrictEqual({ ...Message.make("a") }, { ...Message.text("a") })
    const data = new Uint8Array([1])
    assert.strictEqual(Message.make(data).data, data)
  })

  it("views the bytes of any buffer or view, in place", () => {
    const { buffer } = Uint8Array.of(1, 2, 3, 4)
    const { data } = Message.binary(new DataView(buffer, 1, 2))
    assert.deepStrictEqual(data, Uint8Array.of(2, 3))
    assert.strictEqual(data.buffer, buffer)
    assert.deepStrictEqual(Message.binary(buffer).data, Uint8Array.of(1, 2, 3, 4))
  })

  it.each([[undefined], [null], [3], [{}], [[1, 2]], [new Blob([])], [Symbol("x")], [1n]])(
    "cannot be made of %s",
    (data) => {
      assert.throws(() => Message.text(data as never), TypeError, "must be a string")
      assert.throws(() => Message.binary(data as never), TypeError, "must be a Uint8Array")
      assert.throws(() => Message.make(data as never), TypeError, "must be a Uint8Array")
    }
  )

  it("throws an error that names the type of its argument, but not its content", () => {
    assert.throws(() => Message.binary("secret" as never), /not a string$/)
    assert.throws(() => Message.text(undefined as never), /not undefined$/)
    assert.throws(() => Message.text(new Map() as never), /not \[object Map\]$/)
  })

  it.each<[Message.Message, number]>([
    [Message.text(""), 0],
    [Message.text("abc"), 3],
    [Message.text("10 €"), 6],
    [Message.text("\u{1f600}"), 4],
    [Message.text("\ud800"), 3],
    [Message.binary(new Uint8Array(7)), 7]
  ])("%j has %i bytes", (message, size) => {
    assert.strictEqual(Message.size(message), size)
    assert.strictEqual(Message.bytes(message).length, size)
  })

  it("returns the bytes of its UTF-8, or its own bytes", () => {
    assert.deepStrictEqual(Message.bytes(Message.text("é")), Uint8Array.of(0xc3, 0xa9))
    const data = Uint8Array.of(1)
    assert.strictEqual(Message.bytes(Message.binary(data)), data)
  })

  it("is recognised by its TypeId, which is not enumerable", () => {
    for (const message of [Message.text("a"), Message.binary(new Uint8Array(1))]) {
      assert.isTrue(Message.isMessage(message))
      assert.deepStrictEqual(Object.keys(message), ["_tag", "data"])
      assert.deepStrictEqual(Object.getOwnPropertySymbols(message), [])
    }
    for (const other of [undefined, null, 1, "text", {}, { _tag: "Text", data: "a" }]) {
      assert.isFalse(Message.isMessage(other))
    }
  })

  it("is shared if `share` made it", () => {
    for (const message of [Message.text("a"), Message.binary(new Uint8Array(1))]) {
      assert.isFalse(Message.isShared(message))
      assert.isTrue(Message.isShared(Message.share(message)))
    }
  })
})
