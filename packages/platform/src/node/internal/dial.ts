import { isIoError, type HeaderRecord, type IoError } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Http from "node:http"
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import * as Tls from "node:tls"
import type { Dial, Dialed, RejectedBody } from "../../engine/client/Dial.js"
import { httpUrl, splitUnix, unixScheme } from "../../engine/client/Url.js"
import { shown } from "../../internal/settings.js"
import type { ClientOptions } from "../NodeOptions.js"
import * as NodeTransport from "../NodeTransport.js"
import { hostOf, ignore, letGo, overDuplex, parseProxy, throughProxy, type ClientRoute } from "./clientRoute.js"
import { headerRecord } from "./headerRecord.js"
import { toIoError, type Stage } from "./ioError.js"
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

/** Dials with these options. Throws a `RangeError` for those that make no sense. */
export const dialWith = (options: ClientOptions): Effect.Effect<Dial> => {
  const tcp = tcpOptions(options)
  const tls = resolveTls("tls", options.tls)
  return Effect.map(routing(options), (routeTo) => (url, headers, done, tell) => {
    const unix = url.protocol === unixScheme ? splitUnix(url) : undefined
    const secure = url.protocol === "wss:"
    const target = {
      host: unix === undefined ? hostOf(url) : "localhost",
      port: url.port === "" ? (secure ? 443 : 80) : Number(url.port)
    }
    const request = {
      path: unix === undefined ? url.pathname + url.search : unix.path,
      headers: { Host: unix === undefined ? url.host : "localhost", ...headers }
    }
    const verified = { ...serverName(target.host), ...tls }
    const route = unix === undefined ? routeTo(url) : undefined
    if (route === undefined) {
      const path = unix?.socketPath ?? options.socketPath
      const at = path === undefined ? { ...tcp, ...target } : { path }
      const socket = secure ? Tls.connect({ ...verified, ...at }) : Net.connect(at)
      return ask(socket, request, "connect", secure, done)
    }
    const fail = (error: IoError) => done({ _tag: "Failed", error })
    if (isIoError(route)) {
      queueMicrotask(() => fail(route))
      return ignore
    }
    let drop = route(
      target,
      (opened) => {
        tell?.("websocket.tunnel")
        const socket = secure ? Tls.connect({ ...verified, socket: opened }) : opened
        const dropRequest = ask(socket, request, secure ? "tls" : "handshake", secure, done)
        drop = () => {
          dropRequest()
          opened.destroy()
        }
      },
      fail
    )
    return () => drop()
  })
}

/** Sends the upgrade request over a stream, which may still be connecting. */
const ask = (
  socket: Duplex,
  { headers, path }: { readonly headers: HeaderRecord; readonly path: string },
  initial: Stage,
  secure: boolean,
  done: (dialed: Dialed) => void
): (() => void) => {
  let stage = initial
  if (socket instanceof Net.Socket) socket.setNoDelay(true)
  const connected = () => {
    stage = secure ? "tls" : "handshake"
  }
  const secured = () => {
    stage = "handshake"
  }
  if (stage === "connect") socket.once("connect", connected)
  if (secure) socket.once("secureConnect", secured)
  const request = Http.request({
    method: "GET",
    path,
    headers: outgoing(headers),
    setHost: false,
    createConnection: () => socket
  })
  const finish = () => {
    socket.off("connect", connected).off("secureConnect", secured)
    letGo(request, socket)
  }
  request.once("error", (cause) => {
    finish()
    socket.destroy()
    done({ _tag: "Failed", error: toIoError(stage, cause) })
  })
  request.once("upgrade", (response, upgraded, head) => {
    finish()
    done({ _tag: "Upgraded", headers: headerRecord(response), transport: NodeTransport.make(upgraded, head) })
  })
  request.once("response", (response) => {
    finish()
    // Node treats a 101 without the headers of an upgrade as any other answer. The check of the handshake rejects it.
    done(
      response.statusCode === 101
        ? { _tag: "Upgraded", headers: headerRecord(response), transport: NodeTransport.make(socket) }
        : {
            _tag: "Rejected",
            status: response.statusCode ?? 0,
            headers: headerRecord(response),
            body: rejectedBody(response, socket)
          }
    )
  })
  request.end()
  return () => {
    finish()
    request.destroy()
    socket.destroy()
  }
}

const rejectedBody = (response: Http.IncomingMessage, socket: Duplex): RejectedBody => {
  response.on("error", ignore)
  return {
    read: (onPart, onEnd) => {
      const end = () => onEnd(response.complete)
      response.on("data", onPart)
      response.once("end", end)
      response.once("close", end)
      if (response.closed) queueMicrotask(end)
    },
    drop: () => {
      response.removeAllListeners()
      response.on("error", ignore)
      socket.destroy()
    }
  }
}

const outgoing = (headers: HeaderRecord): Http.OutgoingHttpHeaders =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, typeof value === "string" ? value : [...value]]]
    )
  )
