/** A connection over web streams, which Deno, Cloudflare Workers and others provide. */
import type { Connection } from "@effect-websocket/protocol"

export interface Streams {
  readonly readable: ReadableStream<Uint8Array>
  readonly writable: WritableStream<Uint8Array>
}

/**
 * Runs a connection until its end. It writes all output before it reads more, so a peer that does not read is held
 * back.
 */
export const runOnStreams = async (
  connection: Connection.Connection,
  { readable, writable }: Streams,
  onEvent: (event: Connection.Event) => void
): Promise<void> => {
  const writer = writable.getWriter()
  let ended = false
  const handle = async (events: ReadonlyArray<Connection.Event>): Promise<void> => {
    for (const event of events) onEvent(event)
    for (const bytes of connection.takeOutput()) await writer.write(bytes)
    if (connection.unsettled) return handle(connection.settle())
    if (connection.outputEnded && !ended) {
      ended = true
      await writer.close()
    }
  }
  await handle([])
  for await (const chunk of readable) await handle(connection.receive(chunk))
  await handle(connection.receiveEof())
}
