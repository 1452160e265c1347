import { afterEach, vi } from "../effect/vitest.js"
import { FakeSocket } from "../engine/native/FakeSocket.js"

/** Puts a fake in place of the global WebSocket. Returns what its constructor gets, and the WebSockets it makes. */
export const stubWebSocket = () => {
  const made: Array<{ readonly args: ReadonlyArray<unknown>; readonly socket: FakeSocket }> = []
  vi.stubGlobal(
    "WebSocket",
    class extends FakeSocket {
      constructor(...args: ReadonlyArray<unknown>) {
        super()
        made.push({ args, socket: this })
        queueMicrotask(() => this.emit("open"))
      }
    }
  )
  return made
}

export const restoreGlobals = (): void => afterEach(() => void vi.unstubAllGlobals())
