import * as Effect from "effect/Effect"
import { requestFromWeb } from "./httpServer.js"
import type { Socket } from "./socket.js"

/** A request of an HTTP server that has been upgraded to `socket`. It has nothing else but its headers. */
export const upgradedRequest = (
  socket: Socket,
  headers: Readonly<Record<string, string>>
): ReturnType<typeof requestFromWeb> =>
  Object.defineProperties(requestFromWeb(new Request("http://localhost")), {
    headers: { value: headers },
    upgrade: { value: Effect.succeed(socket) }
  })
