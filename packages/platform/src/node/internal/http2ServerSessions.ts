import type * as Http2 from "node:http2"
import type { Socket } from "node:net"
import type { Http2Server } from "./http2Attachment.js"
import { dropSession } from "./http2Stream.js"
import type { PendingSockets } from "./pendingSockets.js"

interface Session {
  readonly socket: Socket
  /** The requests that are checked, and the connections. */
  readonly streams: Set<Http2.ServerHttp2Stream>
  timer: NodeJS.Timeout | undefined
}

/**
 * The sessions of an HTTP/2 server that listens by itself. A session without a request or a connection is pending, like a socket of
 * HTTP/1.1 without a request, and is dropped after `idleMillis`.
 */
export class Http2ServerSessions {
  private readonly sessions = new Map<Http2.Http2Session, Session>()
  private readonly pending: PendingSockets
  private readonly idleMillis: number

  /** `connection` is the event of the server that comes with the socket of a session. */
  constructor(
    server: Http2Server,
    connection: "connection" | "secureConnection",
    pending: PendingSockets,
    idleMillis: number
  ) {
    this.pending = pending
    this.idleMillis = idleMillis
    // Node makes a session in the same step, and hides its socket.
    let arriving: Socket | undefined
    server.prependListener(connection, (socket: Socket) => {
      arriving = socket
    })
    server.on("session", (session: Http2.Http2Session) => {
      if (arriving !== undefined) this.add(session, arriving)
    })
  }

  private add(session: Http2.Http2Session, socket: Socket): void {
    const added: Session = { socket, streams: new Set(), timer: undefined }
    this.sessions.set(session, added)
    session.once("close", () => {
      clearTimeout(added.timer)
      this.sessions.delete(session)
    })
    this.wait(session, added)
  }

  /** A stream has a request. */
  hold(stream: Http2.ServerHttp2Stream): void {
    const { session } = stream
    const held = session && this.sessions.get(session)
    if (session === undefined || held === undefined) return
    clearTimeout(held.timer)
    this.pending.delete(held.socket)
    held.streams.add(stream)
    stream.once("close", () => this.leave(session, held, stream))
  }

  /** The request of a stream is refused. */
  release(stream: Http2.ServerHttp2Stream): void {
    const { session } = stream
    const held = session && this.sessions.get(session)
    if (session !== undefined && held !== undefined) this.leave(session, held, stream)
  }

  private leave(session: Http2.Http2Session, held: Session, stream: Http2.ServerHttp2Stream): void {
    if (held.streams.delete(stream) && held.streams.size === 0) this.wait(session, held)
  }

  private wait(session: Http2.Http2Session, waiting: Session): void {
    this.pending.add(waiting.socket)
    const drop = (): void => dropSession(session, waiting.socket)
    waiting.timer = setTimeout(drop, Math.min(this.idleMillis, maxTimeout)).unref()
  }

  /** Asks the clients to open no more streams (GOAWAY). Their sessions end with the last connection. */
  retire(): void {
    for (const session of this.sessions.keys()) session.close()
  }

  dropAll(): void {
    for (const [session, { socket }] of this.sessions) dropSession(session, socket)
  }
}

// Node's timers hold at most 31 bits of milliseconds.
const maxTimeout = 2 ** 31 - 1
