import type { Delivery } from "@effect-websocket/protocol/Connection"
import type { IoError } from "@effect-websocket/protocol/Errors"
import { defaultLimits } from "@effect-websocket/protocol/Limits"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { bytes } from "../engine/checks.js"
import { listen } from "../internal/listening.js"
import { defaults } from "../internal/settings.js"
import { isAccept } from "../UpgradeCheck.js"
import type * as WebSocket from "../WebSocket.js"
import * as WebSocketServer from "../WebSocketServer.js"
import { asksForUpgrade, nativeAttempt, type FetchRequest, type NativeHost } from "./nativeAttempt.js"
import type { ServerMakeOptions } from "./NativeServerOptions.js"

/** What a host can do for its connections, besides what every host can. */
export interface Abilities {
  /** The names of the options that it can follow, besides those that all hosts can. */
  readonly options: ReadonlySet<string>
  /** Whether it can stop reading. Then `receiveHighWaterMark` takes the place of `maxUnreadBytes`. */
  readonly pauses: boolean
  /** Whether it refuses messages that are larger than `limits.maxMessageBytes` of the server by itself. */
  readonly limitsMessages: boolean
}

/** A server whose requests come from the host's handler of requests. */
export interface Made {
  readonly service: WebSocketServer.Service
  /** Whether a request asks for an upgrade that a route of this server takes. */
  readonly claims: (request: FetchRequest) => boolean
  /**
   * Answers a request to upgrade, at once or later. It calls `done` once with what the host's handler returns.
   */
  readonly answer: <Answer>(
    request: FetchRequest,
    remoteAddress: string | undefined,
    host: NativeHost<Answer>,
    done: (answer: Answer) => void
  ) => void
}

/** The options of `NativeServerOptions.SendOptions`. */
export const sendOptions = ["sendHighWaterMark", "sendLowWaterMark", "sendStrategy", "writeTimeout"]
/** The options of `NativeServerOptions.PauseOptions`. */
export const pauseOptions = ["receiveHighWaterMark", "budget"]
/** The options of `NativeServerOptions.HeartbeatOptions`. */
export const heartbeatOptions = ["heartbeatInterval", "heartbeatTimeout"]

const connectionOptions = ["limits", "maxSendBytes", "closeTimeout", "idleTimeout", "maxLifetime"]

const serverOptions = [
  "origin",
  "protocols",
  "handshakeTimeout",
  "firstMessageTimeout",
  "firstMessageCloseCode",
  "admission",
  "proxies",
  "drain",
  "retryAfter"
]

/** Throws for the first option that the host cannot follow. What it does anyway may be asked for. */
const refuseOthers = (given: object, names: ReadonlySet<string>): void => {
  const limits = "limits" in given ? Object.entries(given.limits ?? {}) : []
  const limit = limits.find(([name, value]) => value !== undefined && name !== "maxMessageBytes")
  const option = Object.entries(given).find(([name, value]) => {
    const isDefault = name === "sendStrategy" && value === "suspend"
    return value !== undefined && !names.has(name) && !isDefault
  })
  const refused = limit === undefined ? option?.[0] : `limits.${limit[0]}`
  if (refused !== undefined) {
    throw new RangeError(`${refused} must be left out, because the host of this server cannot follow it`)
  }
}

