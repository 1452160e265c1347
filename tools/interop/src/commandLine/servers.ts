/** Servers that the commands talk to. Each ends with the scope. */
import { NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Opcode, Origin, type Frame } from "@effect-websocket/protocol"
import { Effect, Queue, type Scope } from "effect"
import { createServer as createHttpServer, type IncomingMessage } from "node:http"
import { createServer } from "node:net"
import type { Duplex } from "node:stream"
import { listen } from "../listen.js"

/** Our server, on a port or a Unix domain socket. */
export const serve = (options: Partial<NodeWebSocketServer.ListenOptions> & { readonly socketPath?: string } = {}) => {
  const { socketPath, ...others } = { origin: Origin.allowAll, ...options }
  return NodeWebSocketServer.make(
    socketPath === undefined ? { port: 0, host: "127.0.0.1", ...others } : { socketPath, ...others }
  )
}

/** A frame in a few words. */
export const nameOf = ({ opcode, payload }: Frame.Frame): string => {
  const text = Buffer.from(payload).toString()
  switch (opcode) {
    case Opcode.Ping:
      return `ping ${text}`.trim()
    case Opcode.Pong:
      return `pong ${text}`.trim()
    case Opcode.Close:
      return payload.length < 2
        ? "Close without a code"
        : `Close ${Buffer.from(payload).readUInt16BE()} ${text.slice(2)}`.trim()
    default:
      return `${opcode === Opcode.Binary ? "binary" : "text"} ${opcode === Opcode.Binary ? hexadecimal(payload) : text}`
  }
}

/** Bytes as people write them. */
export const hexadecimal = (bytes: Uint8Array): string =>
  Buffer.from(bytes)
    .toString("hex")
    .replaceAll(/..(?!$)/g, "$& ")

/** A server whose answers to upgrade requests the caller writes. Returns its port. */
export const serveHttp = (answer: (request: IncomingMessage, socket: Duplex) => void) =>
  Effect.gen(function* () {
    const server = createHttpServer()
    server.on("upgrade", answer)
    return yield* listen(server, () => server.closeAllConnections())
  })

export interface TcpServer {
  readonly port: number
  /** The first bytes that a client sends, after which it is dropped. */
  readonly firstBytes: Effect.Effect<Buffer>
}

export const serveTcp: Effect.Effect<TcpServer, Error, Scope.Scope> = Effect.gen(function* () {
  const first = yield* Queue.unbounded<Buffer>()
  const server = createServer((socket) => {
    socket.on("error", () => {})
    socket.once("data", (bytes: Buffer) => {
      Queue.unsafeOffer(first, bytes)
      socket.destroy()
    })
  })
  return { port: yield* listen(server, () => {}), firstBytes: Queue.take(first) }
})
