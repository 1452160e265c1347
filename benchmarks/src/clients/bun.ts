/** The client of the Bun runtime itself. Bun runs this file. */
import { options } from "../servers/serve.js"
import { connectAll, opened, received, url } from "./receive.js"

declare const WebSocket: new (url: string) => {
  send(data: string | Uint8Array): void
  addEventListener(type: "open", listener: () => void): void
  addEventListener(type: "message", listener: (event: { readonly data: string | Uint8Array }) => void): void
}

connectAll(() => {
  const socket = new WebSocket(url)
  socket.addEventListener("open", opened)
  socket.addEventListener("message", ({ data }) => {
    if (options.echo) socket.send(data)
    else received()
  })
})
