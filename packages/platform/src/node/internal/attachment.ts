import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Http from "node:http"
import { Socket, type Server } from "node:net"
import type { Duplex } from "node:stream"
import * as Duration from "effect/Duration"
import { resolveRetryAfter } from "../../internal/serverPolicy.js"
import { defaults } from "../../internal/settings.js"
import type { ServerOptions } from "../../Options.js"
import { afterResponses, pendingResponse } from "./pipelining.js"
import { destroyOnError, stopDestroyOnError, upgradeAttempt, type NodeAttempt } from "./upgradeAttempt.js"

/** A server that speaks HTTP/1.1. One of HTTP/2 does so if it has the option `allowHTTP1`; it has fewer methods. */
export interface HttpServer extends Server {
  maxHeadersCount?: number | null
  closeAllConnections?(): void
}

/** A WebSocket server of the library on an HTTP server. */
export interface Member {
  /** Whether an upgrade request is for this server, even if other listeners exist. */
  readonly claims: (url: string) => boolean
  /** Passes a request to this server, which answers it. No other listener takes this request. */
  readonly offer: (attempt: NodeAttempt) => void
  /** Called before the server refuses a request: its socket stays open until the client has the answer. */
  readonly onReject?: ((socket: Socket) => void) | undefined
  /** Called before Node answers 431 to a request whose headers are too large. Nothing else is known of the request. */
  readonly onOverflow?: ((socket: Socket) => void) | undefined
  /** Whether the HTTP app answers upgrade requests, and gets their attempts from `attemptOf`. */
  readonly servesHttp: boolean
  /** How long an upgrade request may stay unanswered, in milliseconds. */
  readonly handshakeTimeout: number
  /** How long HTTP may take to end after this server and the HTTP app have ended, in milliseconds. */
  readonly closeTimeout: number
  /** The value of `Retry-After`, in seconds. */
  readonly retryAfter: string
  /** Called when the HTTP server begins to close. It waits for the connections, so they should end now. */
  readonly onServerClose?: (() => void) | undefined
}

/** Picks the options of a server that matter on a shared HTTP server. The options have already been checked. */
export const memberOf = (options: ServerOptions): Omit<Member, "claims" | "offer"> => ({
  servesHttp: false,
  handshakeTimeout: Duration.toMillis(options.handshakeTimeout ?? defaults.handshakeTimeout),
  closeTimeout: Duration.toMillis(options.closeTimeout ?? defaults.closeTimeout),
  retryAfter: String(resolveRetryAfter(options.retryAfter))
})

/** An upgrade request that was left to other listeners. */
interface Passed {
  readonly attempt: NodeAttempt
  /** Answers the request if nobody has done so. */
  readonly expire: (reason: string) => void
  readonly drop: () => void
}

/**
 * All WebSocket servers of the library on one HTTP server. It sees events before the listeners of the HTTP server do. So:
 *
 * - exactly one listener takes an upgrade request;
 * - a request to upgrade to another protocol can still become an ordinary request;
 * - a request gets an answer even if no listener is left.
 *
 * An attachment stays for the life of the HTTP server. Without members it does only the last of these.
 */
export class Attachment {
  private readonly server: HttpServer
  private readonly members: Array<Member> = []
  private readonly passed = new Map<Http.IncomingMessage, Passed>()
  // Sockets whose earlier responses have not been sent completely.
  private readonly waiting = new Set<Duplex>()
  private retryAfter = ""
  private stopping: NodeJS.Timeout | undefined = undefined

  private constructor(server: HttpServer) {
    this.server = server
    const emit: (event: string, ...values: Array<unknown>) => boolean = server.emit
    server.emit = (event: string, ...values: Array<unknown>): boolean =>
      this.takes(event, values) || Reflect.apply(emit, server, [event, ...values])
    server.on("close", () => clearInterval(this.stopping))
    const close: (callback?: (error?: Error) => void) => Server = server.close
    server.close = (callback) => {
      for (const member of this.members) member.onServerClose?.()
      return Reflect.apply(close, server, [callback])
    }
    // Newer versions of Node ask whether a request is an upgrade.
    const shouldUpgrade: unknown = Reflect.get(server, shouldUpgradeCallback)
    if (typeof shouldUpgrade !== "function") return
    Reflect.set(
      server,
      shouldUpgradeCallback,
      (request: Http.IncomingMessage): boolean =>
        !this.isOrdinary(request) && Boolean(Reflect.apply(shouldUpgrade, server, [request]))
    )
  }

