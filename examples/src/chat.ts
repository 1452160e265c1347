/**
 * A small chat: everybody in a room hears what is said in it. The app does not know its transport: `chat-server.ts` provides
 * Node's sockets, and `test/chat.test.ts` provides connections in memory.
 */
import { type WebSocket, WebSocketClient, WebSocketServer } from "@effect-websocket/platform"
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import { type Duration, Effect, Layer, Schedule } from "effect"

/** The server closes the connection of a member who says nothing for this long, with this close code. */
export const idleTime: Duration.DurationInput = "1 minute"
export const idleCode = 4000
/** The server drops a member who does not read for this long, because the room waits for every member. */
export const slowTime: Duration.DurationInput = "5 seconds"

/** The server. The URL `/room?name=ada` names a room and the member who enters it. */
export const ChatServer = Layer.suspend(() => {
  const rooms = new Map<WebSocket.WebSocket, string>()

  const tell = (room: string, line: string) =>
    Effect.forEach(
      [...rooms].flatMap(([member, entered]) => (entered === room ? [member] : [])),
      (member) =>
        // Interruptible, because `tell` also runs in a finalizer, which is uninterruptible.
        Effect.interruptible(member.send(line)).pipe(
          Effect.timeout(slowTime),
          Effect.catchTag("TimeoutException", () => member.abort),
          Effect.ignore
        ),
      { concurrency: "unbounded", discard: true }
    )

  return WebSocketServer.layerHandler((socket) =>
    Effect.gen(function* () {
      const { pathname, searchParams } = new URL(socket.url, "ws://chat")
      const name = searchParams.get("name")
      if (name === null) return yield* socket.close("PolicyViolation", "a name is needed")
      yield* Effect.acquireRelease(
        Effect.sync(() => rooms.set(socket, pathname)),
        () =>
          Effect.suspend(() => {
            rooms.delete(socket)
            return tell(pathname, `${name} left`)
          })
      )
      yield* tell(pathname, `${name} joined`)
      yield* socket.receive.pipe(
        Effect.timeout(idleTime),
        Effect.flatMap((message) => tell(pathname, `${name}: ${message.data}`)),
        Effect.forever,
        Effect.catchTag("TimeoutException", () => socket.close(idleCode, "idle"))
      )
    })
  )
})

/**
 * The client: receives the lines of a room until the server ends the connection. If the server cannot be reached or is too busy,
 * the client tries again, with a longer delay each time. If the connection breaks, or the server goes silent or away, the client
 * reconnects.
 */
export const hear = (room: string, name: string, onLine: (line: string) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const socket = yield* WebSocketClient.connect(`${room}?name=${encodeURIComponent(name)}`).pipe(
      // The retry is inside the session, so that the delays start again after each connection.
      Effect.retry({
        schedule: Schedule.union(Schedule.exponential("1 second"), Schedule.spaced("1 minute")),
        while: isTemporary
      })
    )
    yield* socket.run((message) => onLine(String(message.data)))
    // `run` also ends without an error if the server goes away, for example to restart.
    const { error } = yield* socket.closeStatus
    if (isTemporary(error)) yield* Effect.fail(error)
  }).pipe(Effect.scoped, Effect.retry({ schedule: Schedule.spaced("1 second"), while: isTemporary }))

const isTemporary = (error: WebSocketClient.ConnectError | ConnectionError): boolean =>
  error._tag === "Io_error" ||
  (error._tag === "Connection_closed" && (!error.clean || error.code === 1001)) ||
  (error._tag === "Handshake_rejected" && error.status === 503)
