/**
 * The part of Bun that its server of WebSockets needs. The types of Bun satisfy these interfaces, so that this package
 * depends on none of them.
 *
 * @since 3.0.0
 */

/**
 * A server of Bun, as `Bun.serve` returns it and as a `fetch` handler gets it.
 *
 * @since 3.0.0
 * @category models
 */
export interface BunServer {
  readonly port?: number | undefined
  readonly hostname?: string | undefined
  readonly url?: { readonly protocol: string } | undefined
  upgrade(request: Request, options: { readonly headers: Headers; readonly data: never }): boolean
  requestIP(request: Request): { readonly address: string } | null
  stop(closeActiveConnections?: boolean): unknown
}

/**
 * The server's end of a WebSocket of Bun.
 *
 * @since 3.0.0
 * @category models
 */
export interface BunSocket {
  readonly data: unknown
  readonly readyState: number
  send(data: string | Uint8Array): number
  ping(data: Uint8Array): number
  pong(data: Uint8Array): number
  close(code?: number, reason?: string): void
  terminate(): void
  getBufferedAmount(): number
  pause?(): void
  resume?(): void
}

/**
 * The handlers of all WebSockets of a server, for the property `websocket` of `Bun.serve`. Its other options are those that
 * let the limits of the library count.
 *
 * @since 3.0.0
 * @category models
 */
export interface BunHandlers {
  readonly open: (socket: BunSocket) => void
  readonly message: (socket: BunSocket, data: string | Uint8Array) => void
  readonly drain: (socket: BunSocket) => void
  readonly ping: (socket: BunSocket, data: Uint8Array) => void
  readonly pong: (socket: BunSocket, data: Uint8Array) => void
  readonly close: (socket: BunSocket, code: number, reason: string) => void
  readonly idleTimeout: number
  readonly maxPayloadLength: number
  readonly backpressureLimit: number
  readonly closeOnBackpressureLimit: boolean
  readonly sendPings: boolean
  readonly perMessageDeflate: boolean
}
