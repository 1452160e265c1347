import { Binary, Text } from "@effect-websocket/protocol/Message"
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { binary, formOf, forms, json } from "../../../../src/engine/topics/wire/Form.js"
import type { Answer, Request } from "../../../../src/engine/topics/wire/TopicsMessage.js"
import { codePoint } from "../../../codePoint.js"

const text = fc.string({ unit: codePoint })
const uint = fc.maxSafeNat()
const position = fc.record({ epoch: text, offset: uint })
const data = fc.oneof(
  text.map((value) => new Text(value)),
  fc.uint8Array().map((bytes) => new Binary(bytes))
)
const maybe = <A>(values: fc.Arbitrary<A>) => fc.option(values, { nil: undefined })
const members = fc.array(fc.record({ key: text, metas: fc.array(text) }))
const of = <T extends string>(type: T) => fc.constant(type)
const topical = { id: uint, topic: text }

const requests: fc.Arbitrary<Request> = fc.oneof(
  fc.record({ type: of("subscribe"), ...topical, since: maybe(position), last: uint }),
  fc.record({ type: of("unsubscribe"), ...topical }),
  fc.record({ type: of("publish"), ...topical, key: maybe(text), echo: fc.boolean(), data }),
  fc.record({ type: of("ping"), id: uint, topic: maybe(text) }),
  fc.record({ type: of("track"), ...topical, session: uint, key: text, meta: text }),
  fc.record({ type: of("untrack"), id: uint, session: uint }),
  fc.record({ type: of("watch"), ...topical, counts: fc.boolean() }),
  fc.record({ type: of("unwatch"), ...topical, counts: fc.boolean() })
)

const answers: fc.Arbitrary<Answer> = fc.oneof(
  fc.record({ type: of("ok"), id: uint, position: maybe(position) }),
  fc.record({ type: of("error"), id: uint, reason: text, max: maybe(uint) }),
  fc.record({
    type: of("started"),
    topic: text,
    how: fc.constantFrom("new" as const, "recovered" as const, "gap" as const),
    position,
    missed: uint
  }),
  fc.record({ type: of("publication"), topic: text, position, data }),
  fc.record({ type: of("present"), topic: text, members }),
  fc.record({ type: of("changed"), topic: text, joined: members, updated: members, left: members }),
  fc.record({ type: of("count"), topic: text, count: uint })
)

const toMessage = (encoded: string | Uint8Array) =>
  typeof encoded === "string" ? new Text(encoded) : new Binary(encoded)

for (const form of forms) {
  describe(form.protocol, () => {
    it("is found by its name", () => assert.strictEqual(formOf(form.protocol), form))

    it("decodes every request and answer as it was", () => {
      fc.assert(
        fc.property(requests, (request) => {
          const encoded = toMessage(form.encode(request))
          assert.deepStrictEqual(form.decodeRequest(encoded), request)
          assert.isUndefined(form.decodeAnswer(encoded))
        })
      )
      fc.assert(
        fc.property(answers, (answer) => {
          const encoded = toMessage(form.encode(answer))
          assert.deepStrictEqual(form.decodeAnswer(encoded), answer)
          assert.isUndefined(form.decodeRequest(encoded))
        })
      )
    })

    it("refuses anything that it would not send", () => {
      fc.assert(
        fc.property(data, (message) => {
          const decoded = form.decodeRequest(message) ?? form.decodeAnswer(message)
          if (decoded !== undefined) assert.deepStrictEqual(toMessage(form.encode(decoded)), message)
        })
      )
    })
  })
}

describe("the binary form", () => {
  it("refuses every part of a message, and more than a message", () => {
    fc.assert(
      fc.property(fc.oneof(requests, answers), (message) => {
        const bytes = Uint8Array.from(binary.encode(message) as Uint8Array)
        for (let length = 0; length < bytes.length; length++) {
          const part = new Binary(bytes.slice(0, length))
          assert.isUndefined(binary.decodeRequest(part) ?? binary.decodeAnswer(part))
        }
        const more = new Binary(Uint8Array.of(...bytes, 0))
        assert.isUndefined(binary.decodeRequest(more) ?? binary.decodeAnswer(more))
      })
    )
  })

  it("has one form for each message: other bytes are another message, or none", () => {
    fc.assert(
      fc.property(requests, fc.nat(), fc.integer({ min: 0, max: 255 }), (request, at, byte) => {
        const bytes = binary.encode(request) as Uint8Array
        const changed = bytes.slice()
        changed[at % bytes.length] = byte
        const decoded = binary.decodeRequest(new Binary(changed))
        if (decoded !== undefined) assert.deepStrictEqual(binary.encode(decoded), changed)
      })
    )
  })

  it.each([
    ["a group of an integer that does nothing", [4, 0x81, 0x00, 0]],
    ["an integer above 2^53 - 1", [4, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x10, 0]],
    ["a length beyond the end", [2, 1, 5, 0x61]],
    ["text that is not UTF-8", [2, 1, 1, 0xff]],
    ["a flag that is neither 0 nor 1", [4, 1, 2]]
  ])("refuses %s", (_, bytes) => assert.isUndefined(binary.decodeRequest(new Binary(Uint8Array.from(bytes)))))

  it("is laid out as the specification says", () => {
    const encoded = binary.encode({
      type: "publish",
      id: 300,
      topic: "a/é",
      key: "k",
      echo: true,
      data: new Binary(Uint8Array.of(7, 8))
    })
    assert.deepStrictEqual(
      Array.from(encoded as Uint8Array),
      [3, 0xac, 0x02, 4, 0x61, 0x2f, 0xc3, 0xa9, 1, 1, 0x6b, 1, 1, 2, 7, 8]
    )
  })
})

describe("the JSON form", () => {
  it("is laid out as the specification says", () => {
    assert.strictEqual(
      json.encode({ type: "publish", id: 1, topic: "a", key: undefined, echo: false, data: new Text("hi") }),
      '{"type":"publish","id":1,"topic":"a","data":"hi"}'
    )
    assert.strictEqual(
      json.encode({
        type: "publication",
        topic: "a",
        position: { epoch: "e", offset: 2 },
        data: new Binary(Uint8Array.of(255))
      }),
      '{"type":"publication","topic":"a","position":{"epoch":"e","offset":2},"data":{"base64":"/w=="}}'
    )
  })

  it("ignores fields that it does not know", () =>
    assert.deepStrictEqual(json.decodeRequest(new Text('{"type":"ping","id":1,"more":[1]}')), {
      type: "ping",
      id: 1,
      topic: undefined
    }))

  it.each([
    '{"type":"ping"}',
    '{"type":"ping","id":-1}',
    '{"type":"ping","id":1.5}',
    '{"type":"ping","id":"1"}',
    '{"type":"ping","id":1,"topic":null}',
    '{"type":"toString","id":1}',
    '{"type":"publish","id":1,"topic":"a","data":{"base64":"/w"}}',
    '[{"type":"ping","id":1}]'
  ])("refuses %s", (message) => assert.isUndefined(json.decodeRequest(new Text(message))))

  it("carries many bytes", () => {
    const bytes = new Uint8Array(100_000).map((_, index) => index)
    const encoded = json.encode({
      type: "publication",
      topic: "a",
      position: { epoch: "e", offset: 1 },
      data: new Binary(bytes)
    })
    const decoded = json.decodeAnswer(toMessage(encoded))
    assert(decoded?.type === "publication")
    assert.deepStrictEqual(decoded.data, new Binary(bytes))
  })
})
