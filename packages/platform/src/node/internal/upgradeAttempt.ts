import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import { STATUS_CODES, type IncomingMessage } from "node:http"
import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { GuardedTransport } from "../../engine/connection/GuardedTransport.js"
import type { Transport } from "../../Transport.js"
import type { UpgradeAttempt } from "../../WebSocketServer.js"
import * as NodeTransport from "../NodeTransport.js"
import { headerRecord } from "./headerRecord.js"
import { reportThrown } from "./reportThrown.js"

// Time to write a refusal to a client that does not read.
const rejectTimeoutMillis = 5000

/** A request to upgrade over a socket that others may hold, too. */
export interface NodeAttempt extends UpgradeAttempt {
  /** The socket of its request. */
  readonly socket: Socket
  /** As `reject`, but drops the socket in the end: other holders see a client that is gone. */
  readonly rejectAndDrop: (status: number, headers: HeaderRecord, body: string) => void
  /** Leaves the socket to others, and stops watching for its end. */
  readonly abandon: () => void
}

/** The arguments of Node's `upgrade` event as an attempt to upgrade. */
export const upgradeAttempt = (request: IncomingMessage, socket: Duplex, head: Uint8Array): NodeAttempt => {
  // Before anything else: a reset in the middle of the handshake must not end the process.
  destroyOnError(socket)
  reportThrown(socket)
  let stopWatching: (() => void) | undefined
  const answered = (): void => {
    stopWatching?.()
    stopWatching = undefined
  }
  const isGone = (): boolean => hasEnded(socket)
  // Its end has come already, and no event tells of it again.
  if (isGone()) socket.destroy()
  return {
    socket: request.socket,
    request: {
      method: request.method ?? "",
      url: request.url ?? "",
      httpVersion: request.httpVersion,
      headers: headerRecord(request)
    },
    remoteAddress: (socket instanceof Socket ? socket : request.socket).remoteAddress,
    isGone,
    onGone: (listener) => {
      answered()
      stopWatching = watchEnd(socket, () => {
        listener()
        socket.destroy()
      })
    },
    upgrade: (headers) => {
      answered()
      // RFC 9110 §7.8: 100 comes before 101.
      return takeOver(socket, head, headers, expectsContinue(request) ? formatHead(100, {}) : "")
    },
    reject: (status, headers, body) => {
      answered()
      if (socket.destroyed || !socket.writable) return
      dropInTime(socket)
      // Reads on, because closing a socket with unread bytes would reset it, and the answer with it.
      socket.resume()
      socket.once("end", () => socket.destroy())
      socket.end(formatRefusal(status, headers, body))
    },
    rejectAndDrop: (status, headers, body) => {
      answered()
      if (socket.destroyed || !socket.writable) return
      dropInTime(socket)
      socket.resume()
      socket.write(formatRefusal(status, headers, body), () => socket.destroy())
    },
    abandon: answered
  }
}

/** Whether a peer has gone, or has ended its input. The end of a stream that is paused has not been emitted yet. */
export const hasEnded = (socket: Duplex): boolean =>
  socket.destroyed ||
  Boolean(socket.errored) ||
  socket.readableEnded ||
  !socket.writable ||
  (socket.readableLength === 0 && hasPendingEnd(socket))

const hasPendingEnd = (socket: Duplex): boolean => {
  const state: unknown = Reflect.get(socket, "_readableState")
  return typeof state === "object" && state !== null && Reflect.get(state, "ended") === true
}

/** Answers 101, behind `interim`, and takes the stream over in the same step. */
export const takeOver = (
  socket: Duplex,
  head: Uint8Array | undefined,
  headers: HeaderRecord,
  interim = ""
): Transport => {
  const answer = Buffer.from(interim + formatHead(101, headers), "latin1")
  const transport = NodeTransport.make(socket, head)
  // The transport listens instead: a second listener would be a list, for as long as the connection lasts.
  stopDestroyOnError(socket)
  // A corked stream would keep what is written to it.
  for (let corks = socket.writableCorked; corks > 0; corks--) socket.uncork()
  if (socket instanceof Socket) {
    socket.setTimeout(0)
    socket.setNoDelay(true)
    socket.write(answer)
    return transport
  }
  // The methods of a stream of the app's may throw.
  const guarded = new GuardedTransport(transport)
  guarded.write([answer])
  return guarded
}

/**
 * Watches for the end of the client's input while nobody reads. The bytes stay in the buffer of the socket for a later reader.
 * Beyond the high-water mark of the socket, reading stops, and an end behind that is not seen.
 */
const watchEnd = (socket: Duplex, onEnd: () => void): (() => void) => {
  const over = (): void => {
    stop()
    onEnd()
  }
  const onReadable = (): void => {
    // Only at the end does a read of more bytes than there are succeed.
    const { readableHighWaterMark, readableLength } = socket
    if (readableLength < readableHighWaterMark && socket.read(readableLength + 1) !== null) over()
  }
  // Somebody else takes the socket over.
  const onListener = (event: string | symbol): void => {
    if (event === "data" || event === "readable") stop()
  }
  const stop = (): void => {
    socket.off("newListener", onListener)
    socket.off("readable", onReadable)
    socket.off("end", over)
    socket.off("close", over)
  }
  socket.on("end", over)
  socket.on("close", over)
  socket.on("readable", onReadable)
  socket.on("newListener", onListener)
  return stop
}

const dropInTime = (socket: Duplex): void => {
  const timer = setTimeout(() => socket.destroy(), rejectTimeoutMillis).unref()
  socket.once("close", () => clearTimeout(timer))
}

/** Adds one listener to a socket, however often it is called. */
export const destroyOnError = (socket: Duplex): void => {
  if (!socket.listeners("error").includes(destroy)) socket.on("error", destroy)
}

/** The socket goes back to Node, which has a listener of its own. */
export const stopDestroyOnError = (socket: Duplex): void => void socket.off("error", destroy)

// Not a closure, which would keep the request alive as long as its socket.
function destroy(this: Duplex): void {
  this.destroy()
}

const expectsContinue = ({ headers }: IncomingMessage): boolean => headers.expect?.toLowerCase() === "100-continue"

const formatRefusal = (status: number, headers: HeaderRecord, body: string): Buffer => {
  const text = Buffer.from(body === "" ? "" : `${body}\n`)
  const typed = Object.keys(headers).some((name) => name.toLowerCase() === "content-type")
  const all = {
    ...(typed ? {} : { "Content-Type": "text/plain; charset=utf-8" }),
    ...headers,
    Connection: "close",
    "Content-Length": String(text.length)
  }
  return Buffer.concat([Buffer.from(formatHead(status, all), "latin1"), text])
}

/** An HTTP/1.1 response head. Names and values were checked by the handshake. */
const formatHead = (status: number, headers: HeaderRecord): string => {
  const lines = HeaderField.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines.join("")}\r\n`
}
