import { IoError } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import { unixUrl } from "../engine/client/Url.js"
import type { DurationInput } from "./effect.js"
import { defaults, shown, timeout } from "./settings.js"

/** Where a server listens: on a port, or on a path. */
export interface Place {
  readonly port?: number | undefined
  readonly host?: string | undefined
  readonly socketPath?: string | undefined
}

const notEmpty = (path: string): void => {
  if (path === "") throw new RangeError("socketPath must not be empty")
}

/** Throws a `RangeError` for a place at which no server can listen. A host may have a check of paths of its own. */
export const checkPlace = ({ host, port, socketPath }: Place, checkPath = notEmpty): void => {
  if (socketPath !== undefined) {
    if (port !== undefined) throw new RangeError("socketPath cannot be used together with port")
    if (host !== undefined) throw new RangeError("host cannot be used together with socketPath")
    return checkPath(socketPath)
  }
  if (port === undefined) throw new RangeError("port must be given, or socketPath in its place")
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new RangeError(`port must be an integer from 0 to 65535, but is ${shown(port)}`)
  }
  // A host may take it for all addresses.
  if (host === "") throw new RangeError("host must not be empty")
}

/** The address of a server that listens. */
export const addressOf = ({ host: hostname = "", port = 0, socketPath }: Place, secure: boolean) => {
  if (socketPath !== undefined) {
    const url = secure ? "wss://localhost" : unixUrl(socketPath)
    return { hostname: "localhost", port: 0, url, socketPath }
  }
  const isWildcard = hostname === "::" || hostname === "0.0.0.0"
  const host = isWildcard ? "127.0.0.1" : hostname.includes(":") ? `[${hostname}]` : hostname
  return { hostname, port, url: `${secure ? "wss" : "ws"}://${host}:${port}`, socketPath: undefined }
}

/** Listens. Whatever the host throws says why it cannot. */
export const listen = (serve: () => void): Effect.Effect<void, IoError> =>
  Effect.try({ try: serve, catch: (cause) => new IoError({ reason: "Listen", operation: "listen", cause }) })

/** How long a handshake may take, in milliseconds. */
export const handshakeMillis = (handshakeTimeout: DurationInput | undefined): number =>
  timeout("handshakeTimeout", handshakeTimeout ?? defaults.handshakeTimeout)