  static of(server: HttpServer): Attachment {
    const known = attachments.get(server)
    if (known !== undefined) return known
    const attachment = new Attachment(server)
    attachments.set(server, attachment)
    return attachment
  }

  add(member: Member): void {
    clearInterval(this.stopping)
    this.retryAfter = member.retryAfter
    this.members.push(member)
    // Without a listener, Node does not hand over upgrades.
    if (this.members.length === 1) this.server.prependListener("upgrade", placeholder)
  }

  /** Removes a server. If its HTTP app answers upgrade requests, answers those that are still unanswered. */
  remove(member: Member): void {
    const index = this.members.indexOf(member)
    if (index >= 0) this.members.splice(index, 1)
    if (member.servesHttp) for (const passed of this.passed.values()) passed.expire("The server is stopping")
    if (this.members.length > 0) return
    this.server.off("upgrade", placeholder)
    clearInterval(this.stopping)
    this.stopping = setInterval(() => this.endOrphans(), Math.min(member.closeTimeout, maxTimeout)).unref()
  }

  /** The upgrade attempt of a request that the HTTP app answers, if it is an upgrade request. */
  attemptOf(request: Http.IncomingMessage): NodeAttempt | undefined {
    return this.passed.get(request)?.attempt
  }

  private takes(event: string, [request, second, head]: ReadonlyArray<unknown>): boolean {
    if (event === "clientError" && second instanceof Socket && isOverflow(request)) {
      for (const member of this.members) member.onOverflow?.(second)
    }
    if (!(request instanceof Http.IncomingMessage)) return false
    if (event === "upgrade" && isDuplex(second) && head instanceof Buffer)
      return this.takesUpgrade(request, second, head)
    if (event !== "request" || this.server.listenerCount("request") > 0) return false
    if (!(second instanceof Http.ServerResponse)) return false
    this.refuseOrphan(second)
    return true
  }

  /**
   * Answers a request if the HTTP app ended before its server was closed. The server waits until this request has an
   * answer.
   */
  private refuseOrphan(response: Http.ServerResponse): void {
    response.writeHead(503, {
      Connection: "close",
      "Content-Type": "text/plain; charset=utf-8",
      "Retry-After": this.retryAfter
    })
    response.end("The server is stopping\n")
  }

  /** Drops unfinished requests, and responses that nobody reads. A closed server would wait for them without a limit. */
  private endOrphans(): void {
    if (this.server.listening || this.server.listenerCount("request") > 0) return
    for (const { drop } of this.passed.values()) drop()
    // Node no longer knows these sockets.
    for (const socket of this.waiting) socket.destroy()
    this.server.closeAllConnections?.()
  }

  private takesUpgrade(request: Http.IncomingMessage, socket: Duplex, head: Buffer): boolean {
    const last = this.members.at(-1)
    if (last === undefined) return false
    destroyOnError(socket)
    if (pendingResponse(request.socket) !== undefined) {
      this.waiting.add(socket)
      afterResponses(request.socket, () => {
        this.waiting.delete(socket)
        // An earlier response may have been the last one of this connection.
        if (!socket.writable) socket.destroy()
        else if (!this.server.emit("upgrade", request, socket, head))
          upgradeAttempt(request, socket, head).reject(
            503,
            { "Retry-After": this.retryAfter },
            "The server is stopping"
          )
      })
      return true
    }
    if (this.isOrdinary(request)) {
      // Deferred, because Node's parser is running now and is reused.
      process.nextTick(() => this.startAgain(request, socket, head))
      return true
    }
    const shared = this.isShared
    const taker = this.members.find(({ claims }) => claims(request.url ?? "")) ?? (shared ? undefined : last)
    if (taker === undefined) {
      this.pass(request, socket, head, last)
      return false
    }
    taker.offer(upgradeAttempt(request, socket, head, taker.onReject))
    return true
  }

  /** Whether other listeners for upgrades exist. */
  private get isShared(): boolean {
    return this.server.listenerCount("upgrade") > 1
  }

  /**
   * Whether a request is treated as an ordinary one. RFC 9110 §7.8 lets a server ignore protocols that it does not speak,
   * but other listeners may speak them.
   */
  private isOrdinary(request: Http.IncomingMessage): boolean {
    if (this.members.length === 0 || asksForWebSocket(request)) return false
    return !this.isShared || this.members.some(({ servesHttp }) => servesHttp)
  }

