/** The loop around a connection: the same for every transport. */
import { Errors, type Connection } from "@effect-websocket/protocol"

/** What a transport must be able to do. */
export interface Wire {
  readonly write: (bytes: Uint8Array) => void
  /** Sends no more: half-closes the transport. */
  readonly end: () => void
}

export const makeLoop = (connection: Connection.Connection, wire: Wire, onEvent: (event: Connection.Event) => void) => {
  let ended = false
  /** Writes what waits. To be called after everything that is asked of the connection, `send` included. */
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
    // A Close that came behind messages takes effect once those are answered.
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