/** Makes a server whose connections are over the WebSocket of a host. `own` are the names of the host's own options. */
export const make = (
  listening: () => WebSocketServer.Address,
  abilities: Abilities,
  options: ServerMakeOptions,
  own: ReadonlyArray<string> = []
): Effect.Effect<Made, never, Scope.Scope> =>
  Effect.gen(function* () {
    const perConnection = new Set([...connectionOptions, ...abilities.options])
    const serverMakeOptions = yield* Effect.sync(() => {
      const unread = abilities.pauses ? [] : ["maxUnreadBytes"]
      refuseOthers(options, new Set([...perConnection, ...serverOptions, ...unread, ...own]))
      const { maxUnreadBytes = defaults.maxUnreadBytes, ...others } = options
      return {
        ...others,
        ...(abilities.pauses ? {} : { receiveHighWaterMark: bytes("maxUnreadBytes", maxUnreadBytes) }),
        ...(abilities.options.has("heartbeatInterval") ? {} : { heartbeatInterval: Infinity })
      }
    })
    const { claims, offer, service } = yield* WebSocketServer.make(listening, serverMakeOptions)
    const check = (accepted: unknown): void => {
      if (!isAccept(accepted) || accepted.options === undefined) return
      refuseOthers(accepted.options, perConnection)
      const most = options.limits?.maxMessageBytes ?? defaultLimits.maxMessageBytes
      const asked = accepted.options.limits?.maxMessageBytes
      if (abilities.limitsMessages && asked !== undefined && asked > most) {
        throw new RangeError(`limits.maxMessageBytes must be at most that of the server (${most}), but is ${asked}`)
      }
    }
    return {
      service: withChecks(service, check),
      claims: (request) => asksForUpgrade(request) && claims(request.url),
      answer: (request, remoteAddress, host, done) => offer(nativeAttempt(request, remoteAddress, host, done))
    }
  })

/** How a host serves, and stops. */
export interface Serving<Server> {
  readonly abilities: Abilities
  readonly options: ServerMakeOptions
  /** The names of the host's own options. */
  readonly own: ReadonlyArray<string>
  /** Listens, with handlers that use what was made. Whatever it throws says why the host cannot listen. */
  readonly serve: (made: Made) => Server
  /** Stops listening, so that connections and requests go on. Idempotent. A host without it listens until it ends. */
  readonly stop?: (server: Server) => void
  /** Ends the server. By then all connections are closed. */
  readonly end: (server: Server) => Promise<void>
  readonly address: (server: Server) => WebSocketServer.Address
}

/** Makes a server and listens. The scope stops listening, closes the connections, and then ends the host's server. */
export const attach = <Server>(
  serving: Serving<Server>
): Effect.Effect<WebSocketServer.Service, IoError, Scope.Scope> =>
  Effect.gen(function* () {
    let listening: Server | undefined
    const address = (): WebSocketServer.Address => {
      if (listening === undefined) throw new Error("The server does not listen")
      return serving.address(listening)
    }
    // Finalizers run from last to first.
    yield* Effect.addFinalizer(() =>
      Effect.promise(() => (listening === undefined ? Promise.resolve() : serving.end(listening)))
    )
    const made = yield* make(address, serving.abilities, serving.options, serving.own)
    const stop = Effect.sync(() => {
      if (listening !== undefined) serving.stop?.(listening)
    })
    yield* Effect.addFinalizer(() => stop)
    yield* listen(() => {
      listening = serving.serve(made)
    })
    const { service } = made
    return {
      ...service,
      stop: Effect.andThen(service.stop, stop),
      get address() {
        return service.address
      }
    }
  })

/** Refuses what no host can do: other deliveries than messages, and options of a check that it cannot follow. */
const withChecks = (service: WebSocketServer.Service, check: (accepted: unknown) => void): WebSocketServer.Service => ({
  ...messagesOnly(service),
  route: (options) => {
    const { check: own } = options
    const checked: typeof own =
      own && ((request) => Effect.tap(own(request), (accepted) => Effect.sync(() => check(accepted))))
    return Effect.map(service.route({ ...options, check: checked }), messagesOnly)
  },
  connections: service.connections,
  stop: service.stop,
  get address() {
    return service.address
  }
})

const messagesOnly = <Value>(route: WebSocketServer.Route<Value>): WebSocketServer.Route<Value> => ({
  accept: (options) => Effect.suspend(() => (checkDelivery(options), route.accept(options))),
  run: (handler, options) => Effect.suspend(() => (checkDelivery(options), route.run(handler, options))),
  serve: (handler, options) => Effect.suspend(() => (checkDelivery(options), route.serve(handler, options))),
  drain: route.drain
})

const checkDelivery = ({ delivery = "messages", recordFrames }: WebSocket.DeliveryOptions<Delivery> = {}): void => {
  if (delivery !== "messages") {
    throw new RangeError(`delivery must be messages, because the host of this server delivers no ${delivery}`)
  }
  if (recordFrames === true) {
    throw new RangeError("recordFrames must be left out, because the host of this server delivers no frames")
  }
}