  /**
   * Starts the connection again, with a request that does not ask for an upgrade. For versions of Node without
   * `shouldUpgradeCallback`.
   */
  private startAgain(request: Http.IncomingMessage, socket: Duplex, head: Buffer): void {
    if (socket.destroyed) return
    stopDestroyOnError(socket)
    socket.unshift(Buffer.concat([Buffer.from(ordinaryHead(request), "latin1"), head]))
    Reflect.apply(connectionListener, this.server, [socket])
  }

  /** Leaves a request to other listeners for a limited time. */
  private pass(request: Http.IncomingMessage, socket: Duplex, head: Buffer, last: Member): void {
    const serving = this.members.find(({ servesHttp }) => servesHttp)
    const found = upgradeAttempt(request, socket, head)
    const written = bytesWritten(request.socket)
    const isTaken = (): boolean =>
      bytesWritten(request.socket) > written ||
      pendingResponse(request.socket) !== undefined ||
      socket.listenerCount("data") > 0 ||
      // With an HTTP app, this listener is ours: it watches for the client's end.
      (serving === undefined && socket.listenerCount("readable") > 0)
    const forget = (): void => {
      clearTimeout(timer)
      this.passed.delete(request)
      socket.off("close", forget)
      socket.off("finish", discard)
    }
    const expire = (reason: string): void => {
      if (serving === undefined) {
        forget()
        if (socket.destroyed || isTaken()) return
        if (found.isGone()) socket.destroy()
        else last.offer(found)
        return
      }
      // The response has been sent, but the client stays connected.
      if (socket.writableEnded) socket.destroy()
      else if (!isTaken()) found.rejectAndDrop(503, { "Retry-After": serving.retryAfter }, reason)
    }
    // Discards bytes behind the request. Unread, they would hide the client's end.
    const discard = (): void => void socket.resume()
    const attempt: NodeAttempt = {
      ...found,
      upgrade: (headers: HeaderRecord, unsafeReadBuffer?: boolean) => {
        forget()
        return found.upgrade(headers, unsafeReadBuffer)
      }
    }
    const { handshakeTimeout } = serving ?? last
    const timer = setTimeout(
      () => expire("The request was not answered in time"),
      Math.min(handshakeTimeout, maxTimeout)
    ).unref()
    socket.once("close", forget)
    this.passed.set(request, { attempt, expire, drop: () => socket.destroy() })
    if (serving === undefined) return
    socket.once("finish", discard)
    found.onGone?.(() => {})
  }
}

const attachments = new WeakMap<HttpServer, Attachment>()

const placeholder = (): void => {}

const shouldUpgradeCallback = "shouldUpgradeCallback"

/** Node's own handler for new connections. Emitting the event again instead would call the app's listeners twice. */
const connectionListener: (...values: ReadonlyArray<unknown>) => unknown = Reflect.get(Http, "_connectionListener")

// Node's timers hold at most 31 bits of milliseconds.
const maxTimeout = 2 ** 31 - 1

const isDuplex = (value: unknown): value is Duplex =>
  typeof value === "object" && value !== null && "writable" in value && "readable" in value

const bytesWritten = (socket: Duplex): number => (socket instanceof Socket ? socket.bytesWritten : 0)

const tokens = (field: string | undefined): ReadonlyArray<string> =>
  (field ?? "").split(",").map((token) => token.trim().toLowerCase())

/**
 * Whether an upgrade request names the protocol `websocket`, possibly among others. Reads the raw headers, because Node would make
 * an object of all of them.
 */
export const asksForWebSocket = ({ rawHeaders }: Http.IncomingMessage): boolean => {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i]!.length !== "upgrade".length || rawHeaders[i]!.toLowerCase() !== "upgrade") continue
    const value = rawHeaders[i + 1]!
    if (value === "websocket" || tokens(value).includes("websocket")) return true
  }
  return false
}

/** Formats the head of a request again, without `upgrade` in `Connection`, so that its `Upgrade` header has no effect. */
const ordinaryHead = ({ httpVersion, method, rawHeaders, url }: Http.IncomingMessage): string => {
  const lines = [`${method} ${url} HTTP/${httpVersion}`]
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const [name = "", value = ""] = rawHeaders.slice(i, i + 2)
    if (name.toLowerCase() !== "connection") {
      lines.push(`${name}: ${value}`)
      continue
    }
    const others = tokens(value).filter((token) => token !== "upgrade" && token !== "")
    if (others.length > 0) lines.push(`${name}: ${others.join(", ")}`)
  }
  return `${lines.join("\r\n")}\r\n\r\n`
}

const isOverflow = (error: unknown): boolean =>
  error instanceof Error && Reflect.get(error, "code") === "HPE_HEADER_OVERFLOW"
