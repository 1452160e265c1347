import { WebSocket } from "ws"
import { opened, received, url } from "./receive.js"

const socket = new WebSocket(url, { perMessageDeflate: false })
socket.on("open", opened)
// As most apps use them: text as a string.
socket.on("message", (data, isBinary) => {
  if (!isBinary && data.toString().length > 0) received()
})
