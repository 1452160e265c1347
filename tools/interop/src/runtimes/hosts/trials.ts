/**
 * What a test tries on a host: each option of a server, and each delivery. It runs in the runtime of the host, so it imports
 * nothing of Node.
 */
import * as ByteBudget from "@effect-websocket/platform/ByteBudget"
import type { ServerOptions } from "@effect-websocket/platform/Options"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import type { Limits } from "@effect-websocket/protocol/Connection"
import * as Origin from "@effect-websocket/protocol/Origin"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { local, served, type Host, type HostOptions } from "./host.js"

/** Each option of every server. So a new one is a type error until it is tried, too. */
type Samples = {
  readonly [Name in Exclude<keyof ServerOptions, "limits">]-?: Pick<ServerOptions, Name>
} & {
  readonly [Name in keyof Limits as `limits.${Name}`]: { readonly limits: Pick<Limits, Name> }
}

export const samples: Samples = {
  "limits.maxMessageBytes": { limits: { maxMessageBytes: 1000 } },
  "limits.maxFrameBytes": { limits: { maxFrameBytes: 1000 } },
  "limits.maxFragments": { limits: { maxFragments: 10 } },
  "limits.maxBufferedControlFrames": { limits: { maxBufferedControlFrames: 10 } },
  maxFrameSize: { maxFrameSize: 1000 },
  maxSendBytes: { maxSendBytes: 1000 },
  sendHighWaterMark: { sendHighWaterMark: 20_000 },
  sendLowWaterMark: { sendLowWaterMark: 1000 },
  sendStrategy: { sendStrategy: "close" },
  receiveHighWaterMark: { receiveHighWaterMark: 1000 },
  closeTimeout: { closeTimeout: "1 second" },
  compression: { compression: true },
  random: { random: globalThis.crypto },
  budget: { budget: ByteBudget.unsafeMake(20_000) },
  heartbeatInterval: { heartbeatInterval: "1 minute" },
  heartbeatTimeout: { heartbeatTimeout: "1 minute" },
  idleTimeout: { idleTimeout: "1 minute" },
  messageTimeout: { messageTimeout: "1 minute" },
  writeTimeout: { writeTimeout: "1 minute" },
  maxLifetime: { maxLifetime: "1 minute" },
  receiveRate: { receiveRate: { messages: 1000, interval: "1 second" } },
  origin: { origin: Origin.allowAll },
  protocols: { protocols: ["chat"] },
  handshakeTimeout: { handshakeTimeout: "1 second" },
  firstMessageTimeout: { firstMessageTimeout: "1 minute" },
  firstMessageCloseCode: { firstMessageCloseCode: 4408 },
  admission: { admission: { maxHandshakes: 3 } },
  proxies: { proxies: { trusted: () => false } },
  drain: { drain: { code: 1012 } },
  retryAfter: { retryAfter: "1 second" }
}

const given: ReadonlyMap<string, ServerOptions> = new Map(Object.entries(samples))

/** What came of an attempt. */
export const outcomeOf = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return "ok"
  if (exit.cause._tag === "Die") return `defect: ${String(exit.cause.defect)}`
  if (exit.cause._tag !== "Fail") return exit.cause._tag
  return describe(exit.cause.error)
}

/** The fields of an error that tell it from others. */
export const describe = (error: unknown): string =>
  ["_tag", "reason", "limit", "code", "origin"]
    .map((field): unknown => Reflect.get(Object(error), field))
    .filter((value) => value !== undefined && value !== "")
    .join(" ")

/** Makes a server for each of the options, and says what came of it. */
export const tryOptions = (host: Host, names: ReadonlyArray<string>) =>
  Effect.forEach(names, (name) =>
    Effect.map(Effect.exit(Effect.scoped(host.make({ ...local, ...given.get(name) }))), (exit) => [
      name,
      outcomeOf(exit)
    ])
  )

/** Asks a server for each delivery besides that of messages, and says what came of it. */
export const tryDeliveries = (host: Host) => {
  const asked = {
    streams: (server: WebSocketServer.Service) => server.serve(() => Effect.never, { delivery: "streams" }),
    frames: (server: WebSocketServer.Service) => server.serve(() => Effect.never, { delivery: "frames" }),
    recordFrames: (server: WebSocketServer.Service) => server.serve(() => Effect.never, { recordFrames: true })
  }
  return Effect.forEach(Object.entries(asked), ([name, serve]) =>
    Effect.map(Effect.exit(Effect.scoped(Effect.flatMap(host.make(local), serve))), (exit) => [name, outcomeOf(exit)])
  )
}

/** Begins with the `url` of the request, and then sends everything back. Nobody reads at `/stall`. */
const anyPath = WebSocketServer.layerHandler((socket) =>
  socket.url === "/stall"
    ? Effect.never
    : Effect.zipRight(
        socket.send(socket.url),
        socket.run(({ data }) => socket.send(data))
      )
)

/** Serves every path, with an option. Gives the URL, or what came of it. */
export const serveAnyPath = (host: Host, options: Partial<HostOptions>) =>
  Effect.map(Effect.exit(served(anyPath, host.make({ ...local, ...options }))), (exit) =>
    Exit.isSuccess(exit) ? exit.value.address.url : outcomeOf(exit)
  )

export const optionsOf = (name: string): ServerOptions => given.get(name) ?? {}
