/**
 * Who floods for `pnpm --filter soak flood`: as many raw sockets at once as it is told, each followed by another, which say nothing, half
 * a request, or a whole one that is refused; those that are refused stay. Its arguments are the port and that number.
 */
import * as Net from "node:net"
import { tell } from "./programs.js"

const [port = 0, width = 0] = process.argv.slice(2).map(Number)

const request = (path: string, header = ""): string =>
  [
    `GET ${path} HTTP/1.1`,
    "Host: 127.0.0.1",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
    `${header}\r\n`
  ].join("\r\n")

const texts = [
  "",
  request("/echo").slice(0, 80),
  request("/echo", "Origin: http://evil.example\r\n"),
  request("/echo", "X-Flood: 1\r\n"),
  request("/nowhere"),
  request("/echo", "Sec-WebSocket-Version: 12\r\n")
]

const counts = { sockets: 0, answers: 0 }

const flood = (index: number): void => {
  const socket = Net.connect({ port, host: "127.0.0.1", allowHalfOpen: true }, () => {
    counts.sockets++
    socket.write(texts[index % texts.length] ?? "")
  })
  const timer = setInterval(() => socket.write("x"), 1000)
  socket.once("data", () => counts.answers++)
  socket.on("error", () => {})
  socket.once("close", () => {
    clearInterval(timer)
    flood(index + 1)
  })
}

for (let index = 0; index < width; index++) flood(index)
setInterval(() => tell(counts), 500)
