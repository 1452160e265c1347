import { assert, describe, it } from "@effect/vitest"
import { BunEnd } from "../../../src/bun/internal/BunEnd.js"
import type { BunSocket } from "../../../src/bun/BunHost.js"

/** A WebSocket of Bun: its `close` and `terminate` report the end before they return. */
const opened = (buffered = 0) => {
  const end = new BunEnd()
  const calls: Array<string> = []
  const state = { buffered, readyState: 1 }
  const socket: BunSocket = {
    data: end,
    get readyState() {
      return state.readyState
    },
    send: (data) => calls.push(`send ${String(data)}`),
    ping: () => calls.push("ping"),
    pong: () => calls.push("pong"),
    close: (code = 1005, reason = "") => {
      calls.push(`close ${code}`)
      state.readyState = 3
      end.closed(code, reason)
    },
    terminate: () => {
      calls.push("terminate")
      end.closed(1006, "")
    },
    getBufferedAmount: () => state.buffered,
    pause: () => calls.push("pause"),
    resume: () => calls.push("resume")
  }
  assert.isFalse(end.isOpen)
  end.opened(socket)
  assert.isTrue(end.isOpen)
  const heard: Array<unknown> = []
  for (const type of ["message", "close", "drain", "pong", "toolarge"]) {
    end.addEventListener(type, (event) => heard.push([type, event.data ?? event.code]))
  }
  return { calls, end, heard, state }
}

describe("BunEnd", () => {
  it("passes on what Bun reports", async () => {
    const { end, heard } = opened()
    end.message("text")
    end.control("pong", new Uint8Array(1))
    end.drained()
    await Promise.resolve()
    end.closed(4000, "why")
    assert.deepStrictEqual(heard, [
      ["message", "text"],
      ["pong", new Uint8Array(1)],
      ["drain", undefined],
      ["close", 4000]
    ])
  })

  it("calls Bun", () => {
    const { calls, end } = opened()
    end.send("a")
    end.ping(new Uint8Array(1))
    end.pong(new Uint8Array(1))
    end.pause()
    end.resume()
    assert.deepStrictEqual(calls, ["send a", "ping", "pong", "pause", "resume"])
    assert.strictEqual(end.readyState, 1)
  })

  it("reports the end that a close brings in a later turn", async () => {
    const { calls, end, heard } = opened()
    await Promise.resolve()
    end.close(1000, "")
    assert.deepStrictEqual([calls, heard], [["close 1000"], []])
    await Promise.resolve()
    assert.deepStrictEqual(heard, [["close", 1000]])
  })

  it("closes behind what waits to be sent, or not at all", () => {
    const waiting = opened(10)
    waiting.end.close(1000, "")
    waiting.state.buffered = 5
    waiting.end.drained()
    assert.deepStrictEqual(waiting.calls, [])
    waiting.state.buffered = 0
    waiting.end.drained()
    assert.deepStrictEqual(waiting.calls, ["close 1000"])
    const dropped = opened(10)
    dropped.end.close(1000, "")
    dropped.end.terminate()
    dropped.state.buffered = 0
    dropped.end.drained()
    assert.deepStrictEqual(dropped.calls, ["terminate"])
  })

  it("tells that Bun has refused a large message", async () => {
    const { end, heard } = opened()
    end.closed(1006, "Received too big message")
    await Promise.resolve()
    assert.deepStrictEqual(heard, [
      ["toolarge", undefined],
      ["close", 1006]
    ])
  })
})
