/**
 * The closing matrix over real sockets. It has every cell before a connection is open, because only real sockets resolve a name
 * and negotiate TLS, and a part of the cells of `memory.test.ts`, over TCP, TLS and HTTP/2. Time stands still unless a test moves it:
 * whatever needs no time must end without it.
 */
import type { Options, WebSocket } from "@effect-websocket/platform/WebSocket"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import { spawn } from "node:child_process"
import dns from "node:dns"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Scope, TestClock } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { Http2Peer, http2Client, http2Server } from "../node/http2.js"
import {
  answer101,
  connect,
  first,
  eventually,
  frame,
  mebibyte,
  noHandlesLeft,
  Peer,
  rawClient,
  rawServer,
  readResponse,
  serve,
  stalled,
  tls,
  upgradeRequest,
  type Frame
} from "../node/support.js"
import { deferredDoneUnsafe } from "../../src/internal/effect.js"
import { isDefect, isInterrupted, settled } from "../support.js"
import {
  activity,
  behaviours,
  closeTimeout,
  endings,
  expected,
  impossible,
  moments,
  nameError,
  openings,
  roles,
  type Behaviour,
  type Cell,
  type Ending,
  type OpeningCell
} from "./cells.js"
import { assertDocumented } from "../documented.js"
import { impossibleTable, openingTable } from "./report.js"

afterEach(noHandlesLeft)

class Connected extends Context.Service<Connected, WebSocket>()("test/Connected") {}

/**
 * An app that acquires a connection and uses it, in a fiber and a scope of its own or, as a client whose layer is released,
 * in a layer. `end` ends it.
 */
const start = <E>(
  ending: Ending,
  acquire: Effect.Effect<WebSocket, E, Scope.Scope>,
  use: (socket: WebSocket) => Effect.Effect<unknown, unknown>,
  releaseServer?: Effect.Effect<void>
) =>
  Effect.gen(function* () {
    const trigger = yield* Deferred.make<void, string>()
    const layerScope = yield* Scope.make()
    const inLayer = ending === "release" && releaseServer === undefined
    const main = yield* Effect.forkChild(
      inLayer
        ? Effect.flatMap(Layer.buildWithScope(Layer.effect(Connected, acquire), layerScope), (context) =>
            use(Context.get(context, Connected))
          )
        : Effect.scoped(Effect.raceFirst(Effect.flatMap(acquire, use), Deferred.await(trigger)))
    )
    const exit = ending === "success" ? Exit.void : ending === "failure" ? Exit.fail("no") : Exit.die("no")
    return {
      main,
      end:
        ending === "interruption"
          ? Effect.asVoid(Fiber.interrupt(main))
          : ending === "release"
            ? (releaseServer ?? Scope.close(layerScope, Exit.void))
            : Effect.andThen(Deferred.done(trigger, exit), Effect.asVoid(Fiber.await(main)))
    }
  })

/** Starts an effect at once, not in a later turn. */
const startNow = <A>(effect: Effect.Effect<A>): Effect.Effect<Fiber.Fiber<A>> =>
  Effect.map(Effect.runtime<never>(), (runtime) => Effect.runForkWith(runtime)(effect))

const assertEnded = (ending: Ending, exit: Exit.Exit<unknown, unknown>) => {
  if (ending === "success") assert.isTrue(Exit.isSuccess(exit))
  else if (ending === "failure") assert.deepStrictEqual(exit, Exit.fail("no"))
  else if (ending === "defect") assert.isTrue(isDefect(exit))
  else assert.isTrue(isInterrupted(exit))
}

// ---------------------------------------------------------------------------------------------------------------------
// Before the 101
// ---------------------------------------------------------------------------------------------------------------------

const never = { openTimeout: "1 hours" } as const

/** Names are resolved when the test says so. */
const heldLookup = Effect.acquireRelease(
  Effect.sync(() => {
    const original = dns.lookup
    const held = Deferred.makeUnsafe<() => void>()
    const lookup = (...parameters: ReadonlyArray<unknown>) => {
      const callback = parameters.at(-1)
      assert(typeof callback === "function")
      Deferred.doneUnsafe(
        held,
        Exit.succeed(() => callback(null, [{ address: "127.0.0.1", family: 4 }]))
      )
    }
    dns.lookup = Object.assign(lookup, original)
    return { held, original }
  }),
  ({ original }) =>
    Effect.sync(() => {
      dns.lookup = original
    })
)

