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

  it("makes binary messages of the very bytes", () => {
    const data = new Uint8Array([1, 2])
    const message = Message.binary(data)
    assert.instanceOf(message, Message.Binary)
    assert.strictEqual(message._tag, "Binary")
    assert.strictEqual(message.data, data)
    assert.isTrue(Message.isBinary(message))
    assert.isFalse(Message.isText(message))
  })
})
