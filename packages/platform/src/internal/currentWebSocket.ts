import { isPayloadTooLarge, type ConnectionError } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Waiters } from "../engine/Waiters.js"
import type { Data, WebSocket } from "../WebSocket.js"
import { awaitCallback, catch_ } from "./effect.js"

/** The connection that a `Socket` of Effect writes to. While there is none, writes wait for the next one. */
export class CurrentWebSocket {
  private socket: WebSocket | undefined
  private readonly isOnly: boolean
  private readonly waiters = new Waiters()

  /** With an argument, that connection is the only one, and remains the current one after its end. */
  constructor(socket?: WebSocket) {
    this.socket = socket
    this.isOnly = socket !== undefined
  }

  /**
   * Makes the connection that `connect` makes the current one, until it is over at the end of the scope. So what is written
   * while it closes is dropped, and does not wait for the next one.
   */
  connect<E>(connect: Effect.Effect<WebSocket, E, Scope.Scope>): Effect.Effect<WebSocket, E, Scope.Scope> {
    if (this.isOnly) return connect
    return Effect.suspend(() => {
      let connected: WebSocket | undefined
      const forget = Effect.sync(() => {
        if (this.socket === connected) this.socket = undefined
      })
      // Finalizers run in reverse order, so this one runs behind that of the connection.
      return Effect.andThen(
        Effect.addFinalizer(() => forget),
        Effect.tap(connect, (socket) =>
          Effect.sync(() => {
            this.socket = connected = socket
            this.waiters.wakeAll()
          })
        )
      )
    })
  }

  /** Sends a message. Fails only if the message itself is refused. */
  send(data: Data): Effect.Effect<void, ConnectionError> {
    return this.use((socket) => unlessOver(socket.send(data)))
  }

  /** Sends several messages. Fails only if one of them is refused. */
  sendAll(data: Iterable<Data> & object): Effect.Effect<void, ConnectionError> {
    return this.use((socket) => unlessOver(socket.sendAll(data)))
  }

  /** Performs the closing handshake. Fails if the code or the reason may not be sent. */
  close(code: number, reason: string | undefined): Effect.Effect<void, ConnectionError> {
    return this.use((socket) => socket.close(code, reason))
  }

  private use(
    write: (socket: WebSocket) => Effect.Effect<void, ConnectionError>
  ): Effect.Effect<void, ConnectionError> {
    return Effect.suspend(() =>
      this.socket === undefined ? Effect.andThen(this.changed, this.use(write)) : write(this.socket)
    )
  }

  private readonly changed: Effect.Effect<void> = awaitCallback((resume) =>
    this.socket === undefined ? this.waiters.add(() => resume(Effect.void)) : resume(Effect.void)
  )
}

/**
 * Drops what is written to a connection that is closing or over. Its reader reports the end. A failure here would be a
 * defect of the RPC call that writes. A wait would block the RPC client that acknowledges a chunk before it reads on, and
 * the RPC server that replies to its last calls before it ends.
 */
const unlessOver = (effect: Effect.Effect<void, ConnectionError>): Effect.Effect<void, ConnectionError> =>
  catch_(effect, (error) =>
    isPayloadTooLarge(error) && error.direction === "outbound" ? Effect.fail(error) : Effect.void
  )
