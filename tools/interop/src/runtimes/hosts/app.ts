/**
 * The app that a host serves. It runs in the runtime of the host, so it imports nothing of Node. Clients ask it for what they
 * want to see by texts that begin with "!".
 */
import * as MemoryTopicBroker from "@effect-websocket/platform/MemoryTopicBroker"
import * as Presence from "@effect-websocket/platform/Presence"
import * as Topics from "@effect-websocket/platform/Topics"
import * as TopicsServer from "@effect-websocket/platform/TopicsServer"
import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import * as Scope from "effect/Scope"
import { errorWords } from "../observe.js"
import { local, served, type Host } from "./host.js"
import { optionsOf, outcomeOf, serveAnyPath, tryDeliveries, tryOptions } from "./trials.js"

/** Where the servers of a host listen. */
export interface HostTargets {
  readonly main: string
  readonly attached: string
  readonly small: string
  readonly full: string
  readonly hasty: string
  readonly watchful: string
  readonly drained: string
  readonly stopped: string
  readonly released: string
}

/** What is known under a name. Whoever asks early waits. */
class Seen {
  private readonly told = new Set<string>()
  private readonly known = new Map<string, { readonly what: Promise<string>; readonly tell: (what: string) => void }>()

  private entry(name: string) {
    const found = this.known.get(name)
    if (found !== undefined) return found
    let tell: (what: string) => void = () => {}
    const what = new Promise<string>((resolve) => {
      tell = resolve
    })
    const entry = { what, tell: (text: string) => tell(text) }
    this.known.set(name, entry)
    return entry
  }

  of(name: string): Promise<string> {
    return this.entry(name).what
  }

  tell(name: string, what: string): void {
    this.told.add(name)
    this.entry(name).tell(what)
  }

  /** Whether it is known by now. */
  has(name: string): boolean {
    return this.told.has(name)
  }
}

type Socket = WebSocketServer.ServerWebSocket<"messages", UpgradeCheck.Request>

const started = new Map<string, Fiber.RuntimeFiber<unknown, unknown>>()

/** Sends how something fails, if it does. */
const tellFailure = (socket: Socket, effect: Effect.Effect<unknown, unknown>) =>
  Effect.catchAll(effect, (error) => socket.send(errorWords(error)))