/** A port at which connecting never ends: its process is stopped, and its queue is full. */
const fullPort = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly release: () => void }>((resume) => {
    const code = `require("net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, function () {
      console.log(this.address().port)
    })`
    const child = spawn(process.execPath, ["-e", code], { stdio: ["ignore", "pipe", "inherit"] })
    child.stdout.once("data", (line: Buffer) => {
      child.kill("SIGSTOP")
      const port = Number(line)
      const fillers = Array.from({ length: 8 }, () => Net.connect(port, "127.0.0.1").on("error", () => {}))
      const release = () => {
        for (const filler of fillers) filler.destroy()
        child.kill("SIGKILL")
      }
      fillers[0]!.once("connect", () => resume(Effect.succeed({ port, release })))
    })
  }),
  ({ release }) => Effect.sync(release)
)

/** What the peer does at the moment at which the app's side ends. */
const meanwhile: Record<Behaviour, (peer: Peer, request: string) => void> = {
  answers: (peer, request) => peer.write(answer101(request)),
  "answers late": () => {},
  "never answers": () => {},
  "never reads": () => {},
  "half-closes": (peer) => peer.end(),
  resets: (peer) => peer.reset(),
  vanishes: () => {},
  violates: (peer) => peer.write("no\r\n\r\n")
}

const runOpening: Record<string, (cell: OpeningCell) => Effect.Effect<void, unknown, Scope.Scope>> = {
  "client, resolving": ({ behaviour, ending }) =>
    Effect.gen(function* () {
      const server = yield* rawServer()
      // Not earlier: Node also looks up the address that a server listens on.
      const { held } = yield* heldLookup
      const app = yield* start(ending, connect(`ws://name.test:${server.port}`, never), () => Effect.never)
      const resolve = yield* Deferred.await(held)
      yield* app.end
      assertEnded(ending, yield* Fiber.await(app.main))
      if (behaviour === "answers late") resolve()
    }),

  "client, connecting": ({ ending }) =>
    Effect.gen(function* () {
      const { port } = yield* fullPort
      const app = yield* start(ending, connect(`ws://127.0.0.1:${port}`, never), () => Effect.never)
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* app.end
      assertEnded(ending, yield* Fiber.await(app.main))
    }),

  "client, TLS": ({ behaviour, ending }) =>
    Effect.gen(function* () {
      const server = yield* rawServer()
      const app = yield* start(ending, connect(`wss://127.0.0.1:${server.port}`, never), () => Effect.never)
      const peer = yield* server.next
      // The first byte of a ClientHello.
      if (behaviour !== "never reads") yield* peer.until("\u0016")
      const over = yield* startNow(app.end)
      if (behaviour === "answers") new Tls.TLSSocket(peer.socket, { isServer: true, ...tls }).on("error", () => {})
      else meanwhile[behaviour](peer, "")
      yield* Fiber.join(over)
      assertEnded(ending, yield* Fiber.await(app.main))
      if (behaviour === "answers late") peer.write("no")
      if (behaviour !== "answers") yield* peer.left
      peer.socket.destroy()
    }),

  "client, waiting for 101": ({ behaviour, ending }) =>
    Effect.gen(function* () {
      const server = yield* rawServer()
      const app = yield* start(ending, connect(server.url, never), () => Effect.never)
      const peer = yield* server.next
      const request = behaviour === "never reads" ? "" : yield* peer.until("\r\n\r\n")
      const over = yield* startNow(app.end)
      meanwhile[behaviour](peer, request)
      yield* Fiber.join(over)
      assertEnded(ending, yield* Fiber.await(app.main))
      if (behaviour === "answers late") peer.write(answer101(request))
      yield* peer.left
      if (behaviour !== "never reads") assert.strictEqual(peer.unread, 0)
      peer.socket.destroy()
    }),

  "server, TLS": ({ behaviour }) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const server = yield* serve({ tls }).pipe(Scope.provide(scope))
      const peer = yield* rawClient(server.address.port)
      // The beginning of a ClientHello whose rest never comes.
      peer.write(Uint8Array.of(0x16, 3, 1, 2, 0, 1))
      const over = yield* startNow(Scope.close(scope, Exit.void))
      meanwhile[behaviour](peer, "")
      yield* Fiber.join(over)
      yield* peer.left
    }),

  "server, waiting for 101": ({ behaviour }) =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const arrived = yield* Deferred.make<void>()
      const origin = () => {
        deferredDoneUnsafe(arrived, Exit.void)
        return undefined
      }
      const server = yield* serve({ origin }).pipe(Scope.provide(scope))
      const peer = yield* rawClient(server.address.port)
      peer.write(upgradeRequest())
      yield* Deferred.await(arrived)
      const over = yield* startNow(Scope.close(scope, Exit.void))
      meanwhile[behaviour](peer, "")
      if (behaviour === "resets") yield* peer.closed
      else assert.strictEqual((yield* readResponse(peer)).status, 503)
      peer.end()
      yield* Fiber.join(over)
    })
}

