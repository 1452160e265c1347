/** Echo server and client of `ws`. */
import { WebSocket, WebSocketServer } from "ws"
import type { ClientTarget, ServerTarget } from "../Driver.js"
import type { Listener } from "../Peer.js"

const name = "ws 8.23.0"
const maxPayload = 1024 * 1024
const perMessageDeflate = { threshold: 0 }

const echo = (socket: WebSocket): void => {
  socket.on("message", (data, binary) => socket.send(data, { binary }))
  // Errors are ignored here: the driver sees the violation on the wire.
  socket.on("error", () => {})
}

const serve = (deflate: boolean): Promise<{ readonly url: URL; readonly stop: () => Promise<void> }> =>
  new Promise((resolve) => {
    const server: WebSocketServer = new WebSocketServer(
      {
        port: 0,
        host: "127.0.0.1",
        maxPayload,
        perMessageDeflate: deflate && perMessageDeflate,
        handleProtocols: (offered) => offered.has("superchat") && "superchat"
      },
      () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resolve({
          url: new URL(`ws://127.0.0.1:${port}`),
          stop: () =>
            new Promise((done) => {
              for (const socket of server.clients) socket.terminate()
              server.close(() => done())
            })
        })
      }
    )
    server.on("connection", echo)
  })

export const startServer = async (): Promise<{ readonly target: ServerTarget; readonly stop: () => Promise<void> }> => {
  const [plain, deflating] = [await serve(false), await serve(true)]
  return {
    target: { role: "server", name, url: (deflate) => (deflate ? deflating : plain).url },
    stop: async () => {
      await plain.stop()
      await deflating.stop()
    }
  }
}

export const client = (listener: Listener): ClientTarget => ({
  role: "client",
  name,
  listener,
  dial: (url, deflate) =>
    new Promise((resolve) => {
      const socket = new WebSocket(url, ["chat", "superchat"], {
        maxPayload,
        perMessageDeflate: deflate && perMessageDeflate
      })
      echo(socket)
      socket.on("close", () => resolve(undefined))
    })
})
