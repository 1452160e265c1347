/**
 * The part of Deno that its server of WebSockets needs. The types of Deno satisfy these interfaces, so that this package
 * depends on none of them.
 *
 * @since 3.0.0
 */

/**
 * An address of Deno: of TCP, or of a Unix domain socket.
 *
 * @since 3.0.0
 * @category models
 */
export interface DenoAddress {
  readonly transport: string
  readonly hostname?: string | undefined
  readonly port?: number | undefined
  readonly path?: string | undefined
}

/**
 * A server of Deno, as `Deno.serve` returns it.
 *
 * @since 3.0.0
 * @category models
 */
export interface DenoServer {
  readonly addr: unknown
  readonly finished: Promise<void>
  shutdown(): Promise<void>
}

/**
 * What a handler of `Deno.serve` gets in addition to the request.
 *
 * @since 3.0.0
 * @category models
 */
export interface DenoInfo {
  readonly remoteAddr: unknown
}
