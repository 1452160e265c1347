/**
 * A Worker with a server and a Durable Object, for `served.ts` and `objects.ts`. It is bundled for both versions of Effect, so it
 * imports no other file of its own, and only names that both have.
 */
import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import type { CloseStatus } from "@effect-websocket/platform/WebSocket"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import { DurableObjectWebSockets, WorkersWebSocketServer } from "@effect-websocket/platform/workers"
import * as Origin from "@effect-websocket/protocol/Origin"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as Scope from "effect/Scope"

type Room = DurableObjectWebSockets.DurableObjectWebSockets<State, never>
type Socket = DurableObjectWebSockets.HibernatableSocket
interface State {
  readonly name: string
  readonly count: number
}

// These outlive the objects, which are made again when they wake.
let made = 0
let renamed = false
const ends: Array<string> = []
const log: Array<string> = []
const release: Array<() => void> = []
// How many messages "!pour" has sent.
let poured = 0
// Whose `close` has returned.
const returned: Array<string> = []

/** What the program answers to requests that wake no object. */
export const known: Readonly<Record<string, () => unknown>> = {
  "/made": () => made,
  "/ends": () => ends,
  "/log": () => log,
  "/poured": () => poured,
  "/returned": () => returned,
  "/rename": () => (renamed = !renamed)
}

const noteEnd = (name: string, { clean, error, initiator, received }: CloseStatus): void => {
  ends.push(JSON.stringify([name, initiator, received?.code, clean, error._tag]))
}

const noteReturned = (name: string): void => {
  returned.push(JSON.stringify([name]))
}

const Before = Schema.Struct({ name: Schema.String, count: Schema.Number })
// A state of `Before` cannot be decoded by it.
const After = Schema.Struct({ name: Schema.String, count: Schema.Number, added: Schema.String })

const part = "x".repeat(64 * 1024)

/** Sends 32 MiB, more than TCP takes from a server if nobody reads. */
const pour = (socket: { send(data: string): Effect.Effect<void, unknown> }) =>
  Effect.forEach(Array.from({ length: 512 }), () =>
    Effect.flatMap(socket.send(part), () => Effect.sync(() => poured++))
  )

const react = (socket: DurableObjectWebSockets.Socket<State>, text: string): Effect.Effect<unknown, unknown> => {
  const [command, first = "", ...rest] = text.split(" ")
  switch (command) {
    case "!count":
      return Effect.flatMap(socket.state, ({ count, name }) =>
        Effect.flatMap(socket.setState({ name, count: count + 1 }), () =>
          socket.send(`${name} ${count + 1}, object ${made}`)
        )
      )
    case "!large":
      return Effect.matchEffect(socket.setState({ name: "x".repeat(Number(first)), count: 0 }), {
        onFailure: ({ _tag, size }) => socket.send(`${_tag} ${size}`),
        onSuccess: () => socket.send("kept")
      })
    case "!close":
      return Effect.matchEffect(
        Effect.flatMap(
          Effect.flatMap(socket.close(Number(first), rest.join(" ")), () => socket.state),
          ({ name }) => {
            noteReturned(name)
            return socket.send("late")
          }
        ),
        {
          onFailure: ({ _tag }) => Effect.sync(() => log.push(_tag)),
          onSuccess: () => Effect.sync(() => log.push("sent"))
        }
      )
    case "!pour":
      return pour(socket)
    case "!wait":
      return Effect.promise(() => new Promise<void>((resolve) => release.push(resolve)))
    case "!release":
      return Effect.sync(() => release.splice(0).forEach((go) => go()))
    case "!die":
      return Effect.die(new Error("on purpose"))
    case "!fail":
      return Effect.fail("on purpose")
    case "!to":
      return socket.room.broadcast(rest.join(" "), { tag: first, except: socket })
    case "!who":
      return Effect.flatMap(socket.room.sockets(), (sockets) =>
        Effect.flatMap(
          Effect.forEach(sockets, ({ state }) => state),
          (states) =>
            socket.send(
              states
                .map(({ name }) => name)
                .sort()
                .join()
            )
        )
      )
    case "!answered":
      return Effect.flatMap(socket.autoRespondedAt, (time) => socket.send(Option.isSome(time) ? "answered" : "not yet"))
    default:
      return socket.send(text)
  }
}

const options = {
  check: ({ query }: UpgradeCheck.Request) =>
    Effect.succeed(
      query["refuse"] === undefined
        ? UpgradeCheck.accept(
            { name: String(query["name"]), count: 0, added: "" },
            { headers: { "x-made-by": "room" } }
          )
        : UpgradeCheck.reject(403, { body: "no", headers: { "x-why": "refused" } })
    ),
  onOpen: (socket: DurableObjectWebSockets.Socket<State>) => socket.send("welcome"),
  onMessage: (socket: DurableObjectWebSockets.Socket<State>, { data }: { readonly data: string | Uint8Array }) =>
    typeof data === "string" ? react(socket, data) : socket.send(data),
  onClose: (socket: DurableObjectWebSockets.Socket<State>, status: CloseStatus) =>
    Effect.map(socket.state, ({ name }) => noteEnd(name, status)),
  tags: ({ name }: State) => [name, "all"],
  origin: Origin.allowAll,
  protocols: ["chat.v1"],
  autoResponse: { request: "are you there?", response: "yes" },
  limits: { maxMessageBytes: 10_000 },
  maxUnreadBytes: 50_000
}

export class Objects {
  private readonly sockets: Room

