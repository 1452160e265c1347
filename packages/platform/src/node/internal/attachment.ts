import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Http from "node:http"
import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import * as Duration from "effect/Duration"
import { resolveRetryAfter } from "../../internal/serverPolicy.js"
import { defaults } from "../../internal/settings.js"
import type { ServerOptions } from "../../Options.js"
import { afterResponses, pendingResponse } from "./pipelining.js"
import { destroyOnError, stopDestroyOnError, upgradeAttempt, type NodeAttempt } from "./upgradeAttempt.js"

/** A server of the library on an HTTP server. */
export interface Member {
  /** Whether a request to upgrade is for this server, even if others listen. */
  readonly claims: (url: string) => boolean
  /** Answers a request that nobody else takes. */
  readonly offer: (attempt: NodeAttempt) => void
  /** Whether the HTTP app answers requests to upgrade, and takes their attempts with `attemptOf`. */
  readonly servesHttp: boolean
  /** In milliseconds: how long a request to upgrade may stay unanswered. */
  readonly handshakeTimeout: number
  /** In milliseconds: how long HTTP may take to end after this server and the HTTP app. */
  readonly closeTimeout: number
  /** In seconds. */
  readonly retryAfter: string
}

/** The options of a server that matter on a shared HTTP server. They have been checked before. */
export const memberOf = (options: ServerOptions): Omit<Member, "claims" | "offer"> => ({
  servesHttp: false,
  handshakeTimeout: Duration.toMillis(options.handshakeTimeout ?? defaults.handshakeTimeout),
  closeTimeout: Duration.toMillis(options.closeTimeout ?? defaults.closeTimeout),
  retryAfter: String(resolveRetryAfter(options.retryAfter))
})

/** A request to upgrade that was left to other listeners. */
interface Passed {
  readonly attempt: NodeAttempt
  /** Answers if nobody has done so. */
  readonly expire: (reason: string) => void
  readonly drop: () => void
}

/**
 * All servers of the library on one HTTP server. It sees events before the listeners of the HTTP server do, so that:
 *
 * - a request to upgrade has exactly one taker;
 * - a request with another protocol can still become an ordinary request;
 * - a request that finds no listener any more gets an answer.
 *
 * It stays for the life of the HTTP server. Without members it does only the last.
 */
export class Attachment {
  private readonly server: Http.Server
  private readonly members: Array<Member> = []
  private readonly passed = new Map<Http.IncomingMessage, Passed>()
  // Sockets whose earlier responses are not out yet.
  private readonly waiting = new Set<Duplex>()
  private retryAfter = ""
  private stopping: NodeJS.Timeout | undefined = undefined

  private constructor(server: Http.Server) {
    this.server = server
    const emit: (event: string, ...values: Array<unknown>) => boolean = server.emit
    server.emit = (event: string, ...values: Array<unknown>): boolean =>
      this.takes(event, values) || Reflect.apply(emit, server, [event, ...values])
    server.on("close", () => clearInterval(this.stopping))
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

  static of(server: Http.Server): Attachment {
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
    // Without a listener Node hands over no upgrades.
    if (this.members.length === 1) this.server.prependListener("upgrade", placeholder)
  }

  /** Removes a server, and answers its requests that are still unanswered. */
  remove(member: Member): void {
    const index = this.members.indexOf(member)
    if (index >= 0) this.members.splice(index, 1)
    if (member.servesHttp) for (const passed of this.passed.values()) passed.expire("The server is stopping")
    if (this.members.length > 0) return
    this.server.off("upgrade", placeholder)
    clearInterval(this.stopping)
    this.stopping = setInterval(() => this.endOrphans(), Math.min(member.closeTimeout, maxTimeout)).unref()
  }

  /** The attempt behind a request that the HTTP app answers, if it is a request to upgrade. */
  attemptOf(request: Http.IncomingMessage): NodeAttempt | undefined {
    return this.passed.get(request)?.attempt
  }

  private takes(event: string, [request, second, head]: ReadonlyArray<unknown>): boolean {
    if (!(request instanceof Http.IncomingMessage)) return false
    if (event === "upgrade" && isDuplex(second) && head instanceof Buffer)
      return this.takesUpgrade(request, second, head)
    if (event !== "request" || this.server.listenerCount("request") > 0) return false
    if (!(second instanceof Http.ServerResponse)) return false
    this.refuseOrphan(second)
    return true
  }

  /** The HTTP app has gone before its server was closed. The server waits for this request, so it gets an answer. */
  private refuseOrphan(response: Http.ServerResponse): void {
    response.writeHead(503, {
      Connection: "close",
      "Content-Type": "text/plain; charset=utf-8",
      "Retry-After": this.retryAfter
    })
    response.end("The server is stopping\n")
  }

  /** A closed server waits without a bound for unfinished requests, and for responses that nobody reads. */
  private endOrphans(): void {
    if (this.server.listening || this.server.listenerCount("request") > 0) return
    for (const { drop } of this.passed.values()) drop()
    // Node has forgotten these.
    for (const socket of this.waiting) socket.destroy()
    this.server.closeAllConnections()
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
      // Not from within Node's parser, which is reused.
      process.nextTick(() => this.startAgain(request, socket, head))
      return true
    }
    const shared = this.isShared
    const taker = this.members.find(({ claims }) => claims(request.url ?? "")) ?? (shared ? undefined : last)
    if (taker === undefined) {
      this.pass(request, socket, head, last)
      return false
    }
    const attempt = upgradeAttempt(request, socket, head)
    if (this.isCut(request)) attempt.reject(431, {}, "The request has too many headers")
    else taker.offer(attempt)
    return true
  }

