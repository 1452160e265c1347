import { WebSocket } from "undici"
import { opened, received, url } from "./receive.js"

const socket = new WebSocket(url)
socket.addEventListener("open", opened)
socket.addEventListener("message", received)
