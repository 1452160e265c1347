import * as Message from "@effect-websocket/protocol/Message"
import { headers } from "@nats-io/transport-node"
import { decodePublication, decodeSession, encodePublication, encodeSession } from "../../src/internal/encoding.js"
import { assert, describe, it } from "../platform.js"

const position = { epoch: "4f5a-11", offset: 12 }
const bytesOf = (data: string | Uint8Array): Uint8Array => (typeof data === "string" ? Buffer.from(data) : data)

describe("the encoding", () => {
  it("of a publication has its message and publisher", () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
    for (const message of [Message.text("\uFEFFä \0 \n"), Message.text(""), Message.binary(bytes)]) {
      for (const publisher of [undefined, "", "hub:1 ä\r\n"]) {
        const encoded = encodePublication(message, publisher, "key")
        const publication = { _tag: "Publication", position, message, publisher }
        const decoded = decodePublication(position, bytesOf(encoded.data), encoded.headers)
        assert.deepStrictEqual<unknown>(decoded, publication)
      }
    }
  })

  it("of a publication has its idempotency key in the header of JetStream, also if it is empty", () => {
    const keyOf = (key: string | undefined) =>
      encodePublication(Message.text("text"), undefined, key).headers.get("Nats-Msg-Id")
    assert.deepStrictEqual([keyOf("a b"), keyOf(""), keyOf(undefined)], ["=a=20b", "=", ""])
  })

  it("gives bytes of their own, not a part of what was read", () => {
    const { data, headers } = encodePublication(Message.binary(Uint8Array.of(1, 2)), undefined, undefined)
    const { message } = decodePublication(position, bytesOf(data), headers)
    bytesOf(data).fill(0)
    assert.deepStrictEqual(message.data, Uint8Array.of(1, 2))
  })

  it("that another program wrote is a text without a publisher", () => {
    const message = Message.text("text")
    const publication = { _tag: "Publication", position, message, publisher: undefined }
    for (const all of [undefined, headers()]) {
      assert.deepStrictEqual<unknown>(decodePublication(position, Buffer.from("text"), all), publication)
    }
  })

  it("of a session has its key, session, meta and expiry", () => {
    const entry = { key: 'a":\n🚀', session: "\uD800", meta: "" }
    assert.deepStrictEqual(decodeSession(encodeSession(entry, 250)), { entry, expiry: 250 })
  })

  it("of a session that another program wrote is none", () => {
    for (const text of ["", "[", "1", "null", "{}", '{"key":"a","session":"b","meta":"c","expiry":"1"}']) {
      assert.isUndefined(decodeSession(text))
    }
  })
})
