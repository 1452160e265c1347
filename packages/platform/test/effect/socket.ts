/** Sockets of `@effect/platform`, as both Effects have them. */
import type * as Socket from "@effect/platform/Socket"
import { Effect, type Scope } from "effect"

export { CloseEvent, isSocketError, Socket, toChannelString } from "@effect/platform/Socket"
export { SocketServer } from "@effect/platform/SocketServer"

/** How a socket ended, or was not opened. A normal end has no error on Effect 3. */
export type End =
  | { readonly _tag: "Normal" }
  | { readonly _tag: "Close"; readonly code: number; readonly reason: string | undefined; readonly cause: unknown }
  | { readonly _tag: "Open"; readonly isTimeout: boolean; readonly cause: unknown }
  | { readonly _tag: "Other"; readonly error: Socket.SocketError }

const endOf = (error: Socket.SocketError): End => {
  switch (error.reason) {
    case "Close":
      return { _tag: "Close", code: error.code, reason: error.closeReason, cause: error.cause }
    case "Open":
    case "OpenTimeout":
      return { _tag: "Open", isTimeout: error.reason === "OpenTimeout", cause: error.cause }
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
  Effect.match(socket.runRaw(handler, { onOpen }), { onFailure: endOf, onSuccess: (): End => ({ _tag: "Normal" }) })

export interface Writer {
  readonly write: (data: string | Uint8Array | Socket.CloseEvent) => Effect.Effect<void, Socket.SocketError>
  readonly writeAll: (data: readonly [string, ...Array<string>]) => Effect.Effect<void, Socket.SocketError>
}

export const writer = (socket: Socket.Socket): Effect.Effect<Writer, never, Scope.Scope> =>
  Effect.map(socket.writer, (write) => ({
    write,
    writeAll: (data) => Effect.forEach(data, write, { discard: true })
  }))

/** The error of the library behind a failed write. */
export const writeCause = (error: Socket.SocketError): unknown => (error.reason === "Write" ? error.cause : undefined)

/** Whether a handler that waits leaves the next message to others. */
export const handlersRunAtOnce = true
