import type { IoError } from "@effect-websocket/protocol/Errors"
import type * as Http from "node:http"
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import * as Tls from "node:tls"
import { hasControl } from "../../internal/request.js"
import { toIoError } from "./ioError.js"
import * as HttpConnect from "./httpConnect.js"
import * as Socks from "./socks.js"
import { reportThrown } from "./reportThrown.js"
import { serverName } from "./tls.js"

/** A server. */
export interface Target {
  readonly host: string
  readonly port: number
}

/**
 * Opens a way for bytes. It calls back once, and not before it has returned; whoever gets the stream owns it. The function that
 * it returns drops the attempt; it does nothing once it has called back.
 */
export type Route = (target: Target, opened: (socket: Duplex) => void, failed: (error: IoError) => void) => () => void

/** How TCP is opened. */
export type TcpOptions = Pick<Net.TcpNetConnectOpts, "localAddress" | "family" | "autoSelectFamily">

export const ignore = (): void => {}

/** Listens to a request no more. Whatever comes late is of no interest, but must not end the process. */
export const letGo = (request: Http.ClientRequest, socket: Duplex): void => {
  request.removeAllListeners()
  request.on("error", ignore)
  socket.on("error", ignore)
}

/** The host of a URL, without the brackets of IPv6. */
export const hostOf = ({ hostname }: URL): string => (hostname.startsWith("[") ? hostname.slice(1, -1) : hostname)

const isStream = (value: unknown): value is Duplex =>
  typeof value === "object" && value !== null && "once" in value && "destroy" in value

/** A stream that the app makes, which may still be connecting. */
export const overDuplex =
  (create: () => Duplex): Route =>
  (_target, opened, failed) => {
    let over = false
    let socket: Duplex | undefined
    const end = (report: () => void) => {
      if (over) return
      over = true
      socket?.off("error", fail)
      socket?.off("connect", ready)
      socket?.on("error", ignore)
      report()
    }
    const fail = (cause: unknown) => {
      end(() => {
        socket?.destroy()
        failed(toIoError("connect", cause instanceof Error ? cause : new Error(String(cause))))
      })
    }
    const ready = () => {
      // What was destroyed before it was handed over says nothing any more.
      if (socket?.destroyed === true) fail(socket.errored ?? new Error("The stream is destroyed"))
      else end(() => socket !== undefined && opened(socket))
    }
    try {
      const created: unknown = create()
      // As an `async` function returns none.
      if (!isStream(created)) throw new TypeError("createConnection must return a duplex stream")
      socket = created
      reportThrown(socket)
      socket.once("error", fail)
      if (socket instanceof Net.Socket && socket.connecting) socket.once("connect", ready)
      else queueMicrotask(ready)
    } catch (cause) {
      queueMicrotask(() => fail(cause))
    }
    return () => end(() => socket?.destroy())
  }

/** An HTTP proxy, which is asked for a tunnel (RFC 9110 §9.3.6). */
export const throughHttpProxy =
  (proxy: URL, tcp: TcpOptions, tls: Tls.ConnectionOptions): Route =>
  ({ host, port }, opened, failed) => {
    const secure = proxy.protocol === "https:"
    const at = { ...tcp, host: hostOf(proxy), port: proxy.port === "" ? (secure ? 443 : 80) : Number(proxy.port) }
    const socket = secure ? Tls.connect({ ...tls, ...serverName(at.host), ...at }) : Net.connect(at)
    const authority = `${Net.isIPv6(host) ? `[${host}]` : host}:${port}`
    let stop = ignore
    const finish = () => {
      stop()
      socket.off("error", fail)
      socket.on("error", ignore)
    }
    const fail = (cause: Error) => {
      finish()
      socket.destroy()
      failed(toIoError("proxy", cause))
    }
    socket.once("error", fail)
    stop = HttpConnect.perform(socket, authority, userInfoOf(proxy), (refusal) => {
      if (refusal !== undefined) return fail(new Error(refusal))
      finish()
      opened(socket)
    })
    return () => {
      finish()
      socket.destroy()
    }
  }

/** A SOCKS proxy, which resolves the name of the server. */
export const throughSocksProxy =
  (proxy: URL, tcp: TcpOptions): Route =>
  (target, opened, failed) => {
    const socket = Net.connect({ ...tcp, host: hostOf(proxy), port: proxy.port === "" ? 1080 : Number(proxy.port) })
    const userInfo = userInfoOf(proxy)
    let stop = ignore
    const finish = () => {
      stop()
      socket.removeAllListeners("connect")
      socket.removeAllListeners("error")
      socket.on("error", ignore)
    }
    const fail = (cause: Error) => {
      finish()
      socket.destroy()
      failed(toIoError("proxy", cause))
    }
    socket.once("error", fail)
    socket.once("connect", () => {
      const handshake = isSocks4(proxy)
        ? Socks.version4(target, userInfo?.username ?? "")
        : Socks.version5(target, userInfo)
      stop = Socks.perform(socket, handshake, (refusal) => {
        if (refusal !== undefined) return fail(new Error(refusal))
        finish()
        opened(socket)
      })
    })
    return () => {
      finish()
      socket.destroy()
    }
  }

const isSocks4 = ({ protocol }: URL): boolean => protocol.startsWith("socks4")

const userInfoOf = ({ password, username }: URL): Socks.UserInfo | undefined =>
  username === "" && password === ""
    ? undefined
    : { username: decodeURIComponent(username), password: decodeURIComponent(password) }

const proxySchemes = new Set(["http:", "https:", "socks:", "socks4:", "socks4a:", "socks5:", "socks5h:"])

/** Whether a proxy can be told the user name and the password. Throws for a malformed percent-encoding. */
const canBeTold = (proxy: URL): boolean => {
  const userInfo = userInfoOf(proxy)
  if (userInfo === undefined) return true
  const { password, username } = userInfo
  if (hasControl(username + password)) return false
  if (proxy.protocol.startsWith("http")) return !username.includes(":")
  if (isSocks4(proxy)) return password === ""
  return [username, password].every((each) => Buffer.byteLength(each) <= Socks.maxLength)
}

/** `undefined` for what is no URL of a proxy. */
export const parseProxy = (input: string | URL): URL | undefined => {
  try {
    const url = new URL(input)
    return proxySchemes.has(url.protocol) && url.hostname !== "" && canBeTold(url) ? url : undefined
  } catch {
    return undefined
  }
}

export const throughProxy = (proxy: URL, tcp: TcpOptions, tls: Tls.ConnectionOptions): Route =>
  proxy.protocol.startsWith("http") ? throughHttpProxy(proxy, tcp, tls) : throughSocksProxy(proxy, tcp)