const openingCells: ReadonlyArray<OpeningCell> = roles.flatMap((role) =>
  openings.flatMap((opening) =>
    endings.flatMap((ending) => behaviours.map((behaviour) => ({ role, opening, ending, behaviour })))
  )
)
const run = new Set<OpeningCell>()

describe("before the 101", () => {
  for (const cell of openingCells) {
    if (impossible(cell) !== undefined) continue
    const { behaviour, ending, opening, role } = cell
    it.effect(`${role}, ${opening}, ${ending}; the peer ${behaviour}`, () =>
      Effect.andThen(
        runOpening[`${role}, ${opening}`]!(cell),
        Effect.sync(() => run.add(cell))
      )
    )
  }

  it("matches docs/closing.md", ({ skip }) => {
    skip(
      run.size < openingCells.filter((cell) => impossible(cell) === undefined).length,
      "only some of the cells were run"
    )
    assertDocumented("closing.md", "opening", openingTable(openingCells))
    assertDocumented("closing.md", "impossible", impossibleTable(openingCells))
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// After the 101
// ---------------------------------------------------------------------------------------------------------------------

/** A peer behind TLS, whose TCP can be reset. */
class TlsPeer extends Peer {
  private readonly raw: Net.Socket
  constructor(secure: Tls.TLSSocket, raw: Net.Socket) {
    super(secure)
    this.raw = raw
    raw.on("error", () => {})
  }
  override reset(): void {
    this.raw.resetAndDestroy()
  }
}

const secured = (raw: Net.Socket): TlsPeer => new TlsPeer(new Tls.TLSSocket(raw, { isServer: true, ...tls }), raw)

const tlsClient = (port: number): Effect.Effect<TlsPeer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<TlsPeer>((resume) => {
      const raw = Net.connect({ host: "127.0.0.1", port, allowHalfOpen: true })
      const secure: Tls.TLSSocket = Tls.connect({ socket: raw, ca: tls.cert, host: "127.0.0.1" }, () =>
        resume(Effect.succeed(peer))
      )
      const peer = new TlsPeer(secure, raw)
    }),
    (peer) => Effect.sync(() => peer.socket.destroy())
  )

type TransportName = "TCP" | "TLS" | "HTTP/2"

/** Both sides after the opening handshake: an app and a raw peer. */
const opened = ({ ending, moment, role }: Cell, transport: TransportName) =>
  Effect.gen(function* () {
    const options: Options = {
      closeTimeout,
      ...(moment === "in a fragmented send" ? { maxFrameSize: 65536 } : {})
    }
    const socket = yield* Deferred.make<WebSocket>()
    const use = (opened: WebSocket) =>
      // One message in fragments is more than the kernels hold; of others there are as many as it takes.
      Effect.andThen(
        Deferred.succeed(socket, opened),
        activity(moment, opened, moment === "in a fragmented send" ? 8 * mebibyte : mebibyte)
      )
    const withLastWord = <E>(acquire: Effect.Effect<WebSocket, E, Scope.Scope>) =>
      Effect.tap(acquire, (opened) =>
        moment === "in a finalizer of the app"
          ? Effect.addFinalizer(() => Effect.ignore(opened.send("bye")))
          : Effect.void
      )
    if (role === "client" && transport === "HTTP/2") {
      const server = yield* http2Server({ clearText: true })
      const acquire = Effect.provide(
        WebSocketClient.connect(server.url, options),
        NodeWebSocketClient.layerWith({ http2: "require" })
      )
      const app = yield* start(ending, withLastWord(acquire), use)
      const peer = yield* server.next
      peer.accept()
      return { ...app, peer, socket: yield* Deferred.await(socket) }
    }
    if (role === "client") {
      const server = yield* rawServer()
      const url = `${transport === "TCP" ? "ws" : "wss"}://127.0.0.1:${server.port}`
      const acquire = Effect.provide(
        WebSocketClient.connect(url, options),
        NodeWebSocketClient.layerWith({ tls: { ca: tls.cert } })
      )
      const app = yield* start(ending, withLastWord(acquire), use)
      const raw = yield* server.next
      const peer = transport === "TCP" ? raw : secured(raw.socket)
      yield* peer.answer()
      return { ...app, peer, socket: yield* Deferred.await(socket) }
    }
    const scope = yield* Scope.make()
    const server = yield* serve({
      ...options,
      ...(transport === "TLS" ? { tls } : {}),
      http2: transport === "HTTP/2"
    }).pipe(Scope.provide(scope))
    yield* Effect.addFinalizer((exit) => Scope.close(scope, exit))
    const app = yield* start(ending, withLastWord(server.accept()), use, Scope.close(scope, Exit.void))
    const { port } = server.address
    if (transport === "HTTP/2") {
      const peer = yield* http2Client(port, "http")
      return { ...app, peer, socket: yield* Deferred.await(socket) }
    }
    const peer = yield* (transport === "TCP" ? rawClient : tlsClient)(port)
    peer.write(upgradeRequest())
    yield* peer.until("\r\n\r\n")
    return { ...app, peer, socket: yield* Deferred.await(socket) }
  })

/** The text frames and the Close, up to the Close. */
const framesToClose = (peer: Pick<Peer, "frame">) =>
  Effect.gen(function* () {
    const told: Array<string> = []
    for (;;) {
      const received: Frame = yield* peer.frame
      if (received.first === first.text) told.push(`Text ${received.payload}`)
      if (received.first !== first.close) continue
      told.push(`Close ${received.payload.readUInt16BE(0)}`)
      return { told, received }
    }
  })

const runOpen = (cell: Cell, transport: TransportName) =>
  Effect.gen(function* () {
    const { behaviour, ending, moment, role } = cell
    const app = yield* opened(cell, transport)
    const { peer, socket } = app
    // A peer that kept up would leave no moment to end in, or let the app send much more than this takes.
    const stalls = moment === "suspended in `send`" || moment === "in a fragmented send"
    if (stalls) peer.socket.pause()
    // The app begins its activity.
    yield* settled
    const masks = role === "server"
    if (moment === "in `run`'s handler") peer.write(frame(first.text, "go", masks))
    if (stalls) yield* stalled(socket)
    const over = yield* startNow(app.end)
    peer.socket.resume()
    const read = Effect.map(framesToClose(peer), ({ received, told }) => {
      assert.deepStrictEqual(told, expected(cell).wrote)
      return received
    })
    switch (behaviour) {
      case "answers":
        peer.write(frame(first.close, (yield* read).payload, masks))
        if (role === "server") yield* peer.rest
        peer.end()
        break
      case "half-closes":
        yield* read
        peer.end()
        break
      case "resets":
        yield* read
        peer.reset()
        break
      case "violates":
        yield* read
        peer.write(frame(0xc1, "no", masks))
        yield* peer.left
        peer.end()
        break
      case "never answers":
        yield* read
        yield* TestClock.adjust(closeTimeout)
        break
      default:
        yield* TestClock.adjust(closeTimeout)
    }
    yield* Fiber.join(over)
    assert.strictEqual(nameError((yield* socket.closeStatus).error), expected(cell).error)
    if (ending !== "release") assertEnded(ending, yield* Fiber.await(app.main))
    else yield* Fiber.interrupt(app.main)
    yield* peer.left
    // RFC 8441 §5: an orderly end has no reset, any other has CANCEL.
    if (peer instanceof Http2Peer && behaviour === "answers") {
      yield* peer.closed
      assert.strictEqual(peer.code, 0)
    }
    // With a release, the server ends at the same deadline, and may take the TCP connection away before the reset is written.
    if (peer instanceof Http2Peer && ["never answers", "never reads"].includes(behaviour) && ending !== "release") {
      yield* eventually(() => peer.code === 8)
    }
    peer.socket.destroy()
    yield* peer.closed
  })

/** Each moment and each behaviour with interruption, and each ending with an idle connection. */
const chosen = (cell: Cell): boolean => cell.moment === "idle" || cell.ending === "interruption"

const overSockets: ReadonlyArray<Behaviour> = [
  "answers",
  "never answers",
  "never reads",
  "half-closes",
  "resets",
  "violates"
]
const momentsOverSockets = moments.filter((moment) => moment !== "between the 101 and the handler")

const matrixOver = (transport: TransportName): void => {
  for (const role of roles) {
    describe(role, () => {
      for (const moment of momentsOverSockets) {
        for (const ending of endings) {
          for (const behaviour of overSockets) {
            const cell: Cell = { role, moment, ending, behaviour }
            if (!chosen(cell)) continue
            it.effect(`${moment}, ${ending}; the peer ${behaviour}`, () => runOpen(cell, transport))
          }
        }
      }
    })
  }
}

describe("over TCP", () => matrixOver("TCP"))
describe("over TLS", () => matrixOver("TLS"))
// docs/http2.md names it.
describe("over HTTP/2", () => matrixOver("HTTP/2"))
