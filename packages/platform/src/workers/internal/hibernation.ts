/** What Durable Objects have, as far as it is used here. The types of Cloudflare match these. */

/** A WebSocket that Durable Objects keep while they sleep. */
export interface HibernatableSocket {
  readonly readyState: number
  send(data: string | Uint8Array): void
  close(code?: number, reason?: string): void
  serializeAttachment(value: unknown): void
  deserializeAttachment(): unknown
}

/** A text that the platform answers by itself, and its answer. */
export interface RequestResponsePair {
  readonly request: string
  readonly response: string
}

/** The first argument of the constructor of a Durable Object. */
export interface DurableObjectContext {
  waitUntil(promise: Promise<unknown>): void
  acceptWebSocket(socket: HibernatableSocket, tags?: Array<string>): void
  getWebSockets(tag?: string): Array<HibernatableSocket>
  getTags(socket: HibernatableSocket): Array<string>
  setWebSocketAutoResponse(pair?: RequestResponsePair): void
  getWebSocketAutoResponseTimestamp(socket: HibernatableSocket): Date | null
}

declare const WebSocketRequestResponsePair: new (request: string, response: string) => RequestResponsePair

export const makeRequestResponsePair = ({ request, response }: RequestResponsePair): RequestResponsePair =>
  new WebSocketRequestResponsePair(request, response)
