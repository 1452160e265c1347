import type { Http2Stream } from "node:http2"
import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { TLSSocket } from "node:tls"

/**
 * Who may hold the memory of chunks.
 *
 * - `kernel`: the kernel copies written bytes before they count as written, and each chunk is read into new memory.
 * - `tls`: each chunk is read into new memory, but written bytes may still be held.
 * - `http2`: as `tls`, but chunks of all streams of a session share memory.
 * - `stream`: another stream may hold written bytes, and may have passed the chunks that are read to others.
 */
export type Kind = "kernel" | "tls" | "http2" | "stream"

/** Which kind of stream it is. */
export const kindOf = (socket: Duplex): Kind => {
  if (isHttp2Stream(socket)) return "http2"
  // A subclass of these, or a patched socket, may do anything.
  const prototype: unknown = Object.getPrototypeOf(socket)
  if (prototype !== Socket.prototype && prototype !== TLSSocket.prototype) return "stream"
  if (patchable.some((method) => Object.hasOwn(socket, method))) return "stream"
  if (prototype === TLSSocket.prototype) return "tls"
  const handle: unknown = Reflect.get(socket, "_handle")
  const isSystemHandle = typeof handle === "object" && handle !== null && systemHandles.has(handle.constructor.name)
  return isSystemHandle ? "kernel" : "stream"
}

const patchable = ["write", "_write", "_writev", "push", "_read"]
// A socket over another stream has a handle too, but not one of these.
const systemHandles = new Set(["TCP", "Pipe"])

/** Whether it is a stream of HTTP/2. Node does not export the class. */
export const isHttp2Stream = (stream: Duplex): stream is Http2Stream => "rstCode" in stream && "session" in stream
