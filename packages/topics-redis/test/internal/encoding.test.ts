import * as Message from "@effect-websocket/protocol/Message"
import {
  decodeBody,
  decodeChange,
  decodeEvent,
  decodeSession,
  encodeBody,
  encodeSession
} from "../../src/internal/encoding.js"
import { assert, describe, it } from "../platform.js"

const position = { epoch: "4f5a-11", offset: 12 }

describe("the encoding", () => {
  it("of a publication has its message and publisher", () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
    for (const message of [Message.text("ä \0 \n"), Message.text(""), Message.binary(bytes)]) {
      for (const publisher of [undefined, "", "hub:1 ä"]) {
        const body = encodeBody(message, publisher)
        const publication = { _tag: "Publication", position, message, publisher }
        assert.deepStrictEqual<unknown>(decodeBody(position, body), publication)
        const event = Buffer.concat([Buffer.from("P4f5a-11 12 "), body])
        assert.deepStrictEqual<unknown>(decodeEvent(event), publication)
      }
    }
  })

  it("gives bytes of their own, not a part of what was read", () => {
    const body = encodeBody(Message.binary(Uint8Array.of(1, 2)), undefined)
    const { message } = decodeBody(position, body)
    body.fill(0)
    assert.deepStrictEqual(message.data, Uint8Array.of(1, 2))
  })

  it("of a removed topic is no publication", () => {
    assert.isUndefined(decodeEvent(Buffer.from("R")))
  })

  it("of a session is unique for its key and session", () => {
    for (const [key, session] of [
      ["a", "b"],
      ['a","b', ""],
      ["", 'a","b']
    ] as const) {
      assert.deepStrictEqual(decodeSession(Buffer.from(encodeSession(key, session))), { key, session })
    }
  })

  it("of a change has its session, meta and expiry", () => {
    const id = encodeSession("ä", "1")
    const change = (tag: string) => Buffer.from(`${tag}250:${Buffer.byteLength(id)}:${id}meta:ä`)
    const entry = { key: "ä", session: "1", meta: "meta:ä" }
    assert.deepStrictEqual(decodeChange(change("E")), { _tag: "Entered", entry, expiry: 250 })
    assert.deepStrictEqual(decodeChange(change("L")), { _tag: "Left", entry, expiry: 250 })
  })

  it("that another program wrote is none", () => {
    for (const text of ["", "[", "1", "[1,2]", '["a"]']) assert.isUndefined(decodeSession(Buffer.from(text)))
    assert.isUndefined(decodeChange(Buffer.from("nonsense")))
  })
})
