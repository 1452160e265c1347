import { assert, describe, it } from "@effect/vitest"
import { OutgoingStream } from "../../../src/engine/connection/OutgoingStream.js"
import { fields, mistakes, ping, utf8 } from "../support.js"
import { open, Sending, turn, type Choice } from "./open.js"

/** An open connection, and a stream of the kind that the test says. */
const make = (kind?: "Text" | "Binary", choice?: Choice) => {
  const opened = open(choice)
  const { sender, transport } = opened
  return {
    ...opened,
    stream: new OutgoingStream(sender, kind),
    send: (data: string) => new Sending(sender.sendNow(data, undefined)),
    /** Fills the transport, so that nothing more has room. */
    fill: () => {
      transport.stall()
      return new Sending(sender.sendNow("#".repeat(98), undefined))
    },
    get frames() {
      opened.link.flusher.flush()
      return opened.wrote().filter((frame) => !frame.includes("#"))
    }
  }
}

describe("a stream", () => {
  it("is one message, whose parts go out as they come", async () => {
    const opened = make()
    const { stream } = opened
    assert.isUndefined(stream.takeTurn())
    for (const part of ["one", "", "two"]) assert.isUndefined(stream.send(part))
    await turn()
    assert.deepStrictEqual(opened.frames, ["Text… one", "Continuation… two"])
    assert.strictEqual(opened.sender.sentMessages, 0)
    assert.isUndefined(stream.finish())
    assert.deepStrictEqual(opened.frames.slice(2), ["Continuation"])
    assert.strictEqual(opened.sender.sentMessages, 1)
  })

  it("without a part is an empty message of its kind", () => {
    for (const [kind, part, expected] of [
      ["Text", undefined, "Text"],
      ["Binary", undefined, "Binary"],
      [undefined, undefined, "Binary"],
      [undefined, "", "Text"],
      ["Text", new Uint8Array(0), "Binary"]
    ] as const) {
      const opened = make(kind)
      opened.stream.takeTurn()
      if (part !== undefined) opened.stream.send(part)
      opened.stream.finish()
      assert.deepStrictEqual(opened.frames, [expected])
    }
  })

  it("has messages wait for its end, in their order, but no control frame", () => {
    const opened = make()
    const { stream } = opened
    stream.takeTurn()
    stream.send("one")
    const sendings = ["a", "b"].map(opened.send)
    assert.isTrue(sendings.every(({ isWaiting }) => isWaiting))
    opened.receive(ping("x"))
    stream.send("two")
    stream.finish()
    for (const { outcomes } of sendings) assert.deepStrictEqual(outcomes, [undefined])
    assert.deepStrictEqual(opened.frames, [
      "Text… one",
      "Pong x",
      "Continuation… two",
      "Continuation",
      "Text a",
      "Text b"
    ])
  })

  it("waits for its turn, and may give it up", () => {
    const opened = make()
    const before = opened.fill()
    const [cancelled, taken] = [new OutgoingStream(opened.sender, undefined), opened.stream].map(
      (stream) => new Sending(stream.takeTurn())
    )
    const behind = opened.send("behind")
    cancelled!.cancel()
    opened.transport.drain()
    assert.deepStrictEqual([before.outcomes, cancelled!.outcomes, taken!.outcomes], [[undefined], [], [undefined]])
    assert.isTrue(opened.sender.occupies(opened.stream))
    assert.isTrue(behind.isWaiting)
    opened.stream.release(undefined)
    assert.deepStrictEqual(behind.outcomes, [undefined])
    assert.deepStrictEqual(opened.frames, ["Text behind"])
  })

  it("waits for room behind each part, whatever the strategy says", () => {
    for (const sendStrategy of ["suspend", "dropping", "sliding", "close", "abort"] as const) {
      const opened = make("Text", { settings: { sendStrategy } })
      opened.stream.takeTurn()
      opened.transport.stall()
      const sending = new Sending(opened.stream.send("x".repeat(100)))
      assert.isTrue(sending.isWaiting)
      opened.transport.drain()
      assert.deepStrictEqual(sending.outcomes, [undefined])
      assert.isUndefined(opened.stream.finish())
      assert.strictEqual(opened.sender.sentMessages, 1)
      assert.strictEqual(opened.link.connection.phase, "Open")
    }
  })

  it("throws for a part that is not data, and continues", () => {
    const opened = make()
    opened.stream.takeTurn()
    for (const [, mistake] of mistakes) assert.throws(() => opened.stream.send(mistake as never), TypeError)
    opened.stream.send(utf8("one"))
    opened.stream.finish()
    assert.deepStrictEqual(opened.frames, ["Binary… one", "Continuation"])
  })
})

describe("a stream that is given up", () => {
  it("closes the connection if a part was sent, because a message cannot be taken back", () => {
    const opened = make()
    opened.stream.takeTurn()
    opened.stream.send("one")
    const behind = opened.send("behind")
    opened.stream.release(1011)
    assert.deepStrictEqual(opened.frames, ["Text… one", "Close 1011"])
    assert.lengthOf(behind.outcomes, 1)
    assert.deepInclude(fields(behind.outcomes[0]!), { _tag: "Connection_closed" })
  })

  it("closes nothing before its first part and behind its last", () => {
    for (const finishes of [false, true]) {
      const opened = make()
      opened.stream.takeTurn()
      if (finishes) {
        opened.stream.send("one")
        opened.stream.finish()
      }
      opened.stream.release(1011)
      opened.stream.release(1011)
      opened.send("next")
      assert.strictEqual(opened.frames.at(-1), "Text next")
      assert.strictEqual(opened.link.connection.phase, "Open")
    }
  })

  it("leaves the turn of another one alone", () => {
    const opened = make()
    opened.stream.takeTurn()
    new OutgoingStream(opened.sender, undefined).release(1011)
    assert.isTrue(opened.sender.occupies(opened.stream))
  })
})

describe("the end of the connection", () => {
  it("stops the stream once it has begun to send, with why", () => {
    for (const [end, code] of [
      ["closes", 1001],
      ["ends", 1006]
    ] as const) {
      const opened = make()
      const { link, stream, transport } = opened
      let stops = 0
      stream.takeTurn()
      assert.isUndefined(stream.whenRefused(() => void stops++))
      stream.send("one")
      assert.isUndefined(stream.error)
      if (end === "closes") link.startClosing(code)
      transport.sink.onClose()
      assert.isAbove(stops, 0)
      const { error } = stream
      assert.deepInclude(fields(error!), { _tag: "Connection_closed" })
      const refused = new Sending(stream.send("two"))
      assert.strictEqual(refused.outcomes[0], link.connection.error)
      stream.release(1011)
      assert.isFalse(opened.sender.occupies(stream))
    }
  })

  it("is reported to streams that begin later", () => {
    const opened = make()
    opened.transport.sink.onClose()
    const { error } = opened.link.connection
    assert.strictEqual(new Sending(opened.stream.takeTurn()).outcomes[0], error)
    assert.strictEqual(
      opened.stream.whenRefused(() => {}),
      error
    )
    assert.isFalse(opened.sender.occupies(opened.stream))
  })
})
