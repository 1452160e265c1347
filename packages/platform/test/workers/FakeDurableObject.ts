import type { DurableObjectWebSockets } from "@effect-websocket/platform/workers"

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
