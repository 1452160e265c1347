import { isProtocolError, type HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import { assert, describe, it } from "@effect/vitest"
import { BodyStart, check } from "../../../src/engine/client/Answer.js"

const offer: Handshake.Offer = { key: Handshake.makeKey(new Uint8Array(16)), protocols: ["a", "b"] }
const answer = (extra: HeaderRecord = {}): HeaderRecord => ({
  upgrade: "websocket",
  connection: "Upgrade",
  "sec-websocket-accept": Handshake.acceptValue(offer.key),
  ...extra
})

describe("check", () => {
  it("returns what the server agreed to", () => {
    assert.deepStrictEqual(check({ headers: answer({ "sec-websocket-protocol": "b" }) }, offer, undefined), {
      agreement: { protocol: "b", extensions: [] },
      deflate: undefined
    })
  })

  it("reads the answer 200 of HTTP/2, which has no accept value", () => {
    assert.deepStrictEqual(check({ status: 200, headers: { "sec-websocket-protocol": "b" } }, offer, undefined), {
      agreement: { protocol: "b", extensions: [] },
      deflate: undefined
    })
    assert.isTrue(isProtocolError(check({ status: 200, headers: { "sec-websocket-protocol": "c" } }, offer, undefined)))
  })

  it("returns why the answer breaks the handshake", () => {
    for (const extra of [{ "sec-websocket-accept": "x" }, { "sec-websocket-protocol": "c" }, { upgrade: undefined }]) {
      assert.isTrue(isProtocolError(check({ headers: answer(extra) }, offer, undefined)), JSON.stringify(extra))
    }
  })
})

describe("BodyStart", () => {
  it("keeps the first 64 KiB", () => {
    const body = new BodyStart()
    body.add(new Uint8Array(40_000).fill(1))
    assert.isFalse(body.isCut)
    body.add(new Uint8Array(25_536).fill(2))
    assert.isFalse(body.isCut)
    assert.strictEqual(body.toError(403, {}, true).body.length, 65_536)
    body.add(new Uint8Array(1).fill(3))
    assert.isTrue(body.isCut)
    const error = body.toError(403, { a: "1" }, false)
    assert.strictEqual(error.body.length, 65_536)
    assert.deepStrictEqual([error.body[39_999], error.body[40_000], error.body[65_535]], [1, 2, 2])
    assert.deepInclude({ ...error }, { status: 403, headers: { a: "1" }, bodyTruncated: true })
  })

  it("may have no part", () => {
    assert.deepInclude({ ...new BodyStart().toError(503, {}, true) }, { body: new Uint8Array(0), bodyTruncated: false })
  })
})
