import * as ExtendedConnect from "@effect-websocket/protocol/ExtendedConnect"
import type * as Http2 from "node:http2"
import type * as Net from "node:net"
import type { UpgradeAttempt } from "../../WebSocketServer.js"
import { http2Attempt } from "./http2Attempt.js"

/** An HTTP/2 server, over TLS or in clear text. */
export type Http2Server = Http2.Http2Server | Http2.Http2SecureServer

/** Whether it is an HTTP/2 server. Node does not export the classes. */
export const isHttp2Server = (server: Net.Server): server is Http2Server => "updateSettings" in server

/** A WebSocket server of the library on an HTTP/2 server. */
export interface Http2Member {
  /** Whether a request is for this server, even if there are others. */
  readonly claims: (url: string) => boolean
  /** Passes a request to this server, which answers it. */
  readonly offer: (attempt: UpgradeAttempt) => void
  /** Called with the stream of each request before it is offered, and again before it is refused. */
  readonly onRequest?: ((stream: Http2.ServerHttp2Stream) => void) | undefined
  readonly onReject?: ((stream: Http2.ServerHttp2Stream) => void) | undefined
  /** The value of `Retry-After`, in seconds. */
  readonly retryAfter: string
}

/**
 * All WebSocket servers of the library on one HTTP/2 server. While there are any, new sessions learn that they may send an extended
 * `CONNECT` (RFC 8441 §3). It sees these requests before the listeners of the server do; other requests are left to them.
 *
 * An app that speaks other protocols has a listener for `connect`. It gets the requests that are not for WebSocket servers.
 */
export class Http2Attachment {
  private readonly server: Http2Server
  private readonly members: Array<Http2Member> = []
  private retryAfter = ""

  private constructor(server: Http2Server) {
    this.server = server
    const emit: (event: string, ...values: Array<unknown>) => boolean = server.emit
    server.emit = (event: string, ...values: Array<unknown>): boolean =>
      (event === "stream" && this.takes(values)) || Reflect.apply(emit, server, [event, ...values])
  }

  static of(server: Http2Server): Http2Attachment {
    const known = attachments.get(server)
    if (known !== undefined) return known
    const attachment = new Http2Attachment(server)
    attachments.set(server, attachment)
    return attachment
  }

  add(member: Http2Member): void {
    this.retryAfter = member.retryAfter
    this.members.push(member)
    this.server.updateSettings({ enableConnectProtocol: true })
  }

  remove(member: Http2Member): void {
    const index = this.members.indexOf(member)
    if (index >= 0) this.members.splice(index, 1)
    // Sessions that are open must not lose the setting (RFC 8441 §3). Their requests get 503.
    if (this.members.length === 0) this.server.updateSettings({ enableConnectProtocol: false })
  }

  private takes([stream, headers, , rawHeaders]: ReadonlyArray<unknown>): boolean {
    if (!isStream(stream) || !isRecord(headers) || !Array.isArray(rawHeaders)) return false
    const protocol = headers[":protocol"]
    if (protocol === undefined) return false
    const taker = this.takerOf(protocol, String(headers[":path"]))
    if (taker === undefined && this.isShared) return false
    taker?.onRequest?.(stream)
    const attempt = http2Attempt(stream, rawHeaders, () => taker?.onReject?.(stream))
    if (taker === undefined) attempt.reject(503, { "Retry-After": this.retryAfter }, "The server is stopping")
    else taker.offer(attempt)
    return true
  }

  /** The server that answers a request; without an app for `connect`, also one that nobody claims. */
  private takerOf(protocol: unknown, path: string): Http2Member | undefined {
    const claimed = protocol === ExtendedConnect.protocol && this.members.find(({ claims }) => claims(path))
    return claimed || (this.isShared ? undefined : this.members.at(-1))
  }

  private get isShared(): boolean {
    return this.server.listenerCount("connect") > 0
  }
}

const attachments = new WeakMap<Http2Server, Http2Attachment>()

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const isStream = (value: unknown): value is Http2.ServerHttp2Stream => isRecord(value) && "pushStream" in value
