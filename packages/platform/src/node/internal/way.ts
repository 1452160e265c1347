import type { IoError } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import * as Tls from "node:tls"
import { httpUrl, splitUnix, unixScheme } from "../../engine/client/Url.js"
import { shown } from "../../internal/settings.js"
import type { ClientOptions } from "../NodeOptions.js"
import { hostOf, overDuplex, parseProxy, throughProxy, type ClientRoute } from "./clientRoute.js"
import { toIoError } from "./ioError.js"
import { resolveTls, serverName } from "./tls.js"

/** The way to each server; `undefined` for TCP to its own address. */
const routing = (options: ClientOptions): Effect.Effect<(url: URL) => ClientRoute | IoError | undefined> => {
  const { createConnection, proxy, proxyTls, socketPath } = options
  if ([createConnection, proxy, socketPath].filter((route) => route !== undefined).length > 1) {
    throw new RangeError("Only one of socketPath, createConnection and proxy can be the route")
  }
  if (socketPath === "") throw new RangeError("socketPath must not be empty")
  const tcp = tcpOptions(options)
  const tls = resolveTls("proxyTls", proxyTls)
  if (createConnection !== undefined) {
    return Effect.succeed((url) => overDuplex(() => createConnection(url)))
  }
  if (proxy === undefined) return Effect.succeed(() => undefined)
  const named = Redacted.isRedacted(proxy) ? Redacted.value(proxy) : proxy
  if (named === "environment") {
    return Effect.map(
      Effect.promise(() => import("proxy-from-env")),
      ({ getProxyForUrl }) =>
        (url) => {
          const found = getProxyForUrl(httpUrl(url)?.href ?? "")
          if (found === "") return undefined
          // For a proxy without a scheme it returns the scheme of the request; other programs take it for an HTTP proxy.
          const isVerbatim = Object.values(process.env).includes(found)
          const parsed = parseProxy(isVerbatim ? found : found.replace(/^https:/, "http:"))
          return parsed === undefined
            ? toIoError("proxy", new Error("The environment does not name a proxy that can be used"))
            : throughProxy(parsed, tcp, tls)
        }
    )
  }
  const parsed = parseProxy(named)
  if (parsed === undefined) throw new RangeError("proxy must be the URL of an HTTP or SOCKS proxy")
  const route = throughProxy(parsed, tcp, tls)
  return Effect.succeed(() => route)
}

const tcpOptions = ({ autoSelectFamily, family, localAddress }: ClientOptions) => {
  if (localAddress !== undefined && Net.isIP(localAddress) === 0) {
    throw new RangeError("localAddress must be an IP address")
  }
  if (family !== undefined && family !== 4 && family !== 6) {
    throw new RangeError(`family must be 4 or 6, but is ${shown(family)}`)
  }
  return {
    ...(autoSelectFamily === undefined ? {} : { autoSelectFamily }),
    ...(family === undefined ? {} : { family }),
    ...(localAddress === undefined ? {} : { localAddress })
  }
}

/** The way to the server of a URL, and what it is asked for. */
export interface Way {
  /** The path and the query. */
  readonly path: string
  /** The host and the port, as the header `Host` has them. */
  readonly authority: string
  readonly target: { readonly host: string; readonly port: number }
  /** How to speak TLS; `undefined` for clear text. */
  readonly tls: Tls.ConnectionOptions | undefined
  /** The route, or why there is none; `undefined` for a socket to `at`. */
  readonly route: ClientRoute | IoError | undefined
  readonly at: Net.NetConnectOpts
  /** The path of a Unix domain socket that the URL names. */
  readonly unixPath: string | undefined
}

/** The ways of a client with these options. Throws a `RangeError` for those that make no sense. */
export const waysOf = (options: ClientOptions): Effect.Effect<(url: URL) => Way> => {
  const tcp = tcpOptions(options)
  const tls = resolveTls("tls", options.tls)
  return Effect.map(routing(options), (routeTo) => (url) => {
    const unix = url.protocol === unixScheme ? splitUnix(url) : undefined
    const secure = url.protocol === "wss:"
    const target = {
      host: unix === undefined ? hostOf(url) : "localhost",
      port: url.port === "" ? (secure ? 443 : 80) : Number(url.port)
    }
    const socketPath = unix?.socketPath ?? options.socketPath
    return {
      path: unix === undefined ? url.pathname + url.search : unix.path,
      authority: unix === undefined ? url.host : "localhost",
      target,
      tls: secure ? { ...serverName(target.host), ...tls } : undefined,
      route: unix === undefined ? routeTo(url) : undefined,
      at: socketPath === undefined ? { ...tcp, ...target } : { path: socketPath },
      unixPath: unix?.socketPath
    }
  })
}

/** Opens a socket to the server itself. It is still connecting. */
export const connectTo = ({ at, tls }: Way): Net.Socket =>
  tls === undefined ? Net.connect(at) : Tls.connect({ ...tls, ...at })

/** Speaks TLS over the stream of a route, if the URL asks for it. The handshake has still to come. */
export const secured = ({ tls }: Way, opened: Duplex): Duplex =>
  tls === undefined ? opened : Tls.connect({ ...tls, socket: opened })
