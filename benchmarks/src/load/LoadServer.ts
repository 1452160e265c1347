/** A server whose connections perform the handshake and count the messages that they receive. */
import { createServer } from "node:http"
import type { Duplex } from "node:stream"
import { switchingProtocols } from "../switchingProtocols.js"
import { MessageCounter } from "./MessageCounter.js"
import type { Peer } from "./Peer.js"

/** The answer of a server that compresses each message independently. */
const withoutContext = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

/** Completes with the port. Calls `onPeer` with every connection. Messages are compressed if the client offers it. */
export const listen = (compressed: boolean, onPeer: (peer: Peer) => void): Promise<number> => {
  const server = createServer()
  server.on("upgrade", (request, socket) => {
    const offered = request.headers["sec-websocket-extensions"]?.includes("permessage-deflate") === true
    const extensions = compressed && offered ? [`Sec-WebSocket-Extensions: ${withoutContext}`] : []
    socket.write(switchingProtocols(request, extensions))
    onPeer(accepted(socket))
  })
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      if (address !== null && typeof address === "object") resolve(address.port)
    })
  )
}

const accepted = (socket: Duplex): Peer => {
  const counter = new MessageCounter()
  const peer: Peer = {
    onMessages: () => {},
    closed: new Promise((resolve) => socket.once("close", () => resolve())),
    write: (bytes, written) => void socket.write(bytes, written),
    end: () => void socket.destroy()
  }
  socket.on("error", () => {})
  socket.on("end", () => socket.end())
  socket.on("data", (chunk: Buffer) => {
    const messages = counter.count(chunk, chunk.length)
    if (messages > 0) peer.onMessages(messages)
  })
  return peer
}
