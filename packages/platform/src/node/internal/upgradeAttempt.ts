import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import { STATUS_CODES, type IncomingMessage } from "node:http"
import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { UpgradeAttempt } from "../../WebSocketServer.js"
import * as NodeTransport from "../NodeTransport.js"
import { headerRecord } from "./headerRecord.js"

// Time to write a refusal to a client that does not read.
const rejectTimeoutMillis = 5000

/** What Node's `upgrade` event hands over, as an attempt to upgrade. */
export const upgradeAttempt = (request: IncomingMessage, socket: Duplex, head: Uint8Array): UpgradeAttempt => {
  // Before anything else: a reset in the middle of the handshake must not end the process.
  socket.on("error", destroy)
  const remoteAddress = socket instanceof Socket ? socket.remoteAddress : undefined
  let onGone: (() => void) | undefined
  const answered = (): void => {
    if (onGone !== undefined) socket.off("close", onGone)
    onGone = undefined
  }
  return {
    request: {
      method: request.method ?? "",
      url: request.url ?? "",
      httpVersion: request.httpVersion,
      headers: headerRecord(request)
    },
    remoteAddress,
    isGone: () => socket.destroyed || !socket.writable,
    onGone: (listener) => {
      answered()
      onGone = listener
      socket.once("close", listener)
    },
    upgrade: (headers) => {
      answered()
      if (socket instanceof Socket) {
        socket.setTimeout(0)
        socket.setNoDelay(true)
      }
      socket.write(formatHead(101, headers), "latin1")
      const transport = NodeTransport.make(socket, head)
      // The transport listens instead: a second listener would be a list, for as long as the connection lasts.
      socket.off("error", destroy)
      return transport
    },
    reject: (status, headers, body) => {
      answered()
      if (socket.destroyed) return
      const text = body === "" ? "" : `${body}\n`
      const timer = setTimeout(() => socket.destroy(), rejectTimeoutMillis)
      socket.once("close", () => clearTimeout(timer))
      const typed = Object.keys(headers).some((name) => name.toLowerCase() === "content-type")
      const all = {
        ...(typed ? {} : { "Content-Type": "text/plain; charset=utf-8" }),
        ...headers,
        Connection: "close",
        "Content-Length": String(Buffer.byteLength(text))
      }
      // Reads on, because closing a socket with unread bytes would reset it, and the answer with it.
      socket.resume()
      socket.once("end", () => socket.destroy())
      socket.write(formatHead(status, all), "latin1")
      socket.end(text)
    }
  }
}

// Not a closure, which would keep the request alive as long as its socket.
function destroy(this: Duplex): void {
  this.destroy()
}

/** An HTTP/1.1 response head. Names and values were checked by the handshake. */
const formatHead = (status: number, headers: HeaderRecord): string => {
  const lines = HeaderField.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines.join("")}\r\n`
}
