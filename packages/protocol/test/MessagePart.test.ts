import { assert, describe, it } from "vitest"
import * as Message from "@effect-websocket/protocol/Message"
import * as MessagePart from "@effect-websocket/protocol/MessagePart"

describe("MessagePart", () => {
  it("is recognised by its TypeId", () => {
    const parts = [
      new MessagePart.TextPart("a", true, false),
      new MessagePart.BinaryPart(new Uint8Array(1), false, true)
    ]
    for (const part of parts) {
      assert.isTrue(MessagePart.isMessagePart(part))
      assert.isFalse(Message.isMessage(part))
    }
    for (const other of [undefined, null, {}, Message.text("a")]) assert.isFalse(MessagePart.isMessagePart(other))
  })
})
