import type { DurableObjectWebSockets } from "@effect-websocket/platform/workers"
import { afterEach, beforeEach, vi } from "../effect/vitest.js"

type Context = DurableObjectWebSockets.DurableObjectContext

/** A WebSocket as `workerd` has it: `close` works once, `send` throws after it, and the attachment is a copy. */
export class FakeWebSocket implements DurableObjectWebSockets.HibernatableSocket {
  readyState = 1
  readonly sent: Array<string | Uint8Array> = []
  readonly closes: Array<readonly [code: number | undefined, reason: string | undefined]> = []
  private attachment: unknown = null
  maxAttachment = 16 * 1024

  send(data: string | Uint8Array): void {
    if (this.closes.length > 0) throw new TypeError("Can't call WebSocket send() after close().")
    this.sent.push(data)
  }

  close(code?: number, reason?: string): void {
    if (code === 1005 || code === 1006) throw new Error(`Invalid WebSocket close code: ${code}.`)
    if (this.closes.length > 0) return
    this.closes.push([code, reason])
    this.readyState = 2
  }

  serializeAttachment(value: unknown): void {
    const bytes = value instanceof Uint8Array ? value.buffer.byteLength + 11 : 0
    if (bytes > this.maxAttachment) throw new Error("A WebSocket 'attachment' cannot be larger")
    this.attachment = structuredClone(value)
  }

  deserializeAttachment(): unknown {
    return structuredClone(this.attachment)
  }
}

/** What the platform keeps while an object sleeps. */
export class FakeContext implements Context {
  readonly accepted = new Map<FakeWebSocket, ReadonlyArray<string>>()
  readonly waiting: Array<Promise<unknown>> = []
  autoResponse: unknown = undefined
  answeredAt: Date | null = null

  waitUntil(promise: Promise<unknown>): void {
    this.waiting.push(promise)
  }

  acceptWebSocket(socket: FakeWebSocket, tags: Array<string> = []): void {
    if (tags.length > 10) throw new Error("a Hibernatable WebSocket cannot have more than 10 tags")
    this.accepted.set(socket, tags)
  }

  getWebSockets(tag?: string): Array<FakeWebSocket> {
    return [...this.accepted].flatMap(([socket, tags]) => (tag === undefined || tags.includes(tag) ? [socket] : []))
  }

  getTags(socket: FakeWebSocket): Array<string> {
    return [...(this.accepted.get(socket) ?? [])]
  }

  setWebSocketAutoResponse(pair?: unknown): void {
    this.autoResponse = pair
  }

  getWebSocketAutoResponseTimestamp(): Date | null {
    return this.answeredAt
  }
}

/** A response as `workerd` has it: of any status, with a WebSocket. */
export class FakeResponse {
  readonly body: string | null
  readonly status: number
  readonly headers: Headers
  readonly webSocket: FakeWebSocket | undefined

  constructor(body: string | null, init: { readonly status: number; readonly headers: Record<string, string> }) {
    this.body = body
    this.status = init.status
    this.headers = new Headers(init.headers)
    this.webSocket = Reflect.get(init, "webSocket")
  }
}

/** Puts what Workers have in place of what Node has, for the tests of a file. */
export const stubWorkers = (): void => {
  beforeEach(() => {
    vi.stubGlobal("Response", FakeResponse)
    vi.stubGlobal(
      "WebSocketPair",
      class {
        readonly 0 = new FakeWebSocket()
        readonly 1 = new FakeWebSocket()
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
): DurableObjectWebSockets.FetchRequest => {
  const all = new Headers({ ...upgradeHeaders, ...headers })
  return { method: "GET", url: `https://test${path}`, headers: all, ...(signal === undefined ? {} : { signal }) }
}