const react = (socket: Socket, seen: Seen, name: string, data: string | Uint8Array) => {
  const [command, first = "", ...rest] = typeof data === "string" ? data.split(" ") : [""]
  switch (command) {
    case "!close":
      // Not within the handler, which would wait for itself.
      return Effect.forkDaemon(socket.close(Number(first), rest.join(" ")))
    case "!twice":
      return Effect.forkDaemon(Effect.all([socket.close(3001), socket.close(3002)], { concurrency: "unbounded" }))
    case "!part":
      // The send has begun, and waits for the client to read.
      return Effect.forkDaemon(
        Effect.zipRight(
          Effect.timeoutOption(socket.send(new Uint8Array(Number(first))), "20 millis"),
          socket.close(3002, "done")
        )
      )
    case "!late":
      return Effect.forkDaemon(
        Effect.zipRight(
          socket.close(),
          Effect.flatMap(Effect.exit(socket.send("late")), (exit) =>
            Effect.sync(() => seen.tell(name, outcomeOf(exit)))
          )
        )
      )
    case "!drop":
      return Effect.forkDaemon(socket.abort)
    case "!fail":
      return Effect.fail("on purpose" as const)
    case "!die":
      return Effect.die(new Error("on purpose"))
    case "!flood":
      return Effect.zipRight(
        Effect.forEach(
          Array.from({ length: Number(first) }, (_, i) => i),
          (i) =>
            Effect.zipRight(
              socket.send(new Uint8Array(Number(rest[0]))),
              Effect.sync(() => counts.set(name, i + 1))
            )
        ),
        Effect.sync(() => seen.tell(name, "flooded"))
      )
    case "!count":
      return Effect.suspend(() => socket.send(String(counts.get(first) ?? 0)))
    case "!seen":
      return Effect.flatMap(
        Effect.promise(() => seen.of(first)),
        (what) => socket.send(what)
      )
    case "!has":
      return Effect.suspend(() => socket.send(seen.has(first) ? "yes" : "no"))
    case "!interrupt":
      return Effect.suspend(() => {
        const fiber = started.get(first)
        return fiber === undefined ? Effect.void : Effect.forkDaemon(Fiber.interrupt(fiber))
      })
    case "!cannot":
      return Effect.flatMap(
        Effect.all([
          Effect.exit(socket.sendStream(Stream.make("part"))),
          Effect.exit(WebSocketServer.accept({ delivery: "streams" })),
          Effect.exit(WebSocketServer.accept({ recordFrames: true }))
        ]),
        (exits) => socket.send(exits.map(outcomeOf).join("; "))
      )
    case "!ping":
      return Effect.flatMap(Effect.exit(socket.ping()), (exit) => socket.send(outcomeOf(exit)))
    case "!controls":
      // Nobody waits for the pong.
      return Effect.zipRight(
        Effect.timeoutOption(tellFailure(socket, socket.ping()), "100 millis"),
        tellFailure(socket, socket.pong())
      )
    case "!stream":
      return tellFailure(socket, socket.sendStream(Stream.make("in ", "parts")))
    case "!bytes":
      return Effect.flatMap(WebSocketServer.connections, (all) => {
        const own = all.find(({ url }) => url === socket.url)
        return socket.send(JSON.stringify([own?.receivedBytes, own?.sentBytes]))
      })
    case "!request":
      return socket.send(JSON.stringify([socket.url, socket.remoteAddress, socket.protocol]))
    case "!connections":
      return Effect.flatMap(WebSocketServer.connections, (all) =>
        socket.send(JSON.stringify(all.map(({ protocol, sentMessages, url }) => ({ url, protocol, sentMessages }))))
      )
    default:
      return socket.send(data)
  }
}

const counts = new Map<string, number>()

const routes = (seen: Seen) =>
  Layer.mergeAll(
    WebSocketServer.layerRoute({
      path: "/echo",
      protocols: ["chat.v1", "chat.v2"],
      check: (request) => {
        const refused = { body: "no entry", headers: { "X-Why": "a reason" } }
        if (request.query["refuse"] !== undefined) return Effect.succeed(UpgradeCheck.reject(418, refused))
        if (request.query["name"] === "invalid") {
          return Effect.succeed(UpgradeCheck.accept(request, { headers: { "not a token": "1" } }))
        }
        if (request.query["own"] !== undefined) {
          return Effect.succeed(UpgradeCheck.accept(request, { options: { messageTimeout: "1 second" } }))
        }
        const headers = { "X-Answer": "yes", "Set-Cookie": ["a=1", "b=2"] }
        const accepted = Effect.succeed(UpgradeCheck.accept(request, { headers }))
        if (request.query["later"] !== undefined) return Effect.delay(accepted, "100 millis")
        if (request.query["late"] === undefined) return accepted
        const name = String(request.query["late"])
        return Effect.onInterrupt(Effect.never, () => Effect.sync(() => seen.tell(name, "interrupted")))
      },
      onError: () => Effect.void,
      handler: (socket) => {
        const name = String(socket.value.query["name"])
        const ended = Effect.map(socket.closeStatus, ({ clean, error, initiator, received, sent }) => {
          seen.tell(`${name}:error`, errorWords(error))
          seen.tell(
            `${name}:end`,
            [initiator, received?.code, received?.reason, sent?.code, clean ? "clean" : "not clean", error._tag].join(
              " "
            )
          )
        })
        const stalls = socket.value.query["stall"] !== undefined
        return Effect.gen(function* () {
          yield* Effect.forkDaemon(ended)
          if (stalls) {
            const go = String(socket.value.query["stall"])
            if (go === "forever") return yield* Effect.never
            yield* Effect.promise(() => seen.of(go))
          }
          yield* Effect.withFiberRuntime<void>((fiber) => Effect.sync(() => started.set(name, fiber)))
          yield* socket.run((message) => react(socket, seen, name, message.data))
        })
      }
    }),
    WebSocketServer.layerRoute({
      path: "/tell",
      handler: (socket) =>
        socket.run(({ data }) =>
          Effect.zipRight(
            Effect.sync(() => seen.tell(String(data), "told")),
            socket.send("told")
          )
        )
    }),
    WebSocketServer.layerRoute({
      path: "/topics",
      protocols: TopicsServer.protocols,
      handler: TopicsServer.handler({ rules: [Topics.rule("news", { subscribe: true, publish: true })] })
    }),
    WebSocketServer.layerRoute({
      path: "/members",
      handler: (socket) =>
        Effect.gen(function* () {
          const topics = yield* Topics.Topics
          yield* topics.attach(socket, "members")
          yield* socket.send("attached")
          yield* socket.run(({ data }) => topics.publish("members", data))
        })
    })
  ).pipe(Layer.provide([Topics.layerBroker(), Presence.layerBroker()]), Layer.provide(MemoryTopicBroker.layer()))

