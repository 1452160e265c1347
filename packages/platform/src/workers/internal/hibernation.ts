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

/** Tells whether a client has gone. */
export interface FetchSignal {
  readonly aborted: boolean
  addEventListener(type: "abort", listener: () => void): void
  removeEventListener(type: "abort", listener: () => void): void
}

/** A request, as `fetch` of a Durable Object gets it. */
export interface FetchRequest {
  readonly method: string
  readonly url: string
  readonly headers: { forEach(each: (value: string, name: string) => void): void }
  readonly signal?: FetchSignal | undefined
}

/** The `Response` of the types that the app has, or `Fallback` if it has none. */
export type ResponseOr<Fallback> = typeof globalThis extends {
  readonly Response: new (...args: never) => infer Response
}
  ? Response
  : Fallback

interface ResponseInit {
  readonly status: number
  readonly headers: Record<string, string>
  readonly webSocket?: HibernatableSocket
}

declare const WebSocketPair: new () => { readonly 0: HibernatableSocket; readonly 1: HibernatableSocket }
declare const WebSocketRequestResponsePair: new (request: string, response: string) => RequestResponsePair
declare const Response: new (body: string | null, init: ResponseInit) => ResponseOr<object>

export const makeResponse = (body: string | null, init: ResponseInit): ResponseOr<object> => new Response(body, init)

export const makeSocketPair = (): readonly [client: HibernatableSocket, server: HibernatableSocket] => {
  const { 0: client, 1: server } = new WebSocketPair()
  return [client, server]
}

export const makeRequestResponsePair = ({ request, response }: RequestResponsePair): RequestResponsePair =>
  new WebSocketRequestResponsePair(request, response)
