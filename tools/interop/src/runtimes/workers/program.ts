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

const noteEnd = (name: string, { clean, error, initiator, received }: CloseStatus): void => {
  ends.push(JSON.stringify([name, initiator, received?.code, clean, error._tag]))
}

const Before = Schema.Struct({ name: Schema.String, count: Schema.Number })
// A state of `Before` cannot be decoded by it.
const After = Schema.Struct({ name: Schema.String, count: Schema.Number, added: Schema.String })

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
        Effect.flatMap(socket.close(Number(first), rest.join(" ")), () => socket.send("late")),
        {
          onFailure: ({ _tag }) => Effect.sync(() => log.push(_tag)),
          onSuccess: () => Effect.sync(() => log.push("sent"))
        }
      )
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

const answer = (socket: ServerSocket, data: string | Uint8Array): Effect.Effect<unknown, unknown, Scope.Scope> => {
  const [command, first = "", ...rest] = typeof data === "string" ? data.split(" ") : [""]
  switch (command) {
    case "!close":
      // Not within the handler, which would wait for itself.
      return Effect.forkScoped(socket.close(Number(first), rest.join(" ")))
    case "!fail":
      return Effect.fail("on purpose")
    case "!sleep":
      return Effect.sleep(Number(first))
    case "!ping":
      return Effect.flatMap(Effect.flip(socket.ping()), (error) =>
        socket.send(`${error._tag} ${error._tag === "Protocol_error" ? error.origin : ""}`)
      )
    default:
      return socket.send(data)
  }
}

const Served = WebSocketServer.layerRoute({
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

const serve = WorkersWebSocketServer.toFetchHandler(() => Served, {
  origin: Origin.allowAll,
  handshakeTimeout: "2 seconds",
  idleTimeout: "3 seconds",
  limits: { maxMessageBytes: 10_000 },
  maxUnreadBytes: 50_000
})

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
    switch (pathname) {
      case "/sleep":
        await env.sleep()
        return Response.json(made)
      case "/rename":
        renamed = !renamed
        return Response.json(renamed)
      case "/made":
        return Response.json(made)
      case "/ends":
        return Response.json(ends)
      case "/log":
        return Response.json(log)
      default: {
        if (pathname.startsWith("/served")) return serve(request, env, context)
        const objects = pathname === "/broken" ? BROKEN : OBJECTS
        return objects.get(objects.idFromName(pathname)).fetch(request)
      }
    }
  }
}
