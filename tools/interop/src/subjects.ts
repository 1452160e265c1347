/** The three ways in which a peer meets us: as a server, as a client, and in between. */
import type { WebSocket, WebSocketServer } from "@effect-websocket/platform"
import { Origin } from "@effect-websocket/protocol"
import { type Context, Deferred, Effect, Fiber, Schema, type Scope } from "effect"
import type { CaseName, Connected, Report, Setting, Subject } from "./cases.js"
import { connect, serve } from "./ours.js"

export interface Peer {
  readonly name: string
  readonly version: string
  readonly role: "server" | "client" | "proxy"
  /** What it cannot do, or offers no way to do. */
  readonly without: ReadonlyArray<CaseName>
  readonly start: Effect.Effect<Subject, Error, Scope.Scope>
}

/** A server that obeys the commands, and remembers how the last connection ended. */
export const serverSubject = (url: string): Subject => {
  const ask = Effect.scoped(
    Effect.gen(function* () {
      const socket = yield* connect(url, "plain")
      yield* socket.send("!last")
      const [code, ...reason] = String((yield* socket.receive).data).split(" ")
      yield* socket.close(1000)
      return code === "none" ? undefined : { code: Number(code), reason: reason.join(" ") }
    })
  )
  return {
    refusesForeignOrigin: undefined,
    open: (setting, options) =>
      Effect.gen(function* () {
        const socket = yield* connect(url, setting, options)
        yield* socket.send("!forget")
        const report = Effect.repeat(Effect.delay(ask, "20 millis"), { until: (found) => found !== undefined })
        return { socket, report: Effect.map(report, (found) => found ?? { code: 0, reason: "" }) }
      })
  }
}

/** A server that sends text back on one subprotocol, and obeys nothing. */
export const mirrorSubject = (url: string, protocol: string): Subject => ({
  refusesForeignOrigin: undefined,
  open: (setting) =>
    Effect.map(connect(url, setting, { protocols: [protocol] }), (socket) => ({ socket, report: undefined }))
})

export interface Job {
  readonly url: string
  readonly protocols: ReadonlyArray<string>
  readonly origin?: string
}

/** A client that connects where it is told, one connection after another, and reports each. */
export interface Worker {
  readonly submit: (job: Job) => void
  readonly nextReport: Effect.Effect<string | undefined>
}

const ReportJson = Schema.parseJson(
  Schema.Struct({ opened: Schema.Boolean, protocol: Schema.String, code: Schema.Number, reason: Schema.String })
)

export const clientSubject = (worker: Worker): Effect.Effect<Subject, Error, Scope.Scope> =>
  Effect.gen(function* () {
    const servers: Record<Setting, Context.Tag.Service<WebSocketServer.WebSocketServer>> = {
      plain: yield* serve("plain"),
      small: yield* serve("small"),
      compressed: yield* serve("compressed")
    }
    const strict = yield* serve("plain", { origin: Origin.sameOrigin() })
    const submit = (job: Job): Effect.Effect<Effect.Effect<Report, Error>, never, Scope.Scope> =>
      Effect.gen(function* () {
        worker.submit(job)
        const report = yield* Effect.cached(
          Effect.flatMap(worker.nextReport, (line) => Schema.decodeUnknown(ReportJson)(line))
        )
        // The next job begins when this one is over.
        yield* Effect.addFinalizer(() => Effect.ignore(Effect.timeout(Effect.interruptible(report), "5 seconds")))
        return report
      })
    return {
      open: (setting, { protocols = [] } = {}): Effect.Effect<Connected, Error, Scope.Scope> =>
        Effect.gen(function* () {
          const { accept, address } = servers[setting]
          const report = yield* submit({ url: address.url, protocols })
          return { report, socket: yield* accept() }
        }),
      refusesForeignOrigin: Effect.gen(function* () {
        const report = yield* submit({ url: strict.address.url, protocols: [], origin: "https://example.com" })
        return !(yield* report).opened
      })
    }
  })

/** Our own server behind a proxy. `start` starts the proxy before a port, and tells the port on which it listens. */
export const proxySubject = (
  start: (port: number) => Effect.Effect<number, Error, Scope.Scope>
): Effect.Effect<Subject, Error, Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* serve("compressed")
    const ends = new Map<string, Deferred.Deferred<Pick<Report, "code" | "reason">>>()
    let count = 0
    const obey = (socket: WebSocketServer.ServerWebSocket): Effect.Effect<unknown, unknown> =>
      Effect.gen(function* () {
        const ended = yield* Effect.fork(socket.closeStatus)
        yield* socket
          .run((message) => {
            const [command, argument = "", ...rest] = typeof message.data === "string" ? message.data.split(" ") : [""]
            if (command === "!close") return socket.close(Number(argument), rest.join(" "))
            if (command === "!big") return socket.send("x".repeat(Number(argument)))
            if (command === "!origin") return socket.send(String(socket.request.origin))
            if (command === "!ping") return Effect.fork(socket.ping(Buffer.from("from the peer")))
            return socket.send(message)
          })
          .pipe(Effect.ignore)
        const { received } = yield* Fiber.join(ended)
        const end = ends.get(socket.url)
        if (end !== undefined) yield* Deferred.succeed(end, received ?? { code: 1006, reason: "" })
      })
    yield* Effect.forkScoped(server.run(obey))
    const port = yield* start(server.address.port)
    return {
      refusesForeignOrigin: undefined,
      open: (setting, options) =>
        Effect.gen(function* () {
          const path = `/${count++}`
          const end = yield* Deferred.make<Pick<Report, "code" | "reason">>()
          ends.set(path, end)
          const socket: WebSocket.WebSocket = yield* connect(`ws://127.0.0.1:${port}${path}`, setting, options)
          return { socket, report: Deferred.await(end) }
        })
    }
  })
