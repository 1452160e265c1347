import { assert, describe, it } from "@effect/vitest"
import * as Frame from "@effect-websocket/protocol/Frame"
import * as Message from "@effect-websocket/protocol/Message"
import {
  frameSize,
  Messages,
  pingPayload,
  pongPayload,
  toCloseCode,
  toFrame,
  toMessage,
  toPart
} from "../../../src/engine/connection/sendable.js"
import { mistakes, utf8 } from "../support.js"

const buffer = utf8("buffer").slice().buffer

describe("toMessage", () => {
  it("takes texts, bytes in whatever holds them, and messages", () => {
    const message = Message.text("x")
    assert.strictEqual(toMessage(message), message)
    const cases: ReadonlyArray<readonly [unknown, Message.Message]> = [
      ["x", Message.text("x")],
      [utf8("x"), Message.binary(utf8("x"))],
      [buffer, Message.binary(utf8("buffer"))],
      [new DataView(buffer, 1, 2), Message.binary(utf8("uf"))],
      [new Uint16Array(buffer, 2, 1), Message.binary(utf8("ff"))],
      [{ _tag: "Text", data: "x" }, Message.text("x")],
      [{ _tag: "Binary", data: buffer }, Message.binary(utf8("buffer"))]
    ]
    for (const [given, expected] of cases) {
      const { _tag, data } = toMessage(given as never)
      assert.deepStrictEqual({ _tag, data }, { _tag: expected._tag, data: expected.data })
    }
  })

  for (const [name, mistake] of mistakes) {
    it(`refuses ${name}`, () => assert.throws(() => toMessage(mistake as never), TypeError))
  }
})

describe("several messages", () => {
  it("are an iterable, but no text and no bytes", () => {
    for (const given of ["text", utf8("bytes"), new DataView(buffer), 3, null, undefined, {}]) {
      assert.throws(() => new Messages(given as never), "an iterable of messages")
    }
  })

  it("close their iterator once, if it has begun and is not over", () => {
    const log: Array<string> = []
    const make = function* () {
      try {
        yield "a"
        yield "b"
      } finally {
        log.push("closed")
      }
    }
    for (const taken of [0, 1, 2, 3]) {
      const messages = new Messages(make())
      assert.isTrue(messages.mustClose)
      const all = Array.from({ length: taken }, () => messages.next())
      assert.deepStrictEqual(
        all.map(({ done, value }) => (done === true ? "done" : value)),
        ["a", "b", "done"].slice(0, taken)
      )
      assert.lengthOf(log, taken === 3 ? 1 : 0)
      messages.close()
      messages.close()
      assert.lengthOf(log.splice(0), taken === 0 ? 0 : 1)
    }
  })

  it("do not close an iterator that threw, or that has nothing to close, such as that of an array or a set", () => {
    let closed = 0
    const throwing = {
      [Symbol.iterator]: () => ({
        next: () => {
          throw new Error("bug")
        },
        return: () => ({ done: true as const, value: closed++ })
      })
    }
    const messages = new Messages(throwing)
    assert.throws(() => messages.next(), "bug")
    messages.close()
    assert.strictEqual(closed, 0)
    for (const given of [["a", "b"], new Set(["a", "b"])]) {
      const plain = new Messages(given)
      assert.isFalse(plain.mustClose)
      assert.deepStrictEqual(plain.next(), { done: false, value: "a" })
      plain.close()
    }
  })
})

describe("toPart", () => {
  it("takes texts and bytes", () => {
    assert.strictEqual(toPart("x"), "x")
    assert.deepStrictEqual(toPart(buffer as never), utf8("buffer"))
  })

  for (const [name, mistake] of mistakes) {
    it(`refuses ${name}`, () => assert.throws(() => toPart(mistake as never), TypeError))
  }
})

describe("toFrame", () => {
  it("takes frames, and objects like them", () => {
    const frame = Frame.text("x")
    assert.strictEqual(toFrame(frame), frame)
    assert.deepStrictEqual(
      toFrame({ ...frame, rsv: 4, fin: false } as never),
      Frame.make(1, { payload: utf8("x"), rsv: 4, fin: false })
    )
    assert.deepStrictEqual(toFrame({ opcode: 2, payload: buffer } as never), Frame.binary(utf8("buffer")))
  })

  for (const [name, mistake] of [...mistakes, ["a text", "x"], ["no payload", { opcode: 1 }]] as const) {
    it(`refuses ${name}`, () => assert.throws(() => toFrame(mistake as never), TypeError))
  }

  it("refuses a payload of no bytes", () => {
    assert.throws(() => toFrame({ ...Frame.text("x"), payload: 3 } as never), TypeError)
    assert.throws(() => toFrame(new Frame.Frame(true, 0, 1, false, 3 as never)), TypeError)
  })
})

describe("the payload of a ping and of a pong", () => {
  it("may be in whatever holds bytes; of a ping it is a copy", () => {
    const bytes = utf8("x")
    assert.deepStrictEqual(pingPayload(bytes), bytes)
    assert.notStrictEqual(pingPayload(bytes), bytes)
    assert.deepStrictEqual(pingPayload(buffer as never), utf8("buffer"))
    assert.deepStrictEqual(pongPayload(new DataView(buffer, 1, 2) as never), utf8("uf"))
    assert.deepStrictEqual(pongPayload(undefined), new Uint8Array(0))
  })

  for (const [name, mistake] of mistakes) {
    if (mistake === undefined) continue
    it(`is not ${name}`, () => {
      assert.throws(() => pingPayload(mistake as never), TypeError)
      assert.throws(() => pongPayload(mistake as never), TypeError)
    })
  }
})

it("frameSize takes a positive number of bytes, or none", () => {
  assert.isUndefined(frameSize(undefined))
  assert.strictEqual(frameSize(1), 1)
  for (const value of [0, -1, 1.5, NaN, Infinity, "1", null]) {
    assert.throws(() => frameSize(value as never), RangeError, "maxFrameSize must")
  }
})

it("toCloseCode takes numbers and registered names", () => {
  assert.strictEqual(toCloseCode(4001), 4001)
  assert.strictEqual(toCloseCode("GoingAway"), 1001)
  for (const code of ["Kicked", "", "toString", null, {}]) assert.throws(() => toCloseCode(code as never), TypeError)
})
