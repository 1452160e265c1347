import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Http2 from "node:http2"
import type { Duplex } from "node:stream"

const { NGHTTP2_CANCEL } = Http2.constants

/** Resets a stream, with CANCEL (RFC 8441 §5) unless told otherwise, and drops what it holds. */
export const cancel = (stream: Http2.Http2Stream, code: number = NGHTTP2_CANCEL): void => {
  if (!stream.closed) {
    // Node would end the stream first, which is what an orderly end looks like.
    stream.end = () => stream
    stream.close(code)
  }
  stream.destroy()
}

/** The reason of a closed stream that was reset, or whose session has ended. `undefined` for an orderly end. */
export const resetOf = ({ readableEnded, rstCode }: Http2.Http2Stream): Error | undefined => {
  if (rstCode === Http2.constants.NGHTTP2_NO_ERROR && readableEnded) return undefined
  return new Error(`The HTTP/2 stream was reset with the code ${rstCode ?? 0}`)
}

/** The address of the peer of a stream. */
export const remoteAddressOf = ({ session }: Http2.Http2Stream): string | undefined =>
  session === undefined || session.destroyed ? undefined : session.socket.remoteAddress

/** The headers of a message as HTTP/1.1 has them. */
export const withoutPseudoHeaders = (headers: HeaderRecord): HeaderRecord =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith(":")))

/** A copy that Node's types and checks accept. */
export const outgoing = (headers: HeaderRecord): Http2.OutgoingHttpHeaders =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, typeof value === "string" ? value : [...value]]]
    )
  )

/**
 * Ends a session and its socket. It may be called while Node writes the last frames of a stream, so these come first. A session
 * whose peer does not read would hold its socket as long as the peer pleases.
 */
export const dropSession = (session: Http2.Http2Session, socket: Duplex): void => {
  session.close()
  setImmediate(() => {
    // It still is open only if a stream is. Without a code, that would look like an orderly end.
    session.destroy(undefined, NGHTTP2_CANCEL)
    setImmediate(() => socket.destroy())
  })
}