  /** Whether Node has dropped headers, because there were too many. A dropped one may say that there is a body. */
  private isCut({ rawHeaders }: Http.IncomingMessage): boolean {
    const maximum = this.server.maxHeadersCount ?? defaultMaxHeadersCount
    return maximum > 0 && rawHeaders.length >= 2 * maximum
  }

  /** Whether others listen for upgrades. */
  private get isShared(): boolean {
    return this.server.listenerCount("upgrade") > 1
  }

  /** RFC 9110 §7.8: a server may ignore the protocols that it does not speak. Other listeners may speak them. */
  private isOrdinary({ headers }: Http.IncomingMessage): boolean {
    if (this.members.length === 0 || asksForWebSocket(headers)) return false
    return !this.isShared || this.members.some(({ servesHttp }) => servesHttp)
  }

  /** For versions of Node that do not ask: the connection begins anew, with a request that does not ask for an upgrade. */
  private startAgain(request: Http.IncomingMessage, socket: Duplex, head: Buffer): void {
    if (socket.destroyed) return
    stopDestroyOnError(socket)
    socket.unshift(Buffer.concat([Buffer.from(ordinaryHead(request), "latin1"), head]))
    Reflect.apply(connectionListener, this.server, [socket])
  }

  /** Leaves a request to others, for a limited time. */
  private pass(request: Http.IncomingMessage, socket: Duplex, head: Buffer, last: Member): void {
    const serving = this.members.find(({ servesHttp }) => servesHttp)
    const found = upgradeAttempt(request, socket, head)
    const written = bytesWritten(request.socket)
    const isTaken = (): boolean =>
      bytesWritten(request.socket) > written ||
      pendingResponse(request.socket) !== undefined ||
      socket.listenerCount("data") > 0 ||
      // With an HTTP app, that is how we see the client's end.
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
      // The response is out, and the client stays.
      if (socket.writableEnded) socket.destroy()
      else if (!isTaken()) found.rejectAndDrop(503, { "Retry-After": serving.retryAfter }, reason)
    }
    // Unread bytes behind the request would hide the client's end.
    const discard = (): void => void socket.resume()
    const attempt: NodeAttempt = {
      ...found,
      upgrade: (headers: HeaderRecord) => {
        forget()
        return found.upgrade(headers)
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

const attachments = new WeakMap<Http.Server, Attachment>()

const placeholder = (): void => {}

// Node keeps as many if the server has no `maxHeadersCount`: its own 2,000 counts names and values.
const defaultMaxHeadersCount = 1000

const shouldUpgradeCallback = "shouldUpgradeCallback"

/** Node's own handling of a new connection. Emitting the event again would tell the listeners of the app about it twice. */
const connectionListener: (...values: ReadonlyArray<unknown>) => unknown = Reflect.get(Http, "_connectionListener")

// Node counts timers in 31 bits.
const maxTimeout = 2 ** 31 - 1

const isDuplex = (value: unknown): value is Duplex =>
  typeof value === "object" && value !== null && "writable" in value && "readable" in value

const bytesWritten = (socket: Duplex): number => (socket instanceof Socket ? socket.bytesWritten : 0)

const tokens = (field: string | undefined): ReadonlyArray<string> =>
  (field ?? "").split(",").map((token) => token.trim().toLowerCase())

/** Whether a request to upgrade names the protocol `websocket` among others. */
export const asksForWebSocket = ({ upgrade }: Http.IncomingHttpHeaders): boolean =>
  tokens(upgrade).includes("websocket")

/** The head of a request, whose `Connection` no longer says that its `Upgrade` is meant. */
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
