import { isIoError, type HeaderRecord, type IoError } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import * as Http from "node:http"
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import type { Dial, Dialed, RejectedBody } from "../../engine/client/Dial.js"
import { shown } from "../../internal/settings.js"
import type { ClientOptions } from "../NodeOptions.js"
import * as NodeTransport from "../NodeTransport.js"
import { ignore, letGo, type ClientRoute } from "./clientRoute.js"
import { headerRecord } from "./headerRecord.js"
import { http2Dial } from "./http2Dial.js"
import { toIoError, type Stage } from "./ioError.js"
import { connectTo, secured, waysOf, type Way } from "./way.js"

/** Dials with these options. Throws a `RangeError` for those that make no sense. */
export const dialWith = (options: ClientOptions): Effect.Effect<Dial> => {
  const known: ReadonlyArray<unknown> = [undefined, "prefer", "require"]
  if (!known.includes(options.http2)) {
    throw new RangeError(`http2 must be "prefer" or "require", but is ${shown(options.http2)}`)
  }
  return Effect.map(waysOf(options), (wayTo) => {
    const { http2 } = options
    const over2 = http2 === undefined ? undefined : http2Dial(http2, { ask, dial })
    return (url, headers, done, tell) => {
      const way = told(wayTo(url), tell)
      return over2 === undefined || (http2 === "prefer" && way.tls === undefined)
        ? dial(way, headers, done)
        : over2(url, way, headers, done)
    }
  })
}

/** The same way, which tells once it has got through its proxy. */
const told = (way: Way, tell: ((event: string) => void) | undefined): Way => {
  const { route } = way
  if (tell === undefined || route === undefined || isIoError(route)) return way
  const opening: ClientRoute = (target, opened, failed) =>
    route(
      target,
      (socket) => {
        tell("websocket.tunnel")
        opened(socket)
      },
      failed
    )
  return { ...way, route: opening }
}

/** Connects, and sends the upgrade request over HTTP/1.1. */
const dial = (way: Way, headers: HeaderRecord, done: (dialed: Dialed) => void): (() => void) => {
  const { route, target } = way
  const secure = way.tls !== undefined
  if (route === undefined) return ask(connectTo(way), way, headers, "connect", secure, done)
  const fail = (error: IoError) => done({ _tag: "Failed", error })
  if (isIoError(route)) {
    queueMicrotask(() => fail(route))
    return ignore
  }
  let drop = route(
    target,
    (opened) => {
      const dropRequest = ask(secured(way, opened), way, headers, secure ? "tls" : "handshake", secure, done)
      drop = () => {
        dropRequest()
        opened.destroy()
      }
    },
    fail
  )
  return () => drop()
}

/** Sends the upgrade request over a stream, which may still be connecting. */
const ask = (
  socket: Duplex,
  { authority, path }: Way,
  headers: HeaderRecord,
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
    headers: outgoing({ Host: authority, ...headers }),
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
