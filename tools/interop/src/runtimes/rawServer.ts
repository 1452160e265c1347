/** A server without our library, for what no good server does. It tells of the requests of its clients, and how they end. */
import { Effect, type Scope } from "effect"
import { createHash } from "node:crypto"
import { createServer } from "node:http"
import type { Duplex } from "node:stream"

const acceptOf = (key: string | undefined): string =>
  createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")

const normalClose = Buffer.from([0x88, 2, 0x03, 0xe8])

/** The first byte of a Close that is not fragmented. */
const closeByte = 0x88

/**
 * Listens until the scope ends, and gives its port. A connection is told of by the `name` in its query: `NAME:request` is the headers of its
 * request, and `NAME:gone` the end of TCP. Its path says what the server does:
 *
 * - `/moved` redirects to `/`;
 * - `/selects?protocol=P` selects the subprotocol P;
 * - `/silent` does not answer a Close;
 * - `/closes` sends a Close at once, and keeps TCP open;
 * - `/` answers a Close, and also serves an empty page.
 */
export const serveRaw = (tell: (name: string, what: string) => void): Effect.Effect<number, Error, Scope.Scope> =>
  Effect.gen(function* () {
    const sockets = new Set<Duplex>()
    const server = createServer((_, response) =>
      response.setHeader("Content-Type", "text/html").end("<!doctype html><title>Facts</title>")
    )
    server.on("connection", (socket) => {
      sockets.add(socket)
      socket.on("close", () => sockets.delete(socket))
    })
    server.on("upgrade", ({ headers, headersDistinct, url = "" }, socket) => {
      const { pathname, searchParams } = new URL(url, "http://raw")
      const name = searchParams.get("name") ?? ""
      socket.on("error", () => {})
      // Node's half of TCP stays open otherwise.
      if (pathname !== "/closes") socket.on("end", () => socket.destroy())
      socket.on("close", () => tell(`${name}:gone`, "gone"))
      tell(`${name}:request`, JSON.stringify(headersDistinct))
      if (pathname === "/moved") {
        socket.end("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return
      }
      const protocol = searchParams.get("protocol")
      socket.write(
        [
          "HTTP/1.1 101 Switching Protocols",
          "Upgrade: websocket",
          "Connection: Upgrade",
          `Sec-WebSocket-Accept: ${acceptOf(headers["sec-websocket-key"])}`,
          ...(protocol === null ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
          "Set-Cookie: known=yes; Path=/",
          "",
          ""
        ].join("\r\n")
      )
      if (pathname === "/closes") socket.write(normalClose)
      socket.on("data", (chunk: Buffer) => {
        if (pathname !== "/silent" && pathname !== "/closes" && chunk[0] === closeByte) socket.end(normalClose)
      })
    })
    yield* Effect.acquireRelease(
      Effect.async<void, Error>((resume) => {
        server.once("error", (error) => resume(Effect.fail(error)))
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () =>
        Effect.async<void>((resume) => {
          server.close(() => resume(Effect.void))
          for (const socket of sockets) socket.destroy()
        })
    )
    const address = server.address()
    if (typeof address !== "object" || address === null) return yield* Effect.fail(new Error("It has no port"))
    return address.port
  })
