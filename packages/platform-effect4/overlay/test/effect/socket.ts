/** Sockets of `effect/socket`, as both Effects have them. */
import { Effect, type Scope } from "effect"
import type * as Socket from "effect/socket/Socket"

export { CloseEvent, isSocketError, Socket, toChannelString } from "effect/socket/Socket"
export { SocketServer } from "effect/socket/SocketServer"

/** How a socket ended, or was not opened. A normal end has no error on Effect 3. */
export type End =
  | { readonly _tag: "Normal" }
  | { readonly _tag: "Close"; readonly code: number; readonly reason: string | undefined; readonly cause: unknown }
  | { readonly _tag: "Open"; readonly isTimeout: boolean; readonly cause: unknown }
  | { readonly _tag: "Other"; readonly error: Socket.SocketError }

const endOf = (error: Socket.SocketError): End => {
  const { reason } = error
  switch (reason._tag) {
    case "SocketCloseError":
      return reason.code === 1000
        ? { _tag: "Normal" }
        : { _tag: "Close", code: reason.code, reason: reason.closeReason, cause: reason.cause }
    case "SocketOpenError":
      return { _tag: "Open", isTimeout: reason.kind === "Timeout", cause: reason.cause }
    default:
      return { _tag: "Other", error }
  }
}

/** Connects, and reads until the end. `onOpen` runs once it is connected. */
export const read = (
  socket: Socket.Socket,
  handler: (data: string | Uint8Array) => Effect.Effect<void> | void = () => {},
  onOpen: Effect.Effect<void> = Effect.void
): Effect.Effect<End> =>
  Effect.gen(function* () {
    const { pull } = yield* socket.reader
    yield* onOpen
    while (true) {
      for (const data of yield* pull) {
        const handling = handler(data)
        if (Effect.isEffect(handling)) yield* handling
      }
    }
  }).pipe(
    Effect.scoped,
    Effect.catch((error) => Effect.succeed(endOf(error)))
  )

export interface Writer {
  readonly write: (data: string | Uint8Array | Socket.CloseEvent) => Effect.Effect<void, Socket.SocketError>
  readonly writeAll: (data: readonly [string, ...Array<string>]) => Effect.Effect<void, Socket.SocketError>
}

export const writer = (socket: Socket.Socket): Effect.Effect<Writer, never, Scope.Scope> => socket.writer

/** The error of the library behind a failed write. */
export const writeCause = ({ reason }: Socket.SocketError): unknown =>
  reason._tag === "SocketWriteError" ? reason.cause : undefined

/** Whether a handler that waits leaves the next message to others. */
export const handlersRunAtOnce = false
