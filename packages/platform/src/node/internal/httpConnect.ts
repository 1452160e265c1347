import type { Duplex } from "node:stream"
import type { UserInfo } from "../../engine/client/Url.js"

// For all responses together: the limit of Node for the head of one.
const maxBytes = 16 * 1024
const maxInformational = 32

/**
 * Asks an HTTP proxy for a tunnel (RFC 9110 §9.3.6). It calls back once, with why there is no tunnel, or with `undefined`. The
 * returned function cancels it. Neither of them closes the stream.
 *
 * Node's own client takes an informational response for the final one. So this reads the responses itself: it skips 100 to 199
 * except 101, and leaves the bytes behind the final response in the stream.
 */
export const perform = (
  socket: Duplex,
  authority: string,
  userInfo: UserInfo | undefined,
  done: (refusal: string | undefined) => void
): (() => void) => {
  let received = Buffer.alloc(0)
  let total = 0
  let informational = 0
  const stop = () => {
    socket.off("readable", read)
    socket.off("close", gone)
  }
  const end = (refusal: string | undefined) => {
    stop()
    done(refusal)
  }
  const gone = () => end("The proxy ended the connection")
  const read = () => {
    for (let chunk: Buffer | null = socket.read(); chunk !== null; chunk = socket.read()) {
      // The end of a head may be split over two chunks.
      let searched = Math.max(0, received.length - 3)
      received = Buffer.concat([received, chunk])
      for (;;) {
        const mark = received.indexOf("\r\n\r\n", searched)
        const size = mark < 0 ? received.length : mark + 4
        if (total + size > maxBytes) return end("The answer of the proxy is too long")
        if (mark < 0) break
        const status = statusOf(received.toString("latin1", 0, received.indexOf("\r\n")))
        total += size
        received = received.subarray(size)
        searched = 0
        if (status === undefined) return end("The answer of the proxy is not HTTP")
        if (status >= 200 && status <= 299) {
          stop()
          if (received.length > 0) socket.unshift(received)
          return done(undefined)
        }
        if (status >= 200 || status === 101) return end(`The proxy answered with status ${status}`)
        if (++informational > maxInformational) return end("The proxy sends informational responses without end")
      }
    }
  }
  socket.on("readable", read)
  socket.once("close", gone)
  const credentials = userInfo && Buffer.from(`${userInfo.username}:${userInfo.password}`).toString("base64")
  const authorization = credentials === undefined ? "" : `Proxy-Authorization: Basic ${credentials}\r\n`
  socket.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${authorization}\r\n`)
  return stop
}

/** RFC 9112 §4. */
const statusOf = (line: string): number | undefined => {
  const status = /^HTTP\/1\.[01] ([1-9][0-9]{2})( |$)/.exec(line)?.[1]
  return status === undefined ? undefined : Number(status)
}
