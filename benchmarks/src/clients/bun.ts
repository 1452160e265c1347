/** The client of the runtime itself; run by Bun. */
import { opened, received, url } from "./receive.js"

declare const WebSocket: new (url: string) => {
  addEventListener(type: "open" | "message", listener: () => void): void
}

const socket = new WebSocket(url)
socket.addEventListener("open", opened)
socket.addEventListener("message", received)
