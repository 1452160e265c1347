/** A client and a server on Node's `net`. */
import { Connection, Errors, Handshake, Mask, Message } from "@effect-websocket/protocol"
import * as Net from "node:net"
import { answer, checkAnswer, type Head, parseHead, request } from "./handshake.js"
import { makeLoop } from "./loop.js"

const maxHeadBytes = 16 * 1024
const headTimeout = 10_000
const closeTimeout = 5000

/** Waits for the head of the other side. The bytes behind the head belong to the connection. */
const onHead = (socket: Net.Socket, use: (head: Head, rest: Uint8Array) => void) => {
  // Without a timer, a peer that sends no head, or sends it very slowly, would hold the socket forever.
  const timer = setTimeout(() => socket.destroy(new Error("No head came in time")), headTimeout)
  socket.on("close", () => clearTimeout(timer))
  let held = Buffer.alloc(0)
  const onData = (chunk: Buffer) => {
    held = Buffer.concat([held, chunk])
    const end = held.indexOf("\r\n\r\n")
    if (end === -1 && held.length > maxHeadBytes) socket.destroy(new Error("The head is too long"))
    if (end === -1) return
    clearTimeout(timer)
    socket.off("data", onData)
    use(parseHead(held.toString("latin1", 0, end)), held.subarray(end + 4))
  }
  socket.on("data", onData)
}

/** Runs a connection over a socket, beginning with the bytes behind the head. */
const run = (
  socket: Net.Socket,
  rest: Uint8Array,
  connection: Connection.Connection,
  onEvent: (event: Connection.Event) => void
) => {
  let timer: NodeJS.Timeout | undefined
  const wire = {
    write: (bytes: Uint8Array) => {
      // Stop reading until the peer has read the output that waits for it.
      if (!socket.write(bytes)) socket.pause()
      // The connection has no clock, so the edge decides how long the peer may take to close.
      if (connection.closeExpected) timer ??= setTimeout(() => socket.destroy(), closeTimeout)
    },
    // After `end` there is no `drain` event, and the peer's data must still be read to its end.
    end: () => void socket.end().resume()
  }
  const loop = makeLoop(connection, wire, onEvent)
  socket.on("close", () => clearTimeout(timer))
  socket.on("drain", () => socket.resume())
  socket.on("data", loop.onData)
  socket.on("end", loop.onEnd)
  socket.on("error", loop.onError)
  loop.onData(rest)
  return loop
}

/** A server that sends every message back. */
export const echoServer = (): Net.Server =>
  Net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => socket.destroy())
    onHead(socket, (head, rest) => {
      const { agreement, head: answered } = answer(head)
      socket.write(answered, "latin1")
      if (agreement === undefined) return socket.destroySoon()
      const connection = Connection.make({ role: "server" })
      return run(socket, rest, connection, (event) => {
        if (Message.isMessage(event)) connection.send(event)
      })
    })
  })

/** Sends a text. Resolves with the first answer, after the connection was closed with 1000. */
export const askOnce = (port: number, text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const offer = {
      key: Handshake.generateKey(globalThis.crypto),
      protocols: ["chat.v1"],
      origin: "https://example.com"
    }
    const socket = Net.connect({ host: "127.0.0.1", port, allowHalfOpen: true })
    socket.on("error", reject)
    socket.write(Errors.getOrThrow(request(`127.0.0.1:${port}`, "/chat", offer)), "latin1")
    onHead(socket, (head, rest) => {
      const agreement = checkAnswer(head, offer)
      if (Errors.isProtocolError(agreement)) {
        socket.destroy()
        return reject(agreement)
      }
      const connection = Connection.make({ role: "client", maskKey: Mask.keys(globalThis.crypto) })
      let answered = ""
      const loop = run(socket, rest, connection, (event) => {
        if (event._tag === "Text") {
          answered = event.data
          connection.close(1000)
        }
        if (event._tag !== "Ended") return
        if (connection.closeStatus.clean) resolve(answered)
        else reject(event.error)
      })
      connection.send(Message.text(text))
      return loop.flush()
    })
  })
