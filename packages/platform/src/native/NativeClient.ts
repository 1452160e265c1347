import { isProtocolError, type ProtocolError } from "@effect-websocket/protocol/Errors"
import * as Extension from "@effect-websocket/protocol/Extension"
import type { Message } from "@effect-websocket/protocol/Message"
import * as Subprotocol from "@effect-websocket/protocol/Subprotocol"
import * as Effect from "effect/Effect"
import { bytes } from "../engine/checks.js"
import type { ParsedUrl } from "../engine/client/Url.js"
import type { DialingResult } from "../engine/client/Dialing.js"
import { Link } from "../engine/connection/Link.js"
import { observe } from "../engine/connection/Observed.js"
import { cannot, NativeConnection } from "../engine/native/NativeConnection.js"
import { NativeDialing } from "../engine/native/NativeDialing.js"
import type { NativeDial, NativeOpened, NativeRequest } from "../engine/native/NativeSocket.js"
import { NativeTransport } from "../engine/native/NativeTransport.js"
import type { Timers } from "../engine/time/Timers.js"
import { MessageWebSocketImpl } from "../internal/MessageWebSocketImpl.js"
import { meteredConnect, meteredSettings } from "../internal/metered.js"
import { openIn } from "../internal/opening.js"
import { parseBaseUrl } from "../internal/requestOptions.js"
import { placeIn } from "../internal/scopes.js"
import { checkProtocols, defaults, resolveWith, timeout } from "../internal/settings.js"
import { timers as currentTimers } from "../internal/timers.js"
import { tracedNative } from "../internal/traced.js"
import type * as WebSocketClient from "../WebSocketClient.js"
import type { ClientMakeOptions, HeaderOptions } from "./NativeOptions.js"

/** A platform that has a WebSocket of its own. */
export interface Platform {
  readonly dial: NativeDial
  /** The names of the options that it can follow, besides those that all platforms can. */
  readonly options: ReadonlySet<string>
  /** Makes the URL and the headers of a request, or says why the platform cannot send it. */
  readonly makeRequest: (
    input: string | URL,
    base: ParsedUrl | undefined,
    client: HeaderOptions,
    own: HeaderOptions
  ) => Omit<NativeRequest, "protocols"> | ProtocolError
  /** The timers of a connection. Default: those that all connections on a clock share. */
  readonly timers?: Effect.Effect<Timers>
}

/** The options of `NativeOptions.SendOptions`. */
export const sendOptions = ["sendHighWaterMark", "sendLowWaterMark", "sendStrategy", "writeTimeout"]
/** The options of `NativeOptions.HeaderOptions`. */
export const headerOptions = ["headers", "auth", "userAgent"]

export const schemes = ["ws:", "wss:"]

const commonOptions = new Set([
  "protocols",
  "openTimeout",
  "closeTimeout",
  "maxSendBytes",
  "idleTimeout",
  "maxLifetime",
  "limits",
  "maxUnreadBytes",
  "baseUrl"
])

/** The first option that the platform cannot follow. What it does anyway may be asked for. */
const unsupported = (given: object, platform: Platform): string | undefined => {
  const isSupported = ([name, value]: readonly [string, unknown]): boolean =>
    value === undefined ||
    commonOptions.has(name) ||
    platform.options.has(name) ||
    (name === "sendStrategy" && value === "suspend") ||
    (name === "delivery" && value === "messages")
  const limits = "limits" in given ? Object.entries(given.limits ?? {}) : []
  const limit = limits.find(([name, value]) => value !== undefined && name !== "maxMessageBytes")
  return limit === undefined ? Object.entries(given).find((option) => !isSupported(option))?.[0] : `limits.${limit[0]}`
}

const resolveSettings = (client: ClientMakeOptions, own: ClientMakeOptions) => {
  const options = { ...client, ...own, limits: { ...client.limits, ...own.limits } }
  const maxUnreadBytes = bytes("maxUnreadBytes", options.maxUnreadBytes ?? defaults.maxUnreadBytes)
  return {
    // No platform sends a ping for the app.
    ...resolveWith({ ...options, heartbeatInterval: Infinity, receiveHighWaterMark: maxUnreadBytes }, undefined),
    maxUnreadBytes,
    openTimeout: timeout("openTimeout", options.openTimeout ?? defaults.openTimeout)
  }
}

type NativeSettings = ReturnType<typeof resolveSettings>

/** Makes the service over the WebSocket of a platform. Options that make no sense are a defect. */
export const make = (platform: Platform, options: ClientMakeOptions = {}): Effect.Effect<WebSocketClient.Service> =>
  Effect.sync(() => {
    resolveSettings(options, {})
    const base = parseBaseUrl(options.baseUrl, schemes)
    checkProtocols(options.protocols)
    const option = unsupported(options, platform)
    if (option !== undefined) throw new RangeError(`${option} must be left out, because this platform cannot follow it`)
    const { baseUrl: _, ...client } = options
    return {
      connect: (input: string | URL, given: WebSocketClient.ConnectOptions = {}) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.gen(function* () {
            const option = unsupported(given, platform)
            if (option !== undefined) return yield* Effect.fail(cannot(`follow the option ${option}`))
            // The service takes every option of a client. It has just been checked that the others are not given.
            const own = given
            const settings = yield* meteredSettings("client", yield* Effect.sync(() => resolveSettings(client, own)))
            const protocols = own.protocols ?? client.protocols ?? []
            const offered = Subprotocol.format(protocols)
            if (isProtocolError(offered)) return yield* Effect.fail(offered)
            const request = platform.makeRequest(input, base, client, own)
            if (isProtocolError(request)) return yield* Effect.fail(request)
            const timers = yield* platform.timers ?? currentTimers
            const place = placeIn(yield* Effect.scope)
            return yield* tracedNative(request.url, request.headers, (headers) => {
              const dialing = new NativeDialing({
                dial: platform.dial,
                openTimeout: settings.openTimeout,
                timers,
                open: (opened) => {
                  const socket = makeWebSocket(opened, request.url, settings, timers)
                  socket.link.start(place)
                  return socket
                }
              })
              const start = (done: (result: DialingResult<MessageWebSocketImpl>) => void): void =>
                dialing.start({ url: request.url, headers, protocols }, done)
              return meteredConnect(openIn(place, dialing, start, restore))
            })
          })
        )
    } as WebSocketClient.Service
  })

const makeWebSocket = (
  { extensions, protocol, socket }: NativeOpened,
  url: URL,
  settings: NativeSettings,
  timers: Timers
): MessageWebSocketImpl => {
  const connection = new NativeConnection(socket, settings)
  const parsed = Extension.parse(extensions === "" ? [] : extensions)
  const negotiated = {
    url: url.href,
    agreement: { protocol: protocol || undefined, extensions: isProtocolError(parsed) ? [] : parsed }
  }
  const transport = new NativeTransport(socket)
  transport.connection = connection
  const link = new Link<Message>(connection, transport, settings, timers, negotiated, { delivery: "messages" })
  observe(link)
  return new MessageWebSocketImpl(link, undefined)
}
