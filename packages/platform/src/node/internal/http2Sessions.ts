import { isIoError, remoteProtocolError, type IoError, type ProtocolError } from "@effect-websocket/protocol/Errors"
import * as Http2 from "node:http2"
import type { Duplex } from "node:stream"
import * as Tls from "node:tls"
import { ignore } from "./clientRoute.js"
import { dropSession } from "./http2Stream.js"
import { toIoError, type Stage } from "./ioError.js"
import { connectTo, secured, type Way } from "./way.js"

/**
 * What becomes of a wait for a session.
 *
 * - `Session`: it is open, has room, and the server has enabled WebSockets.
 * - `Full`: it is open, but others have taken all its room.
 * - `Http1`: the server speaks HTTP/1.1. The first one that waits gets the socket.
 * - `Unable`: the server cannot do it over HTTP/2.
 */
export type Joined =
  | {
      readonly _tag: "Session"
      readonly session: Http2.ClientHttp2Session
      /** The last stream that the server may have processed: once it has said so with GOAWAY, no later one was. */
      readonly lastProcessed: () => number
    }
  | { readonly _tag: "Full" }
  | { readonly _tag: "Http1"; readonly socket: Duplex | undefined }
  | { readonly _tag: "Unable"; readonly error: ProtocolError }
  | { readonly _tag: "Failed"; readonly error: IoError }

const { NGHTTP2_HTTP_1_1_REQUIRED } = Http2.constants

type Callback = (joined: Joined) => void

/** The sessions of a client that are open or being opened, by authority. */
export class Http2Sessions {
  private readonly sessions = new Map<string, Set<SharedSession>>()

  /**
   * Waits for a session with room for one more stream. Calls back once, and not before it has returned. The returned function gives
   * the place back, which ends the session if it was the last one.
   */
  join(authority: string, way: Way, protocols: ReadonlyArray<string>, done: Callback): () => void {
    const known = this.sessions.get(authority) ?? new Set()
    this.sessions.set(authority, known)
    for (const session of known) if (session.hasRoom) return session.join(done)
    const session = new SharedSession(way, protocols, () => {
      known.delete(session)
      if (known.size === 0 && this.sessions.get(authority) === known) this.sessions.delete(authority)
    })
    known.add(session)
    return session.join(done)
  }
}

/** A place in a session: of one that waits, or of one that has the session. */
interface Place {
  /** `undefined` once it has been called. */
  done: Callback | undefined
  hasSession: boolean
}

/** A session that several connections share. It ends in the step in which the last of them gives its place back. */
class SharedSession {
  private readonly places = new Set<Place>()
  private streams = 0
  private session: Http2.ClientHttp2Session | undefined = undefined
  private retired = false
  private lastProcessed = Number.POSITIVE_INFINITY
  /** Drops what is being opened, or the session. */
  private drop: () => void
  private readonly forget: () => void

  constructor(way: Way, protocols: ReadonlyArray<string>, forget: () => void) {
    this.forget = forget
    this.drop = open(
      way,
      protocols,
      (socket) => {
        if (socket instanceof Tls.TLSSocket && socket.alpnProtocol !== "h2") this.leaveToHttp1(socket)
        else this.begin(socket, way)
      },
      (error) => this.end({ _tag: "Failed", error })
    )
  }

  get hasRoom(): boolean {
    return !this.retired && (this.session === undefined || this.places.size < roomOf(this.session))
  }

  join(done: Callback): () => void {
    const place: Place = { done, hasSession: false }
    this.places.add(place)
    // The callback comes later, as it does while the session is being opened.
    if (this.session !== undefined) queueMicrotask(() => this.admit(place))
    return () => {
      place.done = undefined
      if (!this.places.delete(place)) return
      if (place.hasSession) this.streams--
      if (this.places.size === 0) this.close()
    }
  }

