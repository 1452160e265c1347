import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import type { NativeServerSocket } from "../../src/engine/native/NativeSocket.js"
import type { FetchRequest, NativeAnswer, NativeHost } from "../../src/native/nativeAttempt.js"
import { FakeSocket } from "../engine/native/FakeSocket.js"

/** A WebSocket of a host whose peer answers each Close. */
export class AnsweringSocket extends FakeSocket {
  override close(code = 1005, reason = ""): void {
    super.close(code, reason)
    queueMicrotask(() => this.emit("close", { code, reason, wasClean: true }))
  }
}

/** The server's end of a WebSocket of a host that can do everything. */
export class FakeServerSocket extends AnsweringSocket implements NativeServerSocket {
  readonly controls: Array<readonly [type: "ping" | "pong", data: Uint8Array]> = []
  readonly flow: Array<"pause" | "resume"> = []
  terminated = false

  ping(data: Uint8Array): void {
    this.controls.push(["ping", data])
  }

  pong(data: Uint8Array): void {
    this.controls.push(["pong", data])
  }

  pause(): void {
    this.flow.push("pause")
  }

  resume(): void {
    this.flow.push("resume")
  }

  terminate(): void {
    this.terminated = true
  }
}

/** What a host answered. */
export interface FakeAnswer {
  readonly status: number
  readonly headers: HeaderRecord
  readonly body: string
}

/** A host that answers with values, and the WebSockets that it has made. */
export const makeHost = (makeSocket: () => FakeSocket = () => new FakeServerSocket()) => {
  const sockets: Array<FakeSocket> = []
  const answers: Array<NativeAnswer> = []
  const host: NativeHost<FakeAnswer> = {
    upgrade: (answer) => {
      answers.push(answer)
      const socket = makeSocket()
      sockets.push(socket)
      return { socket, answer: { status: 101, headers: answer.headers, body: "" } }
    },
    respond: (status, headers, body) => ({ status, headers, body })
  }
  return { answers, host, sockets }
}

/** A request to upgrade, and what makes its client go away. */
export const makeRequest = (
  url = "http://test/path?a=1",
  headers: Readonly<Record<string, string>> = {}
): { readonly request: FetchRequest; readonly leave: () => void } => {
  const controller = new AbortController()
  const all = new Headers({
    host: "test",
    upgrade: "websocket",
    connection: "Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    ...headers
  })
  const request = { method: "GET", url, headers: all, signal: controller.signal }
  return { request, leave: () => controller.abort() }
}
