/** What the app needs of its host. */
import type { ServerOptions } from "@effect-websocket/platform/Options"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"

/**
 * The options of a server of the host. Any option of any server may be among them, as in an app without types, so that a test
 * sees which of them the host refuses.
 */
export interface HostOptions extends ServerOptions {
  readonly port: number
  readonly host: string
  /** With HTTP/2, if the host has it for WebSockets. */
  readonly tls?: { readonly key: string; readonly cert: string }
  /** Whether to ping after one second. */
  readonly watches?: boolean
  /** How many bytes may wait to be read. */
  readonly unread?: number
}

export type Made<E> = Effect.Effect<WebSocketServer.Service, E, Scope.Scope>

/** How a runtime makes its servers. */
export interface Host {
  readonly make: (options: HostOptions) => Made<unknown>
  /** On a server of the app, which answers ordinary requests with "healthy". */
  readonly attach: Made<unknown>
}

export const local = { port: 0, host: "127.0.0.1" }

/** Serves routes on a server, and gives its service. */
export const served = (
  routes: Layer.Layer<never, never, WebSocketServer.WebSocketServer>,
  made: Made<unknown>
): Made<never> => {
  const server = Layer.scoped(WebSocketServer.WebSocketServer, Effect.orDie(made))
  return Effect.map(Layer.build(Layer.provideMerge(routes, server)), (context) =>
    Effect.runSync(Effect.provide(WebSocketServer.WebSocketServer, context))
  )
}
