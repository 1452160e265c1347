/**
 * The floor: an upgraded socket that sends back every chunk unchanged, or writes it once to each connection. The only frame
 * that it recognises is a Close.
 */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import type { Duplex } from "node:stream"
import { switchingProtocols } from "../switchingProtocols.js"
import { options, serve } from "./serve.js"

const close = 0x88

const everyone = new Set<Duplex>()

const server = createServer()
server.on("upgrade", (request, socket) => {
  socket.on("error", () => {})
  socket.write(switchingProtocols(request))
  socket.on("end", () => socket.end())
  if (options.broadcast) {
    everyone.add(socket)
    socket.on("close", () => everyone.delete(socket))
    socket.on("data", (chunk: Buffer) => {
      for (const each of everyone) each.write(chunk)
    })
    return
  }
  socket.on("data", (chunk: Buffer) => {
    // Binary data may look like a Close, so this looks for one only in cases that close connections.
    if (options.closing && chunk[0] === close) socket.end(chunk)
    else socket.write(chunk)
  })
})
server.listen(0, "127.0.0.1", () => serve((server.address() as AddressInfo).port))
