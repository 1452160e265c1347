import {
  isProtocolError,
  localProtocolError,
  remoteProtocolError,
  type HeaderRecord,
  type ProtocolError
} from "@effect-websocket/protocol/Errors"
import * as ExtendedConnect from "@effect-websocket/protocol/ExtendedConnect"
import * as Http2 from "node:http2"
import type { Duplex } from "node:stream"
import type { ConnectError, Dialed, RejectedBody } from "../../engine/client/Dial.js"
import type { ClientOptions } from "../NodeOptions.js"
import * as NodeTransport from "../NodeTransport.js"
import { ignore } from "./clientRoute.js"
import { headerRecord } from "./headerRecord.js"
import { http11Required, Http2Sessions, type Joined } from "./http2Sessions.js"
import { cancel, outgoing, resetOf, withoutPseudoHeaders } from "./http2Stream.js"
import { toIoError, type Stage } from "./ioError.js"
import type { Way } from "./way.js"

const { NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_HTTP_1_1_REQUIRED, NGHTTP2_REFUSED_STREAM } = Http2.constants

type Done = (dialed: Dialed) => void

/** How to connect over HTTP/1.1: over a stream, or from the start. */
export interface Http1 {
  readonly ask: (
    socket: Duplex,
    way: Way,
    headers: HeaderRecord,
    stage: Stage,
    secure: boolean,
    done: Done
  ) => () => void
  readonly dial: (way: Way, headers: HeaderRecord, done: Done) => () => void
}

/** Dials over HTTP/2. All connections of the function to the same host and port share sessions. */
export const http2Dial = (mode: NonNullable<ClientOptions["http2"]>, http1: Http1) => {
  const sessions = new Http2Sessions()
  const protocols = mode === "require" ? ["h2"] : ["h2", "http/1.1"]
  return (url: URL, way: Way, upgrade: HeaderRecord, done: Done): (() => void) => {
    const { authority, path } = way
    const scheme = way.tls === undefined ? "http" : "https"
    const headers = ExtendedConnect.requestHeaders({ scheme, authority, path }, upgrade)
    const fail = (error: ConnectError): void => done({ _tag: "Failed", error })
    if (isProtocolError(headers)) {
      if (mode === "prefer") return http1.dial(way, upgrade, done)
      queueMicrotask(() => fail(headers))
      return ignore
    }
    const key = `${url.protocol}//${url.host}${way.unixPath ?? ""}`
    let drop = ignore
    const unable = (error: ProtocolError): void => {
      if (mode === "require") fail(error)
      else drop = http1.dial(way, upgrade, done)
    }
    const attempt = (mayRetry: boolean): void => {
      const leave = sessions.join(key, way, protocols, (joined) => {
        if (joined._tag === "Session") {
          drop = ask(joined, headers, leave, {
            done,
            refused: mayRetry ? () => attempt(false) : undefined,
            unable
          })
          return
        }
        leave()
        switch (joined._tag) {
          case "Full":
            return attempt(mayRetry)
          case "Failed":
            return fail(joined.error)
          case "Unable":
            return unable(joined.error)
          case "Http1":
            if (mode === "require") {
              joined.socket?.destroy()
              return fail(remoteProtocolError("The server does not speak HTTP/2", "RFC 9113 §3.2"))
            }
            drop =
              joined.socket === undefined
                ? http1.dial(way, upgrade, done)
                : http1.ask(joined.socket, way, upgrade, "handshake", true, done)
        }
      })
      drop = leave
    }
    attempt(true)
    return () => drop()
  }
}

/** How a request may end. */
interface Ends {
  readonly done: Done
  /** The server has not processed the request. `undefined` if it must not be sent again. */
  readonly refused: (() => void) | undefined
  /** The server cannot do it over HTTP/2. */
  readonly unable: (error: ProtocolError) => void
}

/** Sends an extended `CONNECT`. */
const ask = (
  { lastProcessed, session }: Extract<Joined, { readonly _tag: "Session" }>,
  headers: HeaderRecord,
  leave: () => void,
  { done, refused, unable }: Ends
): (() => void) => {
  let stream: Http2.ClientHttp2Stream
  try {
    stream = session.request({ ...outgoing(headers), [Http2.sensitiveHeaders]: secrets }, { endStream: false })
  } catch (cause) {
    leave()
    const why = cause instanceof Error ? cause.message : String(cause)
    done({ _tag: "Failed", error: localProtocolError(`HTTP/2 cannot carry the headers: ${why}`, "RFC 9113 §8.2") })
    return ignore
  }
  // Without a listener an error would end the process. `close` follows.
  stream.on("error", ignore)
  stream.once("close", leave)
  const finish = (): void => void stream.off("response", answered).off("close", closed)
  const closed = (): void => {
    finish()
    if (stream.rstCode === NGHTTP2_HTTP_1_1_REQUIRED) return unable(http11Required())
    if (refused !== undefined && isUnprocessed(stream, lastProcessed())) return refused()
    const cause = stream.errored ?? resetOf(stream) ?? new Error("The server ended the stream without an answer")
    done({ _tag: "Failed", error: toIoError("handshake", cause) })
  }
  const answered = (...[, , rawHeaders]: ReadonlyArray<unknown>): void => {
    finish()
    const all = headerRecord({ rawHeaders: Array.isArray(rawHeaders) ? rawHeaders : [] })
    const status = Number(all[":status"])
    const received = withoutPseudoHeaders(all)
    done(
      status === 200
        ? { _tag: "Upgraded", status, headers: received, transport: NodeTransport.make(stream) }
        : { _tag: "Rejected", httpVersion: "2", status, headers: received, body: rejectedBody(stream) }
    )
  }
  stream.once("response", answered)
  stream.once("close", closed)
  return () => {
    finish()
    cancel(stream)
    leave()
  }
}

/**
 * Whether a stream was closed before the server looked at it (RFC 9113 §8.7), whatever else went wrong in its session. A server that
 * asks for less must not get the same again at once.
 */
const isUnprocessed = ({ id, rstCode }: Http2.ClientHttp2Stream, lastProcessed: number): boolean =>
  rstCode === NGHTTP2_REFUSED_STREAM || ((id ?? 0) > lastProcessed && rstCode !== NGHTTP2_ENHANCE_YOUR_CALM)

// Compression must not tell anything about these (RFC 7541 §7.1).
const secrets = ["authorization", "cookie"]

const rejectedBody = (stream: Http2.ClientHttp2Stream): RejectedBody => {
  let onPart: (part: Uint8Array) => void = ignore
  let end = ignore
  return {
    read: (part, onEnd) => {
      onPart = part
      end = () => onEnd(stream.readableEnded && !stream.aborted)
      stream.on("data", onPart)
      stream.once("end", end)
      stream.once("close", end)
      if (stream.closed && stream.destroyed) queueMicrotask(end)
    },
    drop: () => {
      stream.off("data", onPart).off("end", end).off("close", end)
      cancel(stream)
    }
  }
}
