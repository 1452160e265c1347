import { WebSocket } from "undici"
import { options } from "../servers/serve.js"
import { connectAll, opened, received, url } from "./receive.js"

connectAll(() => {
  const socket = new WebSocket(url)
  socket.binaryType = "arraybuffer"
  socket.addEventListener("open", opened)
  socket.addEventListener("message", ({ data }: { readonly data: string | ArrayBuffer }) => {
    if (options.echo) socket.send(data)
    else received()
  })
})
