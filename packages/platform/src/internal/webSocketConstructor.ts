/** What `@effect/platform` has for Effect 3, and `effect/socket` for Effect 4: the service that makes standard WebSockets. */
import type * as Socket from "@effect/platform/Socket"
import type { WebSocketConstructor as Tag } from "./install-effect@3-or-platform@4/webSocketConstructor.js"

/** The service that Effect's own `Socket` makes its WebSockets with. */
export type WebSocketConstructor = Socket.WebSocketConstructor

export { WebSocketConstructor as WebSocketConstructorTag } from "./install-effect@3-or-platform@4/webSocketConstructor.js"

/** Makes the service from a function that makes a WebSocket. Effect 3 passes no headers. */
export const toWebSocketConstructor =
  (
    open: (
      url: string,
      protocols: string | ReadonlyArray<string> | undefined,
      headers: Readonly<Record<string, string>> | undefined
    ) => ReturnType<typeof Tag.Service>
  ): typeof Tag.Service =>
  (url, protocols) =>
    open(url, protocols, undefined)
