/** What `@effect/platform` has for Effect 3, and `effect/socket` for Effect 4: sockets of messages, and their servers. */
import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import * as Arr from "effect/Array"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Socket_ from "effect/socket/Socket"
import type * as SocketServer_ from "effect/socket/SocketServer"
import type { WebSocket } from "../WebSocket.js"
import type { CurrentWebSocket } from "./currentWebSocket.js"
import {
  getOrElse,
  inetAddressFromHostString,
  inetAddressUnsafe,
  ipv4Loopback,
  isCloseEvent,
  make,
  SocketCloseError,
  SocketError as SocketError_,
  SocketOpenError,
  SocketUpgradeError,
  SocketWriteError,
  unixPathAddress
} from "./install-effect@4-or-platform@3/socket.js"
import { closeOf, dropSilent } from "./socketClose.js"

/** The service of a socket, and the service of a server of sockets. */
export { Socket, SocketServer } from "./install-effect@4-or-platform@3/socket.js"

export type SocketError = Socket_.SocketError

/** The members of the server's service. */
export type SocketServerService = Context.Service.Shape<typeof SocketServer_.SocketServer>

/** The error of a socket whose connection could not be made. */
export const socketOpenError = (cause: unknown, isTimeout: boolean): SocketError =>
  new SocketError_({ reason: new SocketOpenError({ kind: isTimeout ? "Timeout" : "Unknown", cause }) })

/** The error of a socket whose connection has ended. The cause is the error of the connection. */
const closeError = (error: ConnectionError): SocketError => {
  const { code, reason } = closeOf(error)
  const closed = new SocketCloseError({ code, closeReason: reason })
  closed.cause = error
  return new SocketError_({ reason: closed })
}

const writeError = (cause: unknown): SocketError => new SocketError_({ reason: new SocketWriteError({ cause }) })

/** A socket whose `reader` connects. `pull` takes all messages that have arrived. */
export const makeSocket = (
  connect: Effect.Effect<WebSocket, SocketError, Scope.Scope>,
  current: CurrentWebSocket
): Socket_.Socket => {
  const reader: Socket_.Socket["reader"] = Effect.gen(function* () {
    const socket = yield* current.connect(connect)
    return {
      pull: Effect.matchEffect(socket.receiveAll, {
        onFailure: (error) => Effect.andThen(dropSilent(socket, error), Effect.fail(closeError(error))),
        onSuccess: (messages) => Effect.succeed(Arr.map(messages, ({ data }) => data))
      }),
      upgrade: SocketUpgradeError.unsupported
    }
  })
  return make({
    reader,
    writer: Effect.succeed({
      write: (data) =>
        Effect.mapError(isCloseEvent(data) ? current.close(data.code, data.reason) : current.send(data), writeError),
      writeAll: (data) => Effect.mapError(current.sendAll(data), writeError)
    })
  })
}

/** Where a server of sockets listens. A name in place of an IP address becomes 127.0.0.1. */
export const socketServerAddress = (
  hostname: string,
  port: number,
  path: string | undefined
): SocketServerService["address"] =>
  path === undefined
    ? getOrElse(inetAddressFromHostString(hostname, port), () => inetAddressUnsafe(ipv4Loopback, port))
    : unixPathAddress(path)
