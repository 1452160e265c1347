import { afterEach, assert, describe, it, vi } from "@effect/vitest"
import type { NativeDialed } from "../../../src/engine/native/NativeSocket.js"
import { dialFetch } from "../../../src/workers/internal/dialFetch.js"
import { FakeSocket } from "../../engine/native/FakeSocket.js"

afterEach(() => void vi.unstubAllGlobals())

const request = { url: new URL("wss://test/path?a=b"), protocols: ["chat", "other"], headers: { a: ["1", "2"] } }

class WorkersSocket extends FakeSocket {
  accepted = 0
  accept(): void {
    this.accepted++
  }
}

/** Dials with a `fetch` that answers with `response`. */
const dialled = async (response: unknown) => {
  const calls: Array<ReadonlyArray<unknown>> = []
  vi.stubGlobal("fetch", (...args: ReadonlyArray<unknown>) => {
    calls.push(args)
    return response instanceof Error ? Promise.reject(response) : Promise.resolve(response)
  })
  const dialed = await new Promise<NativeDialed>((resolve) => void dialFetch(request, resolve))
  return { calls, dialed }
}

const upgraded = (socket: WorkersSocket, headers: Record<string, string> = {}) => ({
  status: 101,
  headers: new Headers(headers),
  webSocket: socket
})

describe("dialFetch", () => {
  it("asks for an upgrade and accepts the WebSocket", async () => {
    const socket = new WorkersSocket()
    const headers = { "Sec-WebSocket-Protocol": "other", "Sec-WebSocket-Extensions": "permessage-deflate" }
    const { calls, dialed } = await dialled(upgraded(socket, headers))
    assert.deepStrictEqual(dialed, {
      _tag: "Opened",
      opened: { socket, protocol: "other", extensions: "permessage-deflate" }
    })
    assert.strictEqual(socket.accepted, 1)
    assert.strictEqual(socket.binaryType, "arraybuffer")
    const [[url, init] = []] = calls
    assert.strictEqual(url, "https://test/path?a=b")
    assert.deepInclude(Object(init), {
      redirect: "manual",
      headers: { a: "1, 2", Upgrade: "websocket", "Sec-WebSocket-Protocol": "chat, other" }
    })
  })

  it("reports a refusal with its status, headers and body", async () => {
    const response = new Response("x".repeat(70_000), { status: 403, headers: { "X-Why": "no" } })
    const { dialed } = await dialled(Object.assign(response, { webSocket: null }))
    const error = dialed._tag === "Failed" ? dialed.error : undefined
    assert.deepInclude({ ...error }, { _tag: "Handshake_rejected", status: 403, bodyTruncated: true })
    assert.propertyVal(Object(error).headers, "x-why", "no")
    assert.strictEqual(Object(error).body.length, 64 * 1024)
  })

  it("refuses a subprotocol that was not offered", async () => {
    const socket = new WorkersSocket()
    const { dialed } = await dialled(upgraded(socket, { "Sec-WebSocket-Protocol": "mine" }))
    const error = dialed._tag === "Failed" ? dialed.error : undefined
    assert.deepInclude({ ...error }, { _tag: "Protocol_error", origin: "remote" })
    assert.deepStrictEqual(socket.closes, [[]])
  })

  it("reports why fetch failed", async () => {
    const cause = new Error("no network")
    const { dialed } = await dialled(cause)
    assert.strictEqual(dialed._tag === "Failed" ? dialed.error.cause : undefined, cause)
  })

  it("aborts the request, and closes a WebSocket that comes too late", async () => {
    const socket = new WorkersSocket()
    let answer: ((response: unknown) => void) | undefined
    let signal: AbortSignal | undefined
    vi.stubGlobal("fetch", (_: string, init: { readonly signal: AbortSignal }) => {
      signal = init.signal
      return new Promise((resolve) => {
        answer = resolve
      })
    })
    dialFetch(request, () => assert.fail("It was dropped"))()
    assert.isTrue(signal?.aborted)
    answer?.(upgraded(socket))
    await vi.waitFor(() => assert.deepStrictEqual(socket.closes, [[]]))
  })
})
