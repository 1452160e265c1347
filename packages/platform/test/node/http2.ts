/** Peers over streams of HTTP/2 that know nothing of WebSocket, from Node's own `http2`. */
import { assert } from "@effect/vitest"
import * as Http2 from "node:http2"
import { Effect, Queue, type Scope } from "../effect/index.js"
import { listen, Peer, tls } from "./support.js"

/** A stream whose reset is that of RFC 8441 §5. */
export class Http2Peer<S extends Http2.Http2Stream = Http2.Http2Stream> extends Peer<S> {
  override reset(): void {
    // Otherwise Node ends the stream before the reset.
    this.socket.end = () => this.socket
    this.socket.close(Http2.constants.NGHTTP2_CANCEL)
  }

  /** The code with which the stream was closed. */
  get code(): number {
    return this.socket.rstCode ?? 0
  }
}

export type Headers = Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

/** The headers of an extended CONNECT, with changes: `undefined` leaves one out. */
export const connectHeaders = (changes: Headers = {}): Http2.OutgoingHttpHeaders =>
  Object.fromEntries(
    Object.entries({
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":scheme": "https",
      ":authority": "127.0.0.1",
      ":path": "/chat?room=1",
      "sec-websocket-version": "13",
      ...changes
    }).flatMap(([name, value]) => (value === undefined ? [] : [[name, typeof value === "string" ? value : [...value]]]))
  )

/** A session to a port, once the server has sent its settings. */
export const http2Session = (
  port: number,
  options: Http2.SecureClientSessionOptions = {},
  scheme = "https"
): Effect.Effect<Http2.ClientHttp2Session, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Http2.ClientHttp2Session>((resume) => {
      const session = Http2.connect(`${scheme}://127.0.0.1:${port}`, { ca: tls.cert, ...options })
      session.on("error", () => {})
      session.once("remoteSettings", () => resume(Effect.succeed(session)))
    }),
    (session) =>
      Effect.callback<void>((resume) => {
        if (session.destroyed) return resume(Effect.void)
        session.once("close", () => resume(Effect.void))
        session.destroy()
      })
  )

export interface Answer {
  readonly status: number
  readonly headers: Http2.IncomingHttpHeaders
  /** Whether the stream ended with the headers. */
  readonly ended: boolean
}

/** Sends a request, and waits for the head of the answer. */
export const request = (session: Http2.ClientHttp2Session, headers: Http2.OutgoingHttpHeaders = connectHeaders()) =>
  Effect.callback<{ readonly peer: Http2Peer<Http2.ClientHttp2Stream>; readonly answer: Answer }>((resume) => {
    const peer = new Http2Peer(session.request(headers, { endStream: false }))
    peer.socket.once("close", () => resume(Effect.die(new Error(`No answer: code ${peer.code}`))))
    peer.socket.once("response", (headers, flags) =>
      resume(
        Effect.succeed({
          peer,
          answer: {
            status: Number(headers[":status"]),
            headers,
            ended: (flags & Http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0
          }
        })
      )
    )
  })

/** A raw peer that has made the opening handshake with a server. */
export const http2Client = (port: number, scheme: "http" | "https" = "https") =>
  Effect.gen(function* () {
    const session = yield* http2Session(port, {}, scheme)
    const { answer, peer } = yield* request(session, connectHeaders({ ":scheme": scheme }))
    assert.deepStrictEqual([answer.status, answer.ended], [200, false])
    return peer
  })

/** A request to a server of raw peers. */
export class Http2Request extends Http2Peer<Http2.ServerHttp2Stream> {
  readonly headers: Http2.IncomingHttpHeaders

  constructor(stream: Http2.ServerHttp2Stream, headers: Http2.IncomingHttpHeaders) {
    super(stream)
    this.headers = headers
  }

  /** Opens the WebSocket. */
  accept(headers: Http2.OutgoingHttpHeaders = {}): void {
    this.socket.respond({ ":status": 200, ...headers })
  }
}

/** A server of raw peers, over TLS unless told otherwise, which enables extended CONNECT unless `settings` say otherwise. */
export const http2Server = ({
  clearText = false,
  ...options
}: Http2.SecureServerOptions & { readonly clearText?: boolean } = {}) =>
  Effect.gen(function* () {
    const requests = yield* Queue.unbounded<Http2Request>()
    const sessions: Array<Http2.ServerHttp2Session> = []
    const settings = { enableConnectProtocol: true }
    const server = clearText
      ? Http2.createServer({ settings })
      : Http2.createSecureServer({ ...tls, settings, ...options })
    server.on("session", (session) => sessions.push(session))
    server.on("stream", (stream, headers) => void Queue.offerUnsafe(requests, new Http2Request(stream, headers)))
    const port = yield* listen(server)
    return {
      port,
      url: `${clearText ? "ws" : "wss"}://127.0.0.1:${port}`,
      next: Queue.take(requests),
      sessions,
      server
    }
  })
