import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import { isConnectionSpecific } from "@effect-websocket/protocol/ExtendedConnect"
import * as Http2 from "node:http2"
import type { UpgradeAttempt } from "../../WebSocketServer.js"
import * as NodeTransport from "../NodeTransport.js"
import { headerRecord } from "./headerRecord.js"
import { cancel, outgoing, remoteAddressOf } from "./http2Stream.js"
import { destroyOnError, hasEnded, rejectTimeoutMillis, stopDestroyOnError, watchEnd } from "./upgradeAttempt.js"

const { NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR } = Http2.constants

/** Makes an upgrade attempt from a stream that an extended `CONNECT` has opened. `onReject` is called before each refusal. */
export const http2Attempt = (
  stream: Http2.ServerHttp2Stream,
  rawHeaders: ReadonlyArray<string>,
  onReject?: () => void
): UpgradeAttempt => {
  // This comes first, because a reset in the middle of the handshake must not end the process.
  destroyOnError(stream)
  let stopWatching: (() => void) | undefined
  const answered = (): void => {
    stopWatching?.()
    stopWatching = undefined
  }
  const respond = (headers: HeaderRecord): void => {
    try {
      stream.respond(outgoing(headers))
    } catch (error) {
      // Node does not send every header that is valid, such as a second `Content-Type`.
      cancel(stream, NGHTTP2_INTERNAL_ERROR)
      throw error
    }
  }
  const headers = headerRecord({ rawHeaders })
  return {
    request: { method: "CONNECT", url: String(headers[":path"] ?? ""), httpVersion: "2.0", headers },
    remoteAddress: remoteAddressOf(stream),
    isGone: () => {
      const ended = hasEnded(stream)
      if (ended) cancel(stream)
      return ended
    },
    onGone: (listener) => {
      answered()
      stopWatching = watchEnd(stream, () => {
        listener()
        cancel(stream)
      })
    },
    upgrade: (headers) => {
      answered()
      respond(headers)
      const transport = NodeTransport.make(stream)
      stopDestroyOnError(stream)
      return transport
    },
    reject: (status, headers, body) => {
      onReject?.()
      answered()
      if (hasEnded(stream)) return cancel(stream)
      const text = Buffer.from(body === "" ? "" : `${body}\n`)
      respond(refusalHeaders(status, headers, text.length))
      const timer = setTimeout(() => cancel(stream), rejectTimeoutMillis).unref()
      stream.once("close", () => clearTimeout(timer))
      // Discards what the client sends behind its request.
      stream.resume()
      // RFC 9113 §8.1: the whole answer is sent, so the client need not send the rest of its request.
      stream.end(text, () => stream.close(NGHTTP2_NO_ERROR))
    }
  }
}

const refusalHeaders = (status: number, headers: HeaderRecord, size: number): HeaderRecord => {
  const kept = Object.entries(headers)
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name, value]) => !isConnectionSpecific(name, value))
  return {
    ":status": String(status),
    "content-type": "text/plain; charset=utf-8",
    ...Object.fromEntries(kept),
    "content-length": String(size)
  }
}
