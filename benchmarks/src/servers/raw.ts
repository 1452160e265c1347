/** The floor: an upgraded socket that sends back every chunk as it came, without knowing of frames but for a Close. */
import { createHash } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { options, serve } from "./serve.js"

const close = 0x88

const server = createServer()
server.on("upgrade", (request, socket) => {
  socket.on("error", () => {})
  const accept = createHash("sha1")
    .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest("base64")
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`
  )
  socket.on("end", () => socket.end())
  socket.on("data", (chunk: Buffer) => {
    // Binary data may look like one, so that it is looked for only where connections are closed by it.
    if (options.closing && chunk[0] === close) socket.end(chunk)
    else socket.write(chunk)
  })
})
server.listen(0, "127.0.0.1", () => serve((server.address() as AddressInfo).port))
