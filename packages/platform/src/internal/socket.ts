/** What `@effect/platform` has for Effect 3, and `effect/socket` for Effect 4: sockets of messages, and their servers. */
import type * as Socket_ from "@effect/platform/Socket"
import type * as SocketServer_ from "@effect/platform/SocketServer"
import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Scope from "effect/Scope"
import type { WebSocket } from "../WebSocket.js"
import type { CurrentWebSocket } from "./currentWebSocket.js"
import {
  isCloseEvent,
  SocketCloseError,
  SocketGenericError,
  SocketTypeId
} from "./install-effect@3-or-platform@4/socket.js"
import { closeOf, dropSilent } from "./socketClose.js"

/** The service of a socket, and the service of a server of sockets. */
export { Socket, SocketServer } from "./install-effect@3-or-platform@4/socket.js"

export type SocketError = Socket_.SocketError

/** The members of the server's service. */
export type SocketServerService = Context.Tag.Service<SocketServer_.SocketServer>

/** The error of a socket whose connection could not be made. */
export const socketOpenError = (cause: unknown, isTimeout: boolean): SocketError =>
  new SocketGenericError({ reason: isTimeout ? "OpenTimeout" : "Open", cause })

/** The error of a socket whose connection has ended. The cause is the error of the connection. */
const closeError = (error: ConnectionError): SocketError => {
  const { code, reason } = closeOf(error)
  const closed = new SocketCloseError({ reason: "Close", code, closeReason: reason })
  closed.cause = error
  return closed
}

/** As with the sockets of Effect, only 1000 is no error. */
const endOf = (error: ConnectionError): Effect.Effect<void, SocketError> =>
  closeOf(error).code === normal ? Effect.void : Effect.fail(closeError(error))

const normal = CloseCode.fromName("NormalClosure")

const writeError = (cause: unknown): SocketError => new SocketGenericError({ reason: "Write", cause })

const encoder = new TextEncoder()

/**
 * A socket whose `run` connects, and reads until the connection is over. Handlers begin in the order of their messages,
 * and run at the same time: the RPC client waits in a handler until the app has read a chunk, and would otherwise see no
 * answer to another call meanwhile.
 */
export const makeSocket = (
  connect: Effect.Effect<WebSocket, SocketError, Scope.Scope>,
  current: CurrentWebSocket
): Socket_.Socket => {
  const runRaw = <A, E, R>(
    handler: (data: string | Uint8Array) => Effect.Effect<A, E, R> | void,
    options?: { readonly onOpen?: Effect.Effect<void> | undefined }
  ): Effect.Effect<void, SocketError | E, R> =>
    Effect.scopedWith((scope) =>
      Effect.gen(function* () {
        // Before the handlers, so that it outlives them: a finalizer of a handler may write, and must not wait.
        const socket = yield* Scope.extend(current.connect(connect), scope)
        const fibers = yield* Scope.extend(FiberSet.make<unknown, E>(), scope)
        const fork = yield* FiberSet.runtime(fibers)<R>()
        const reading = socket.run(({ data }) => {
          const handling = handler(data)
          if (Effect.isEffect(handling)) fork(handling)
        })
        const ended = Effect.matchEffect(reading, {
          onFailure: (error) => Effect.andThen(dropSilent(socket, error), Effect.fail(closeError(error))),
          // `receive` has the code, also after a normal end.
          onSuccess: () => Effect.matchEffect(socket.receive, { onFailure: endOf, onSuccess: () => Effect.void })
        })
        // With `exit`, because a fiber that fails is logged.
        const end = yield* Effect.forkIn(Effect.exit(ended), scope)
        // May wait for a reply, so messages are read meanwhile.
        if (options?.onOpen !== undefined) yield* options.onOpen
        return yield* Effect.raceFirst(Effect.flatten(Fiber.join(end)), FiberSet.join(fibers))
      })
    ).pipe(Effect.interruptible)
  const write = (data: Uint8Array | string | Socket_.CloseEvent): Effect.Effect<void, SocketError> =>
    Effect.mapError(isCloseEvent(data) ? current.close(data.code, data.reason) : current.send(data), writeError)
  return {
    [SocketTypeId]: SocketTypeId,
    run: (handler, options) =>
      runRaw((data) => handler(typeof data === "string" ? encoder.encode(data) : data), options),
    runRaw,
    writer: Effect.succeed(write)
  }
}

/** Where a server of sockets listens. */
export const socketServerAddress = (
  hostname: string,
  port: number,
  path: string | undefined
): SocketServerService["address"] =>
  path === undefined ? { _tag: "TcpAddress", hostname, port } : { _tag: "UnixAddress", path }
