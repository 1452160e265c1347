/** The loop around a connection: the same for every transport. */
import { Errors, type Connection } from "@effect-websocket/protocol"

/** The operations that the loop needs of a transport. */
export interface Wire {
  readonly write: (bytes: Uint8Array) => void
  /** Half-closes the transport: nothing more is sent. */
  readonly end: () => void
}

export const makeLoop = (connection: Connection.Connection, wire: Wire, onEvent: (event: Connection.Event) => void) => {
  let ended = false
  /** Writes the output that waits. Call it after every operation on the connection, also after `send`. */
  const flush = () => {
    for (const bytes of connection.takeOutput()) wire.write(bytes)
    if (connection.outputEnded && !ended) {
      ended = true
      wire.end()
    }
  }
  const handle = (events: ReadonlyArray<Connection.Event>) => {
    for (const event of events) onEvent(event)
    flush()
    // A Close behind messages takes effect after the app has answered these messages.
    if (connection.unsettled) handle(connection.settle())
  }
  return {
    flush,
    onData: (chunk: Uint8Array) => handle(connection.receive(chunk)),
    onEnd: () => handle(connection.receiveEof()),
    onError: (cause: unknown) =>
      handle(connection.abort(new Errors.IoError({ reason: "Reset", operation: "read", cause })))
  }
}
