import process from "node:process"
import { WebSocket, WebSocketServer } from "ws"
import { serveJobs } from "./lines.mjs"
import { react, remember } from "./shared.mjs"

const api = (socket, origin) => ({
  origin,
  send: (data) => socket.send(data),
  close: (code, reason) => socket.close(code, reason),
  ping: () => socket.ping("from the peer"),
  fragments: () => {
    socket.send("one ", { fin: false })
    socket.send("two ", { fin: false })
    socket.send("three", { fin: true })
  }
})

const listen = (socket, origin) =>
  socket.on("message", (data, binary) => react(api(socket, origin), binary ? data : data.toString()))

if (process.argv[2] === "server") {
  const server = new WebSocketServer(
    { port: 0, host: "127.0.0.1", perMessageDeflate: { threshold: 0 }, maxPayload: 2 ** 22 },
    () => console.log(`listening ${server.address().port}`)
  )
  server.on("connection", (socket, request) => {
    listen(socket, request.headers.origin)
    socket.on("error", () => {})
    socket.on("close", (code, reason) => remember(code, reason))
  })
} else {
  serveJobs(
    ({ origin, protocols, url }) =>
      new Promise((resolve) => {
        const socket = new WebSocket(url, protocols, {
          perMessageDeflate: { threshold: 0 },
          origin,
          maxPayload: 2 ** 22
        })
        let opened = false
        socket.on("open", () => {
          opened = true
        })
        listen(socket)
        socket.on("error", () => {})
        socket.on("close", (code, reason) =>
          resolve({ opened, protocol: socket.protocol, code, reason: reason.toString() })
        )
      })
  )
}
