import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import { STATUS_CODES, type IncomingMessage } from "node:http"
import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { Transport } from "../../Transport.js"
import type { UpgradeAttempt } from "../../WebSocketServer.js"
import type { UnsafeOptions } from "../NodeOptions.js"
import * as NodeTransport from "../NodeTransport.js"
import { headerRecord } from "./headerRecord.js"
import * as ReadBuffer from "./readBuffer.js"
import { reportThrown } from "./reportThrown.js"

// A client that does not read a refusal is dropped after this time.
export const rejectTimeoutMillis = 5000

/** An upgrade request over a socket that other listeners may hold, too. */
export interface NodeAttempt extends UpgradeAttempt {
  /** The socket of its request. */
  readonly socket: Socket
  readonly upgrade: (headers: HeaderRecord, unsafeReadBuffer?: boolean) => Transport
  /** Like `reject`, but then drops the socket. Other holders of the socket see that the client is gone. */
  readonly rejectAndDrop: (status: number, headers: HeaderRecord, body: string) => void
  /** Leaves the socket to other listeners, and stops watching for its end. */
  readonly abandon: () => void
}

/** Makes an upgrade attempt from the arguments of Node's `upgrade` event. `onReject` is called before each refusal. */
export const upgradeAttempt = (
  request: IncomingMessage,
  socket: Duplex,
  head: Uint8Array,
  onReject?: (socket: Socket) => void
): NodeAttempt => {
  // This comes first, because a reset in the middle of the handshake must not end the process.
  destroyOnError(socket)
  reportThrown(socket)
  let stopWatching: (() => void) | undefined
  const answered = (): void => {
    stopWatching?.()
    stopWatching = undefined
  }
  // An end that comes while nobody watches is not reported again, and would leave the socket half-open.
  const isGone = (): boolean => {
    const ended = hasEnded(socket)
    if (ended && socket.writable) socket.destroy()
    return ended
  }
  if (isGone()) socket.destroy()
  const headers = headerRecord(request)
  return {
    socket: request.socket,
    request: { method: request.method ?? "", url: request.url ?? "", httpVersion: request.httpVersion, headers },
    remoteAddress: (socket instanceof Socket ? socket : request.socket).remoteAddress,
    isCut: isCut(request),
    isGone,
    onGone: (listener) => {
      answered()
      stopWatching = watchEnd(socket, () => {
        listener()
        socket.destroy()
      })
    },
    upgrade: (answer, unsafeReadBuffer) => {
      answered()
      // RFC 9110 §7.8: a server sends 100 before 101.
      return takeOver(socket, head, answer, unsafeReadBuffer, expectsContinue(headers) ? formatHead(100, {}) : "")
    },
    reject: (status, headers, body) => {
      onReject?.(request.socket)
      answered()
      if (socket.destroyed || !socket.writable) return
      dropInTime(socket)
      // Continues to read. Closing a socket with unread bytes would reset the connection, and the client would lose the
      // answer.
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

// Node keeps this many headers if the server has no `maxHeadersCount`. Node's own number is 2,000: it counts names and
// values.
const defaultMaxHeadersCount = 1000

/** Whether Node has dropped headers because there were too many. A dropped header may have announced a body. */
const isCut = ({ rawHeaders, socket }: IncomingMessage): boolean => {
  const own = maxHeadersCountOf(Reflect.get(socket, "server"))
  const maximum = typeof own === "number" ? own : defaultMaxHeadersCount
  return maximum > 0 && rawHeaders.length >= 2 * maximum
}

const maxHeadersCountOf = (server: unknown): unknown =>
  typeof server === "object" && server !== null ? Reflect.get(server, "maxHeadersCount") : undefined

/** A request whose headers are too large for Node, which answers it. So only its refusal is left, to be observed and logged. */
export const overflowingAttempt = ({ remoteAddress }: Socket): UpgradeAttempt => ({
  request: { method: "", url: "", httpVersion: "1.1", headers: {} },
  remoteAddress,
  isCut: true,
  isGone: () => false,
  upgrade: () => {
    throw new Error("A request without headers cannot be accepted")
  },
  reject: () => {}
})

/** The attempt, with the options of the server that answers it. */
export const withOptions = (attempt: NodeAttempt, { unsafeReadBuffer }: UnsafeOptions = {}): NodeAttempt =>
  unsafeReadBuffer === true ? { ...attempt, upgrade: (headers) => attempt.upgrade(headers, true) } : attempt

/**
 * Whether a peer is gone or has ended its input. This includes the end of a paused stream, which has not been emitted yet.
 */
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

/** Writes `interim` and the 101 response, and takes the stream over in the same step. */
export const takeOver = (
  socket: Duplex,
  head: Uint8Array | undefined,
  headers: HeaderRecord,
  unsafeReadBuffer = false,
  interim = ""
): Transport => {
  const answer = interim + formatHead(101, headers)
  const transport = NodeTransport.make(socket, head)
  if (unsafeReadBuffer) ReadBuffer.adopt(socket)
  // The transport listens instead. With a second listener, Node would keep a list of them for the life of the connection.
  stopDestroyOnError(socket)
  // A corked stream would hold back the bytes that are written to it.
  for (let corks = socket.writableCorked; corks > 0; corks--) socket.uncork()
  if (socket instanceof Socket) {
    socket.setTimeout(0)
    socket.setNoDelay(true)
    socket.write(answer, "latin1")
  } else {
    // The methods of an app's stream may throw. Those of its transport do not.
    transport.write([Buffer.from(answer, "latin1")])
  }
  return transport
}

/**
 * Watches for the end of the client's input while nobody reads. The bytes stay in the buffer of the socket for a later
 * reader. At the high-water mark of the socket reading stops, so an end behind more bytes than that is not seen.
 */
export const watchEnd = (socket: Duplex, onEnd: () => void): (() => void) => {
  const over = (): void => {
    stop()
    onEnd()
  }
  const onReadable = (): void => {
    // A read of more bytes than the buffer holds succeeds only at the end.
    const { readableHighWaterMark, readableLength } = socket
    if (readableLength < readableHighWaterMark && socket.read(readableLength + 1) !== null) over()
  }
  // Another reader takes the socket over.
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

/** Destroys the socket on an error. Adds only one listener, however often it is called. */
export const destroyOnError = (socket: Duplex): void => {
  if (socket.listenerCount("error", destroy) === 0) socket.on("error", destroy)
}

/** Removes that listener, because Node or a transport now has a listener of its own. */
export const stopDestroyOnError = (socket: Duplex): void => void socket.off("error", destroy)

// A closure would keep the request alive as long as its socket.
function destroy(this: Duplex): void {
  this.destroy()
}

const expectsContinue = ({ expect }: HeaderRecord): boolean =>
  typeof expect === "string" && expect.toLowerCase() === "100-continue"

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

/** Formats an HTTP/1.1 response head. The handshake has already checked the names and values. */
const formatHead = (status: number, headers: HeaderRecord): string => {
  let lines = ""
  for (const name of Object.keys(headers)) {
    const values = headers[name] ?? []
    if (typeof values === "string") lines += `${name}: ${values}\r\n`
    else for (const value of values) lines += `${name}: ${value}\r\n`
  }
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines}\r\n`
}
