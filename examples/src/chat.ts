/**
 * A small chat: who is in a room hears what is said there. Nothing here knows what it runs over; `chat-server.ts` provides
 * Node, `test/chat.test.ts` a pair in memory.
 */
import { type WebSocket, WebSocketClient, WebSocketServer } from "@effect-websocket/platform"
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import { type Duration, Effect, Layer, Schedule } from "effect"

/** Who says nothing for this long is asked to leave, with this close code. */
export const idleTime: Duration.DurationInput = "1 minute"
export const idleCode = 4000
/** Who does not read for this long is dropped, because the room waits for them. */
export const slowTime: Duration.DurationInput = "5 seconds"

/** The server: `/room?name=ada` is a room and who enters it. */
export const ChatServer = Layer.suspend(() => {
  const rooms = new Map<WebSocket.WebSocket, string>()

  const tell = (room: string, line: string) =>
    Effect.forEach(
      [...rooms].flatMap(([member, entered]) => (entered === room ? [member] : [])),
      (member) =>
        // Interruptible also where somebody leaves, which nothing else interrupts.
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
 * The client: hears a room until the server ends it. Connects again, later each time, when the server is not there or too busy;
 * and comes back when the connection breaks, and when the server goes silent or away.
 */
export const hear = (room: string, name: string, onLine: (line: string) => Effect.Effect<void>) =>
  Effect.gen(function* () {
    const socket = yield* WebSocketClient.connect(`${room}?name=${encodeURIComponent(name)}`).pipe(
      // Inside of the session, so that a connection that was made starts the delays anew.
      Effect.retry({
        schedule: Schedule.union(Schedule.exponential("1 second"), Schedule.spaced("1 minute")),
        while: isTemporary
      })
    )
    yield* socket.run((message) => onLine(String(message.data)))
    // `run` also ends well where the server goes away, as when it is restarted.
    const { error } = yield* socket.closeStatus
    if (isTemporary(error)) yield* Effect.fail(error)
  }).pipe(Effect.scoped, Effect.retry({ schedule: Schedule.spaced("1 second"), while: isTemporary }))

const isTemporary = (error: WebSocketClient.ConnectError | ConnectionError): boolean =>
  error._tag === "Io_error" ||
  (error._tag === "Connection_closed" && (!error.clean || error.code === 1001)) ||
  (error._tag === "Handshake_rejected" && error.status === 503)
