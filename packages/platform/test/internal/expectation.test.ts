import { ConnectionClosed, IoError, type ConnectionError } from "@effect-websocket/protocol/Errors"
import * as Frame from "@effect-websocket/protocol/Frame"
import { frames } from "@effect-websocket/protocol/FrameDecoder"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import { Cause, Effect } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import {
  describeData,
  describeEnding,
  describeError,
  describeExpectedClose,
  describeFrame,
  describePredicate,
  type ExpectedClose,
  ExpectationFailed,
  expecting,
  isExpectedClose,
  isSameFrame
} from "../../src/internal/expectation.js"

/** A function that a test calls. The effect that it returns fails later, elsewhere. */
const expectSomething = () => expecting("this", expectSomething)("that")

describe("expecting", () => {
  it.effect("is a defect that names both, with the line of the test on its stack", () =>
    Effect.gen(function* () {
      const expectation = expectSomething()
      const cause = yield* Effect.flip(Effect.sandbox(expectation))
      const defect = Cause.squash(cause)
      assert.instanceOf(defect, ExpectationFailed)
      assert.deepStrictEqual({ ...defect }, { _tag: "Expectation_failed", expected: "this", actual: "that" })
      assert.strictEqual(defect.message, "Expected this, but got that")
      const [first, second] = String(defect.stack).split("\n")
      assert.strictEqual(first, "Expectation_failed: Expected this, but got that")
      assert.include(second, "expectation.test.ts")
      assert.notInclude(second, "expectSomething")
    })
  )

  it.effect("needs no caller", () =>
    Effect.gen(function* () {
      const cause = yield* Effect.flip(Effect.sandbox(expecting("this")("that")))
      assert.instanceOf(Cause.squash(cause), ExpectationFailed)
    })
  )
})

describe("isExpectedClose", () => {
  it.each<[ExpectedClose, boolean]>([
    [{}, true],
    [{ code: 1008 }, true],
    [{ code: "PolicyViolation" }, true],
    [{ reason: "no" }, true],
    [{ code: 1008, reason: "no" }, true],
    [{ code: 1000 }, false],
    [{ code: "GoingAway" }, false],
    [{ reason: "" }, false],
    [{ code: 1008, reason: "yes" }, false]
  ])("compares %o", (expected, result) => {
    assert.strictEqual(isExpectedClose(expected, { code: 1008, reason: "no" }), result)
  })
})

describe("isSameFrame", () => {
  it.each<[Frame.Frame, boolean]>([
    [Frame.text("a"), true],
    [{ ...Frame.text("a"), masked: true }, true],
    [Frame.text("b"), false],
    [Frame.text("a", { fin: false }), false],
    [Frame.make(Opcode.Text, { payload: Uint8Array.of(97), rsv: 4 }), false],
    [Frame.make(Opcode.Binary, { payload: Uint8Array.of(97) }), false]
  ])("compares everything but the mask: %#", (frame, result) => {
    assert.strictEqual(isSameFrame(Frame.text("a"), frame), result)
  })
})

describe("the descriptions", () => {
  it.each<[ExpectedClose, string]>([
    [{}, ""],
    [{ code: "GoingAway" }, " with code 1001"],
    [{ reason: "" }, ' with reason ""'],
    [{ code: 1000, reason: "bye" }, ' with code 1000 and reason "bye"']
  ])("describe an expected Close: %o", (expected, text) => {
    assert.strictEqual(describeExpectedClose(expected), text)
  })

  it.each<[string | Uint8Array, string]>([
    ["a\n", 'the text "a\\n"'],
    ["a".repeat(201), `the text "${"a".repeat(200)}"… (201 UTF-16 units)`],
    [Uint8Array.of(1, 255), "the bytes [01 ff]"],
    [new Uint8Array(33), `the bytes [${"00 ".repeat(32)}…] (33 bytes)`]
  ])("describe data, and cut long data: %#", (data, text) => {
    assert.strictEqual(describeData(data), text)
  })

  it.each<[ConnectionError, string]>([
    [
      new ConnectionClosed({ code: 1011, reason: "", initiator: "remote", clean: true }),
      "the end of the connection with 1011 (remote, clean)"
    ],
    [
      new ConnectionClosed({ code: 4000, reason: "idle", initiator: "local", clean: false }),
      'the end of the connection with 4000 "idle" (local, not clean)'
    ],
    [
      new IoError({ reason: "Reset", operation: "read" }),
      "the end of the connection by Io_error: Reset during read: the connection broke"
    ]
  ])("describe the end of a connection: %#", (error, text) => {
    assert.strictEqual(describeError(error), text)
  })

  it.each<[Frame.Frame, string]>([
    [Frame.text("é"), 'a Text frame "é"'],
    [Frame.make(Opcode.Close), "a Close frame 1005"],
    [Frame.make(Opcode.Close, { payload: Uint8Array.of(3, 232, 111, 107) }), 'a Close frame 1000 "ok"'],
    [Frame.make(Opcode.Close, { payload: Uint8Array.of(3) }), "the frame Close fin 1 bytes 03"],
    [Frame.text("é", { fin: false }), "the frame Text 2 bytes c3 a9"],
    [Frame.ping("a"), "the frame Ping fin 1 bytes 61"]
  ])("describe a frame: %#", (frame, text) => {
    assert.strictEqual(describeFrame(frame), text)
  })

  it("describe each ending", () => {
    assert.deepStrictEqual((["Ended", "Reset", "Dropped"] as const).map(describeEnding), [
      "the end of what the other side sends",
      "a connection that the other side broke",
      "a connection that is over"
    ])
    const { violation } = frames({ role: "client" })(Uint8Array.of(0x83, 0))
    assert(violation !== undefined)
    assert.strictEqual(
      describeEnding(violation),
      "a violation of the protocol: The opcode 0x3 is reserved (RFC 6455 §5.2)"
    )
  })

  it("describe a predicate by its name if it has one", () => {
    const isGreeting = () => true
    assert.strictEqual(describePredicate(isGreeting), "that isGreeting accepts")
    assert.strictEqual(
      describePredicate(() => true),
      "that the predicate accepts"
    )
  })
})
