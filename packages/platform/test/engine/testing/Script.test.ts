import type { TransportSink } from "@effect-websocket/platform/Transport"
import * as Frame from "@effect-websocket/protocol/Frame"
import { encode } from "@effect-websocket/protocol/FrameEncoder"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import { IoError } from "@effect-websocket/protocol/Errors"
import { assert, describe, it } from "@effect/vitest"
import { Script } from "../../../src/engine/testing/Script.js"

const maskKey = 0x37fa213d

/** A script over a transport whose events the test makes. */
const made = (role: "client" | "server" = "server") => {
  const written: Array<Uint8Array> = []
  let sink: TransportSink | undefined
  const script = new Script(
    {
      remoteAddress: undefined,
      bufferedBytes: 0,
      start: (started) => {
        sink = started
      },
      pause: () => assert.fail("a script reads all the time"),
      resume: () => assert.fail("a script reads all the time"),
      write: (chunks) => {
        written.push(...chunks)
        return { taken: false, belowHighWater: true }
      },
      end: () => {},
      abort: () => {}
    },
    role
  )
  script.start()
  assert(sink !== undefined)
  const { onChunk, onClose, onEof, onError } = sink
  return {
    script,
    written,
    /** The other side sends frames. */
    come: (...frames: ReadonlyArray<Frame.Frame>) => {
      for (const frame of frames) onChunk(encode(frame, role === "server" ? 1 : undefined), true)
    },
    garbage: () => onChunk(Uint8Array.of(0xff, 0xff), true),
    end: onEof,
    reset: () => {
      onError(new IoError({ reason: "Reset", operation: "read" }))
      onClose()
    },
    close: onClose
  }
}

const textOf = (frame: Frame.Frame | undefined) => frame && new TextDecoder().decode(frame.payload)

/** Waits for a frame or an ending, and counts the calls. */
const waiting = (script: Script) => {
  const state = { calls: 0, undo: () => {} }
  state.undo = script.whenReadable(() => void state.calls++)
  return state
}

describe("Script", () => {
  it("keeps frames in order until they are taken", () => {
    const { come, script } = made()
    assert.isUndefined(script.nextFrame)
    assert.isUndefined(script.takeFrame())
    come(Frame.text("one"), Frame.text("two"))
    assert.strictEqual(textOf(script.nextFrame), "one")
    assert.strictEqual(textOf(script.takeFrame()), "one")
    assert.strictEqual(textOf(script.takeFrame()), "two")
    assert.isUndefined(script.takeFrame())
    assert.isUndefined(script.ending)
  })

  it("calls back once there is a frame, and at once if there is one", () => {
    const { come, script } = made()
    const first = waiting(script)
    const second = waiting(script)
    const undone = waiting(script)
    undone.undo()
    assert.deepStrictEqual([first.calls, second.calls], [0, 0])
    come(Frame.text("one"), Frame.text("two"))
    // All look, as the first may be interrupted before it takes the frame.
    assert.deepStrictEqual([first.calls, second.calls, undone.calls], [1, 1, 0])
    assert.strictEqual(waiting(script).calls, 1)
  })

  it("does not call back for a part of a frame", () => {
    const { script } = made("client")
    let sink: TransportSink | undefined
    const parts = new Script({ ...script.transport, start: (started) => (sink = started) }, "client")
    parts.start()
    const reader = waiting(parts)
    const bytes = encode(Frame.text("whole"), undefined)
    sink?.onChunk(bytes.slice(0, 3), true)
    assert.strictEqual(reader.calls, 0)
    sink?.onChunk(bytes.slice(3), true)
    assert.strictEqual(reader.calls, 1)
    assert.strictEqual(textOf(parts.takeFrame()), "whole")
  })

  it("lets a callback wait again for the next frame", () => {
    const { come, script } = made()
    const texts: Array<string | undefined> = []
    const read = (): void => {
      script.whenReadable(() => {
        texts.push(textOf(script.takeFrame()))
        if (texts.length < 3) read()
      })
    }
    read()
    come(Frame.text("one"))
    come(Frame.text("two"), Frame.text("three"), Frame.text("four"))
    assert.deepStrictEqual(texts, ["one", "two", "three"])
    assert.strictEqual(textOf(script.nextFrame), "four")
  })

  it("reports why nothing more comes", () => {
    const ended = made()
    const reader = waiting(ended.script)
    ended.end()
    ended.close()
    assert.deepStrictEqual([ended.script.ending, reader.calls], ["Ended", 1])

    const broken = made()
    broken.end()
    broken.reset()
    assert.strictEqual(broken.script.ending, "Reset")

    const dropped = made()
    dropped.close()
    assert.strictEqual(dropped.script.ending, "Dropped")

    const wrong = made()
    wrong.come(Frame.text("valid"))
    wrong.garbage()
    wrong.end()
    const { ending } = wrong.script
    assert(typeof ending === "object")
    assert.include(ending.message, "reserved")
    assert.strictEqual(textOf(wrong.script.takeFrame()), "valid")
    assert.strictEqual(waiting(wrong.script).calls, 1)
  })

  it("calls back once the transport is closed", () => {
    const { close, end, script } = made()
    let calls = 0
    script.whenClosed(() => calls++)
    script.whenClosed(() => assert.fail("it was undone"))()
    end()
    assert.strictEqual(calls, 0)
    close()
    assert.strictEqual(calls, 1)
    script.whenClosed(() => calls++)
    assert.strictEqual(calls, 2)
  })

  it("sends all frames of a call in one chunk, masked by a client only", () => {
    for (const role of ["client", "server"] as const) {
      const { script, written } = made(role)
      const mask = role === "client" ? maskKey : undefined
      script.send([Frame.text("a"), Frame.make(0x3, { rsv: 4 })])
      assert.deepStrictEqual(written, [
        Uint8Array.of(...encode(Frame.text("a"), mask), ...encode(Frame.make(0x3, { rsv: 4 }), mask))
      ])
    }
  })

  it("sends a copy of bytes", () => {
    const { script, written } = made()
    const bytes = Uint8Array.of(1, 2)
    script.sendBytes(bytes)
    bytes.fill(0)
    assert.deepStrictEqual(written, [Uint8Array.of(1, 2)])
  })

  it("sends any Close", () => {
    const { script, written } = made()
    script.sendClose(1005, "é")
    script.sendClose(undefined, "x")
    script.sendClose(undefined, "")
    assert.deepStrictEqual(
      written,
      [Uint8Array.of(0x03, 0xed, 0xc3, 0xa9), Uint8Array.of(120), new Uint8Array(0)].map((payload) =>
        encode(Frame.make(Opcode.Close, { payload }), undefined)
      )
    )
  })
})
