/** Echoes all messages, in each of this library's ways to read. */
import type { WebSocket } from "@effect-websocket/platform"
import { Effect, Stream } from "effect"

type Socket = WebSocket.WebSocket

export const echo = {
  run: (socket: Socket) => socket.run((message) => socket.send(message)),
  receiveAll: (socket: Socket) =>
    Effect.gen(function* () {
      for (;;) yield* socket.sendAll(yield* socket.receiveAll)
    }),
  receive: (socket: Socket) =>
    Effect.gen(function* () {
      for (;;) yield* socket.send(yield* socket.receive)
    }),
  messages: (socket: Socket) => Stream.runForEach(socket.messages, (message) => socket.send(message))
}

/** The requested way to read. */
export const choose = (
  apis: Readonly<Record<keyof typeof echo, (socket: Socket) => Effect.Effect<unknown, unknown>>>,
  name: string
): ((socket: Socket) => Effect.Effect<unknown, unknown>) =>
  Object.entries(apis).find(([api]) => api === name)?.[1] ?? apis.run
