import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import type { Extension } from "@effect-websocket/protocol/Extension"
import type { ConnectRequest } from "@effect-websocket/protocol/ExtendedConnect"
import type { UpgradeRequest } from "@effect-websocket/protocol/Handshake"
import { plainAddress } from "./forwarded.js"

/** A request that follows the handshake of HTTP/1.1 or HTTP/2. */
export type CheckedRequest = UpgradeRequest | ConnectRequest

/** A request with everything that a check may ask for. Nothing is parsed before it is asked for. */
export abstract class ServerRequest implements Omit<UpgradeRequest, "key"> {
  readonly _tag = "UpgradeRequest"
  readonly url: string
  readonly headers: HeaderRecord
  /** `undefined` for HTTP/2, which has none. */
  readonly key: string | undefined
  readonly protocols: ReadonlyArray<string>
  readonly extensions: ReadonlyArray<Extension>
  readonly origin: string | undefined
  readonly host: string
  readonly remoteAddress: string | undefined
  // The client's address if trusted proxies decide about it.
  private readonly forwarded: string | undefined

  constructor(request: CheckedRequest, remoteAddress: string | undefined, forwarded: string | undefined) {
    this.url = request.url
    this.headers = request.headers
    this.key = request.key
    this.protocols = request.protocols
    this.extensions = request.extensions
    this.origin = request.origin
    this.host = request.host
    this.remoteAddress = remoteAddress
    this.forwarded = forwarded
  }

  get clientAddress(): string | undefined {
    return this.forwarded ?? plainAddress(this.remoteAddress)
  }

  get path(): string {
    return pathOf(this.url)
  }

  get query(): Record<string, string | ReadonlyArray<string>> {
    const start = this.url.indexOf("?")
    const parameters = new Map<string, ReadonlyArray<string>>()
    for (const [name, value] of new URLSearchParams(start < 0 ? "" : this.url.slice(start + 1))) {
      parameters.set(name, [...(parameters.get(name) ?? []), value])
    }
    return Object.fromEntries([...parameters].map(([name, values]) => [name, values.length > 1 ? values : values[0]!]))
  }

  /** By name. The platform has a parser for them. */
  abstract get cookies(): Record<string, string>
}

/** The path of a request target, which may be a whole URL (RFC 9112 §3.2.2). */
export const pathOf = (url: string): string => {
  const end = url.indexOf("?")
  const target = end < 0 ? url : url.slice(0, end)
  if (target.startsWith("/")) return target
  const host = target.indexOf("://")
  const start = host < 0 ? -1 : target.indexOf("/", host + 3)
  return start < 0 ? "/" : target.slice(start)
}
