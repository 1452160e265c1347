import { WebSocket } from "ws"
import { options } from "../servers/serve.js"
import { connectAll, opened, received, url } from "./receive.js"

connectAll(() => {
  const socket = new WebSocket(url, { perMessageDeflate: options.compression })
  socket.on("open", opened)
  socket.on("message", (data, isBinary) => {
    if (options.echo) socket.send(data, { binary: isBinary })
    // Reads text as a string, as most apps do.
    else if (!isBinary && data.toString().length > 0) received()
  })
})
