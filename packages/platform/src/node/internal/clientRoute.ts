import type { IoError } from "@effect-websocket/protocol/Errors"
import type * as Http from "node:http"
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import * as Tls from "node:tls"
import { hasControl } from "../../engine/client/characters.js"
import type { UserInfo } from "../../engine/client/Url.js"
import { toIoError } from "./ioError.js"
import * as HttpConnect from "./httpConnect.js"
import * as Socks from "./socks.js"
import { reportThrown } from "./reportThrown.js"
import { serverName } from "./tls.js"

/**
 * A client's way to a server: opens a stream to it. It calls back once, and not before it has returned; the stream then belongs to
 * the caller. The returned function drops the attempt, and does nothing after the callback.
 */
export type ClientRoute = (
  target: Socks.Target,
  opened: (socket: Duplex) => void,
  failed: (error: IoError) => void
) => () => void

/** How TCP is opened. */
export type TcpOptions = Pick<Net.TcpNetConnectOpts, "localAddress" | "family" | "autoSelectFamily">

export const ignore = (): void => {}

/** Stops listening to a request. A late error is ignored; without a listener it would end the process. */
export const letGo = (request: Http.ClientRequest, socket: Duplex): void => {
  request.removeAllListeners()
  request.on("error", ignore)
  socket.on("error", ignore)
}

/** The host of a URL, without the brackets of IPv6. */
export const hostOf = ({ hostname }: URL): string => (hostname.startsWith("[") ? hostname.slice(1, -1) : hostname)

const isStream = (value: unknown): value is Duplex =>
  typeof value === "object" && value !== null && "once" in value && "destroy" in value

/** Over a stream of the app's, which may still be connecting. */
export const overDuplex =
  (create: () => Duplex): ClientRoute =>
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
      // A stream that was destroyed before emits nothing any more.
      if (socket?.destroyed === true) fail(socket.errored ?? new Error("The stream is destroyed"))
      else end(() => socket !== undefined && opened(socket))
    }
    try {
      const created: unknown = create()
      // An `async` function returns a promise instead.
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

/** Through a tunnel of an HTTP proxy (RFC 9110 §9.3.6). */
export const throughHttpProxy =
  (proxy: URL, tcp: TcpOptions, tls: Tls.ConnectionOptions): ClientRoute =>
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

/** Through a SOCKS proxy, which resolves the name of the server. */
export const throughSocksProxy =
  (proxy: URL, tcp: TcpOptions): ClientRoute =>
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

const userInfoOf = ({ password, username }: URL): UserInfo | undefined =>
  username === "" && password === ""
    ? undefined
    : { username: decodeURIComponent(username), password: decodeURIComponent(password) }

const proxySchemes = new Set(["http:", "https:", "socks:", "socks4:", "socks4a:", "socks5:", "socks5h:"])

/** Whether the protocol of a proxy can carry the user name and password. Throws for a malformed percent-encoding. */
const canCarryUserInfo = (proxy: URL): boolean => {
  const userInfo = userInfoOf(proxy)
  if (userInfo === undefined) return true
  const { password, username } = userInfo
  if (hasControl(username + password)) return false
  if (proxy.protocol.startsWith("http")) return !username.includes(":")
  if (isSocks4(proxy)) return password === ""
  return [username, password].every((each) => Buffer.byteLength(each) <= Socks.maxLength)
}

/** `undefined` if it is not the URL of a proxy. */
export const parseProxy = (input: string | URL): URL | undefined => {
  try {
    const url = new URL(input)
    return proxySchemes.has(url.protocol) && url.hostname !== "" && canCarryUserInfo(url) ? url : undefined
  } catch {
    return undefined
  }
}

export const throughProxy = (proxy: URL, tcp: TcpOptions, tls: Tls.ConnectionOptions): ClientRoute =>
  proxy.protocol.startsWith("http") ? throughHttpProxy(proxy, tcp, tls) : throughSocksProxy(proxy, tcp)