const report = (text: string): Effect.Effect<void> => Effect.sync(() => console.log(text))

/** Answers the lines of the test: what to do with a server, and then its outcome. */
const obey = (
  host: Host,
  servers: Readonly<Record<string, WebSocketServer.Service>>,
  release: Effect.Effect<void>,
  line: string
): Effect.Effect<void, never, Scope.Scope> => {
  const [command = "", ...words] = line.split(" ")
  switch (command) {
    case "drain":
      return Effect.flatMap(servers["drained"]!.drain({ timeout: "5 seconds" }), (drained) =>
        report(JSON.stringify(drained))
      )
    case "stop":
      return Effect.zipRight(servers["stopped"]!.stop, report("stopped"))
    case "release":
      return Effect.zipRight(release, report("released"))
    case "open":
      return Effect.flatMap(servers["main"]!.connections, (all) => report(String(all.length)))
    case "options":
      return Effect.flatMap(tryOptions(host, words), (outcomes) => report(JSON.stringify(outcomes)))
    case "deliveries":
      return Effect.flatMap(tryDeliveries(host), (outcomes) => report(JSON.stringify(outcomes)))
    case "serve":
      return Effect.flatMap(serveAnyPath(host, optionsOf(words.join())), report)
    case "secure":
      return Effect.flatMap(serveAnyPath(host, { tls: JSON.parse(words.join(" ")) }), report)
    default:
      return report(`unknown: ${line}`)
  }
}

// What the servers refuse on purpose is no news.
const silent = Logger.remove(Logger.defaultLogger)

/** Serves until the process ends. `lines` are the commands of the test. */
export const serveAll = (host: Host, lines: AsyncIterable<string>): Promise<unknown> => {
  const app = routes(new Seen())
  const program = Effect.gen(function* () {
    const main = yield* served(app, host.make(local))
    const attached = yield* served(app, host.attach)
    const small = yield* served(app, host.make({ ...local, limits: { maxMessageBytes: 1000 }, unread: 100_000 }))
    const full = yield* served(app, host.make({ ...local, admission: { maxConnections: 1 } }))
    const hasty = yield* served(
      app,
      host.make({ ...local, handshakeTimeout: "200 millis", closeTimeout: "500 millis" })
    )
    const watchful = yield* served(app, host.make({ ...local, watches: true }))
    const drained = yield* served(app, host.make(local))
    const stopped = yield* served(app, host.make(local))
    const scope = yield* Scope.make()
    const released = yield* Scope.extend(served(app, host.make(local)), scope)
    const servers = { main, attached, small, full, hasty, watchful, drained, stopped, released }
    const targets = Object.fromEntries(Object.entries(servers).map(([name, { address }]) => [name, address.url]))
    yield* report(JSON.stringify(targets))
    const life = yield* Effect.scope
    yield* Effect.promise(async () => {
      for await (const line of lines) {
        const obeyed = Scope.extend(obey(host, servers, Scope.close(scope, Exit.void), line), life)
        await Effect.runPromise(Effect.provide(obeyed, silent))
      }
    })
  })
  return Effect.runPromise(Effect.provide(Effect.scoped(program), silent))
}
