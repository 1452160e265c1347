import type { WorkersWebSocketServer } from "@effect-websocket/platform/workers"
import { afterEach, beforeEach, vi } from "../effect/vitest.js"

/** A response as `workerd` has it: of any status, with a WebSocket. */
export class FakeResponse {
  readonly body: string | null
  readonly status: number
  readonly headers: Headers
  readonly webSocket: unknown

  constructor(body: string | null, init: { readonly status: number; readonly headers: Array<[string, string]> }) {
    this.body = body
    this.status = init.status
    this.headers = new Headers(init.headers)
    this.webSocket = Reflect.get(init, "webSocket")
  }
}

/** Puts what Workers have in place of what Node has, for the tests of a file. */
export const stubWorkers = (Socket: new () => object): void => {
  beforeEach(() => {
    vi.stubGlobal("Response", FakeResponse)
    vi.stubGlobal(
      "WebSocketPair",
      class {
        readonly 0 = new Socket()
        readonly 1 = new Socket()
      }
    )
    vi.stubGlobal(
      "WebSocketRequestResponsePair",
      class {
        readonly request: string
        readonly response: string
        constructor(request: string, response: string) {
          this.request = request
          this.response = response
        }
      }
    )
  })
  afterEach(() => void vi.unstubAllGlobals())
}

/** The headers of a request to upgrade. */
export const upgradeHeaders = {
  Connection: "Upgrade",
  Host: "test",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version": "13",
  Upgrade: "websocket"
}

export const upgradeRequest = (
  path: string,
  headers: Record<string, string> = {},
  signal?: AbortSignal
): WorkersWebSocketServer.FetchRequest => {
  const all = new Headers({ ...upgradeHeaders, ...headers })
  return { method: "GET", url: `https://test${path}`, headers: all, ...(signal === undefined ? {} : { signal }) }
}