  constructor(context: DurableObjectWebSockets.DurableObjectContext) {
    made++
    this.sockets = renamed
      ? DurableObjectWebSockets.make(context, { ...options, state: After })
      : DurableObjectWebSockets.make(context, { ...options, state: Before })
  }

  fetch(request: Request): Promise<Response> {
    return this.sockets.fetch(request)
  }
  webSocketMessage(socket: Socket, message: string | ArrayBuffer) {
    return this.sockets.webSocketMessage(socket, message)
  }
  webSocketClose(socket: Socket, code: number, reason: string, wasClean: boolean) {
    return this.sockets.webSocketClose(socket, code, reason, wasClean)
  }
  webSocketError(socket: Socket, error: unknown) {
    return this.sockets.webSocketError(socket, error)
  }
}

/** An object whose constructor throws. */
export class Broken extends Objects {
  constructor(context: DurableObjectWebSockets.DurableObjectContext) {
    super(context)
    DurableObjectWebSockets.make(context, { ...options, state: Before, maxUnreadBytes: -1 })
  }
}

type ServerSocket = WebSocketServer.ServerWebSocket<"messages", string>

/** Sends the tag of an error. */
const sayTag = (socket: ServerSocket, effect: Effect.Effect<unknown, { readonly _tag: string }>) =>
  Effect.matchEffect(effect, { onFailure: ({ _tag }) => socket.send(_tag), onSuccess: () => Effect.void })

const answer = (socket: ServerSocket, data: string | Uint8Array): Effect.Effect<unknown, unknown, Scope.Scope> => {
  const [command, first = "", ...rest] = typeof data === "string" ? data.split(" ") : [""]
  switch (command) {
    case "!close":
      // Not within the handler, which would wait for itself.
      return Effect.forkScoped(
        Effect.map(socket.close(Number(first), rest.join(" ")), () => noteReturned(socket.value))
      )
    case "!fail":
      return Effect.fail("on purpose")
    case "!sleep":
      return Effect.sleep(Number(first))
    case "!pour":
      return Effect.forkScoped(pour(socket))
    case "!address":
      return socket.send(String(socket.remoteAddress))
    case "!ping":
      return Effect.flatMap(Effect.flip(socket.ping()), (error) =>
        socket.send(`${error._tag} ${error._tag === "Protocol_error" ? error.origin : ""}`)
      )
    case "!try": {
      const yes = socket.send("yes")
      if (first === "sendStream") return sayTag(socket, socket.sendStream(Stream.make("yes")))
      return sayTag(
        socket,
        first === "ping" ? Effect.flatMap(socket.ping(), () => yes) : Effect.flatMap(socket.pong(), () => yes)
      )
    }
    default:
      return socket.send(data)
  }
}

export const Served = WebSocketServer.layerRoute({
  path: "/served",
  protocols: ["chat.v1"],
  check: ({ query }) => {
    if (query["late"] !== undefined) return Effect.never
    return Effect.succeed(
      query["refuse"] === undefined
        ? UpgradeCheck.accept(String(query["name"]))
        : UpgradeCheck.reject(403, { body: "no", headers: { "x-why": "refused" } })
    )
  },
  handler: (socket: ServerSocket) =>
    Effect.gen(function* () {
      const name = socket.value
      const exit = yield* Effect.exit(socket.run(({ data }) => answer(socket, data)))
      // The end of the handler closes it.
      if (yield* socket.isOpen) return yield* exit
      noteEnd(name, yield* socket.closeStatus)
      yield* Effect.sleep(50)
      ends.push(JSON.stringify([`${name}:handler`]))
    })
})

/** Routes with deliveries that are not whole messages. */
export const Streams = WebSocketServer.layerRoute({
  path: "/streams",
  delivery: "streams",
  handler: () => Effect.void
})
export const Frames = WebSocketServer.layerRoute({ path: "/frames", delivery: "frames", handler: () => Effect.void })

export const servedOptions = {
  origin: Origin.allowAll,
  handshakeTimeout: "2 seconds",
  closeTimeout: "1 second",
  idleTimeout: "3 seconds",
  limits: { maxMessageBytes: 10_000 }
} as const

const workerOptions = { ...servedOptions, maxUnreadBytes: 50_000 }
const handlers = {
  "/served": WorkersWebSocketServer.toFetchHandler(() => Served, workerOptions),
  "/streams": WorkersWebSocketServer.toFetchHandler(() => Streams, workerOptions),
  "/frames": WorkersWebSocketServer.toFetchHandler(() => Frames, workerOptions)
}

interface Namespace {
  idFromName(name: string): unknown
  get(id: unknown): { fetch(request: Request): Promise<Response> }
}

export default {
  fetch: async (
    request: Request,
    env: { readonly OBJECTS: Namespace; readonly BROKEN: Namespace; readonly sleep: () => Promise<void> },
    context: WorkersWebSocketServer.ExecutionContext
  ): Promise<Response> => {
    const { BROKEN, OBJECTS } = env
    const { pathname } = new URL(request.url)
    if (pathname === "/sleep") {
      await env.sleep()
      return Response.json(made)
    }
    const answer = known[pathname]
    if (answer !== undefined) return Response.json(answer())
    const handler = Object.entries(handlers).find(([path]) => pathname.startsWith(path))
    if (handler !== undefined) return handler[1](request, env, context)
    const objects = pathname === "/broken" ? BROKEN : OBJECTS
    return objects.get(objects.idFromName(pathname)).fetch(request)
  }
}