  private begin(socket: Duplex, { authority, tls }: Way): void {
    const origin = `${tls === undefined ? "http" : "https"}://${authority}`
    const session = Http2.connect(origin, { createConnection: () => socket, settings: { enablePush: false } })
    this.drop = () => dropSession(session, socket)
    let goawayCode: number | undefined
    session.on("error", (cause) =>
      this.end(
        goawayCode === NGHTTP2_HTTP_1_1_REQUIRED
          ? { _tag: "Unable", error: http11Required() }
          : { _tag: "Failed", error: toIoError("handshake", cause) }
      )
    )
    session.once("close", () => {
      this.end({ _tag: "Failed", error: toIoError("handshake", new Error("The server ended the HTTP/2 session")) })
    })
    // The streams that are open go on, unless there is an error. Node tells this before it ends a stream because of it.
    session.on("goaway", (code: number, lastStream: number) => {
      goawayCode = code
      this.lastProcessed = Math.min(this.lastProcessed, lastStream)
      this.retire()
    })
    session.once("remoteSettings", ({ enableConnectProtocol }) => {
      if (enableConnectProtocol !== true) return this.end({ _tag: "Unable", error: notEnabled() })
      this.session = session
      for (const place of this.places) this.admit(place)
    })
  }

  /** Tells one that waits that it has the session, or that there is no room. */
  private admit(place: Place): void {
    const { session } = this
    if (session === undefined || place.done === undefined) return
    place.hasSession = this.streams < roomOf(session)
    if (place.hasSession) this.streams++
    const lastProcessed = (): number => this.lastProcessed
    answer(place, place.hasSession ? { _tag: "Session", session, lastProcessed } : { _tag: "Full" })
  }

  private leaveToHttp1(socket: Tls.TLSSocket): void {
    this.drop = ignore
    const [first] = this.places
    if (first === undefined) socket.destroy()
    else answer(first, { _tag: "Http1", socket })
    this.end({ _tag: "Http1", socket: undefined })
  }

  /** Tells all that wait what became of it. */
  private end(joined: Joined): void {
    this.close()
    for (const place of this.places) answer(place, joined)
  }

  /** Nobody joins any more. */
  private retire(): void {
    this.retired = true
    this.forget()
  }

  private close(): void {
    this.retire()
    const { drop } = this
    this.drop = ignore
    drop()
  }
}

const answer = (place: Place, joined: Joined): void => {
  const { done } = place
  place.done = undefined
  done?.(joined)
}

/** How many streams may be open at once. One always: a stream beyond the maximum waits until the server admits it. */
const roomOf = (session: Http2.ClientHttp2Session): number =>
  isUsable(session) ? Math.max(1, session.remoteSettings.maxConcurrentStreams ?? Number.POSITIVE_INFINITY) : 0

const isUsable = ({ closed, destroyed }: Http2.ClientHttp2Session): boolean => !closed && !destroyed

/** The server wants HTTP/1.1 for this request, or for all of them. */
export const http11Required = (): ProtocolError => remoteProtocolError("The server requires HTTP/1.1", "RFC 9113 §7")

const notEnabled = (): ProtocolError =>
  remoteProtocolError("The server does not enable WebSockets over HTTP/2", "RFC 8441 §3")

/** Opens a stream to a server, with TLS if its URL asks for that. Calls back once, later. */
const open = (
  way: Way,
  protocols: ReadonlyArray<string>,
  opened: (socket: Duplex) => void,
  failed: (error: IoError) => void
): (() => void) => {
  const asking: Way = { ...way, tls: way.tls && { ...way.tls, ALPNProtocols: [...protocols] } }
  const { route, target } = asking
  if (route === undefined) return connected(connectTo(asking), asking, "connect", opened, failed)
  if (isIoError(route)) {
    queueMicrotask(() => failed(route))
    return ignore
  }
  let drop = route(
    target,
    (stream) => {
      const stop = connected(secured(asking, stream), asking, "tls", opened, failed)
      drop = () => {
        stop()
        stream.destroy()
      }
    },
    failed
  )
  return () => drop()
}

/** Waits until a stream is connected, and has spoken TLS if it is to. */
const connected = (
  socket: Duplex,
  { tls }: Way,
  initial: Stage,
  opened: (socket: Duplex) => void,
  failed: (error: IoError) => void
): (() => void) => {
  let stage = initial
  const isOver = () => {
    stage = "tls"
  }
  const finish = () => {
    socket.off("connect", isOver).off("connect", ready).off("secureConnect", ready).off("error", fail)
    socket.on("error", ignore)
  }
  const ready = () => {
    finish()
    opened(socket)
  }
  const fail = (cause: Error) => {
    finish()
    socket.destroy()
    failed(toIoError(stage, cause))
  }
  socket.once("error", fail)
  let waits = true
  if (tls !== undefined) socket.once("connect", isOver).once("secureConnect", ready)
  else if (initial === "connect") socket.once("connect", ready)
  else queueMicrotask(() => waits && ready())
  return () => {
    waits = false
    finish()
    socket.destroy()
  }
}
