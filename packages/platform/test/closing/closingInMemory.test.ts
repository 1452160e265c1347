/**
 * Every way in which a connection can end, at every moment, whatever the peer does: over `MockTransport`, on `TestClock`.
 * `sockets.test.ts` covers the time before a connection is open, and a part of this matrix over TCP and TLS.
 */
import * as MockTransport from "@effect-websocket/platform/MockTransport"
import type { Transport } from "@effect-websocket/platform/Transport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import type { HeaderRecord, WebSocketError } from "@effect-websocket/protocol/Errors"
import { acceptValue } from "@effect-websocket/protocol/Handshake"
import {
  Cause,
  Clock,
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Scope,
  Supervisor,
  TestClock
} from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { Link } from "../../src/engine/connection/Link.js"
import { MessageSender } from "../../src/engine/connection/MessageSender.js"
import { deferredDoneUnsafe } from "../../src/internal/effect.js"
import { awaitClosed } from "../../src/internal/scopes.js"
import { timersOf } from "../../src/internal/timers.js"
import { concat, from, isInterrupted, other, sentTo, settled, shown, text, upgradeRequest } from "../support.js"
import {
  activity,
  behaviours,
  closeTimeout,
  closingSince,
  endings,
  expected,
  lateBy,
  moments,
  nameError,
  roles,
  type Cell,
  type Moment,
  type Result
} from "./cells.js"
import { assertDocumented } from "../documented.js"
import { keyOf, roleTable } from "./report.js"

class Connected extends Context.Service<Connected, WebSocket.WebSocket>()("test/Connected") {}

/** A transport that records what arrives on it, who started it, and whether it has ended. */
const recorded = (transport: Transport) => {
  const received: Array<Uint8Array> = []
  const state: { link: Link | undefined; over: boolean } = { link: undefined, over: false }
  const recording: Transport = {
    remoteAddress: transport.remoteAddress,
    get bufferedBytes() {
      return transport.bufferedBytes
    },
    start: (sink, marks) => {
      // `fromTransport` puts a guard between the two.
      const link: unknown = sink instanceof Link ? sink : Reflect.get(sink, "sink")
      assert.instanceOf(link, Link)
      state.link = link
      transport.start(
        {
          onChunk: (chunk, owned) => {
            received.push(chunk.slice())
            sink.onChunk(chunk, owned)
          },
          onEof: () => sink.onEof(),
          onDrain: () => sink.onDrain(),
          onError: (error) => sink.onError(error),
          onClose: () => {
            state.over = true
            sink.onClose()
          }
        },
        marks
      )
    },
    pause: () => transport.pause(),
    resume: () => transport.resume(),
    write: (chunks) => transport.write(chunks),
    end: () => transport.end(),
    abort: () => transport.abort()
  }
  return { transport: recording, received, state }
}

const nameExit = (exit: Exit.Exit<unknown, WebSocketError>): string =>
  Exit.match(exit, {
    onSuccess: () => "done",
    onFailure: (cause) => {
      const failure = Cause.findErrorOption(cause)
      return failure._tag === "Some" ? nameError(failure.value) : isInterrupted(exit) ? "interrupted" : "died"
    }
  })

/** Control frames and text only. The binary data of a suspended `send` is left out: it only fills the transport. */
const telling = (frames: ReadonlyArray<string>) => frames.filter((frame) => /^(Text|Close|Ping|Pong)/.test(frame))

const options = (moment: Moment): WebSocket.Options => ({
  closeTimeout,
  ...(moment === "in a fragmented send" ? { maxFrameSize: 1000 } : {})
})

const answer = (headers: HeaderRecord) => ({
  upgrade: "websocket",
  connection: "upgrade",
  "sec-websocket-accept": acceptValue(String(headers["Sec-WebSocket-Key"]))
})

/** The app's side of a cell, at its moment. `end` ends it, and returns once it has ended. */
const start = ({ ending, moment, role }: Cell, transport: Transport) =>
  Effect.gen(function* () {
    const early = moment === "between the 101 and the handler"
    const runtime = yield* Effect.runtime<never>()
    const ownerScope = yield* Scope.make()
    const trigger = yield* Deferred.make<void, string>()
    const released = yield* Deferred.make<void>()
    const opened = yield* Deferred.make<WebSocket.WebSocket>()
    const activityExit = yield* Deferred.make<Exit.Exit<unknown, WebSocketError>>()
    // Between the 101 and the handler, the 101 and the end happen in one step.
    let inTheStepOfThe101 = () => {}

    const client = WebSocketClient.make((_, headers, done) => {
      queueMicrotask(() => {
        done({ _tag: "Upgraded", headers: answer(headers), transport })
        inTheStepOfThe101()
      })
      return () => {}
    })
    const { offer, service: server } = yield* WebSocketServer.make(
      { hostname: "test", port: 80, url: "ws://test" },
      options(moment)
    ).pipe(Scope.provide(role === "server" ? ownerScope : yield* Effect.scope))
    const request101 = Effect.sync(() =>
      offer({
        request: upgradeRequest,
        remoteAddress: undefined,
        isGone: () => false,
        upgrade: () => {
          inTheStepOfThe101()
          return transport
        },
        reject: () => {}
      })
    )

    const acquire = role === "client" ? client.connect("ws://test", options(moment)) : server.accept()
    const lastWord = (socket: WebSocket.WebSocket) =>
      Effect.addFinalizer(() =>
        Effect.andThen(
          role === "server" && ending === "release" ? Deferred.await(released) : Effect.void,
          Effect.ignore(socket.send("bye"))
        )
      )
    const act = (socket: WebSocket.WebSocket) =>
      Effect.andThen(
        Deferred.succeed(opened, socket),
        Effect.onExit(activity(moment, socket, 4 * 65536), (exit) => Deferred.succeed(activityExit, exit))
      )
    const acquireAll = Effect.tap(acquire, (socket) =>
      moment === "in a finalizer of the app" ? lastWord(socket) : Effect.void
    )
    const app = (socket: WebSocket.WebSocket) => Effect.raceFirst(act(socket), Deferred.await(trigger))

    const inLayer = role === "client" && ending === "release"
    const main = yield* Effect.forkChild(
      inLayer
        ? Effect.flatMap(Layer.buildWithScope(Layer.effect(Connected, acquireAll), ownerScope), (context) =>
            act(Context.get(context, Connected))
          )
        : early && role === "client" && ending !== "interruption"
          ? Effect.scoped(Effect.andThen(Effect.forkScoped(acquire), Deferred.await(trigger)))
          : role === "server" && moment === "in `run`'s handler"
            ? server.run(app)
            : Effect.scoped(Effect.flatMap(acquireAll, app))
    )

    const over: Effect.Effect<unknown> =
      role === "server" && moment === "in `run`'s handler"
        ? Effect.flatMap(Deferred.await(opened), (socket) => socket.closeStatus)
        : Fiber.await(main)
    const endNow: Effect.Effect<unknown> =
      ending === "release"
        ? Effect.andThen(Scope.close(ownerScope, Exit.void), Deferred.succeed(released, undefined))
        : ending === "interruption"
          ? Fiber.interrupt(main)
          : Effect.andThen(
              Deferred.done(
                trigger,
                ending === "success" ? Exit.void : ending === "failure" ? Exit.fail("no") : Exit.die("no")
              ),
              over
            )
    const begun = Effect.sync(() => Effect.runForkWith(runtime)(Effect.andThen(endNow, Clock.currentTimeMillis)))
    const upgraded = yield* Deferred.make<void>()
    if (early) inTheStepOfThe101 = () => deferredDoneUnsafe(upgraded, Exit.void)
    const ask = role === "server" ? request101 : Effect.void
    if (!early) {
      yield* ask
      yield* settled
      if (role === "server" && ending === "release" && moment === "in a finalizer of the app") {
        yield* Deferred.succeed(trigger, undefined)
        yield* settled
      }
    }

    return {
      opened,
      activityExit,
      /** Begins to end, and returns a fiber that succeeds with the time. */
      end: early ? ask.pipe(Effect.andThen(Deferred.await(upgraded)), Effect.andThen(begun)) : begun,
      /** Ends what is left of the app, after its end. */
      cleanUp: Effect.andThen(Fiber.interrupt(main), Scope.close(ownerScope, Exit.void))
    }
  })

/** Gives `Effect.forever` its turns. In Effect 4 it repeats an effect in a turn of the event loop of its own. */
const repeated = Effect.andThen(settled, settled)

const run = (cell: Cell) =>
  Effect.gen(function* () {
    const { behaviour, moment, role } = cell
    const pair = yield* MockTransport.make()
    const outbound = from(pair, role)
    const inbound = from(pair, other(role))
    const own = recorded(pair[role])
    const theirs = recorded(pair[other(role)])
    const peerScope = yield* Scope.make()
    // The peer waits longer than the app's side, so that the app's deadline is the one that ends the connection.
    const peer = yield* WebSocket.fromTransport(theirs.transport, {
      role: other(role),
      closeTimeout: 3 * closeTimeout
    }).pipe(Scope.provide(peerScope))
    const peerRun = yield* Effect.forkChild(peer.run(() => {}))

    const suspended = moment === "suspended in `send`" || moment === "in a fragmented send"
    if (suspended || moment === "while already closing") yield* outbound.stall
    const app = yield* start(cell, own.transport)
    if (moment === "in `run`'s handler") yield* peer.send("go")
    yield* repeated
    if (moment === "while already closing") yield* TestClock.adjust(closingSince)

    if (behaviour === "answers late") yield* inbound.delay(lateBy)
    if (behaviour === "never answers") yield* inbound.drop
    if (behaviour === "vanishes") yield* Effect.andThen(inbound.drop, outbound.drop)
    const answers = behaviour === "answers" || behaviour === "answers late" || behaviour === "never answers"
    if (!answers) yield* outbound.stall

    const begin = yield* Clock.currentTimeMillis
    const ending = yield* app.end
    yield* settled
    if (behaviour === "half-closes") yield* inbound.end
    if (behaviour === "resets") yield* pair.reset
    if (behaviour === "violates") yield* inbound.inject(sentTo(role, { ...text("no"), rsv: 4 }))
    yield* settled
    if (behaviour !== "never reads" && behaviour !== "vanishes") yield* outbound.unstall
    yield* settled
    for (const time of [lateBy, lateBy, closeTimeout]) {
      if ((yield* Fiber.poll(ending))._tag === "Some") break
      yield* TestClock.adjust(time)
      yield* settled
    }
    const time = (yield* Fiber.join(ending)) - begin
    const link = own.state.link!
    yield* awaitClosed(link)
    const { error } = link.status
    assert.isTrue(own.state.over)

    const peerExit = yield* Fiber.poll(peerRun)
    const peerError =
      peerExit._tag === "None" ? "none" : nameError(yield* Effect.map(peer.closeStatus, ({ error }) => error))
    yield* repeated
    yield* app.cleanUp
    const activity = yield* Deferred.poll(app.activityExit)
    const sent = yield* outbound.written
    const arrived = concat(...theirs.received)
    // The peer received everything that the app sent before, in its order, or nothing.
    assert.isTrue(arrived.length === 0 || Buffer.compare(arrived, sent) === 0)
    const result: Result = {
      wrote: telling(shown(other(role), sent)),
      peerReceived: telling(shown(other(role), arrived)),
      error: nameError(error),
      peerError,
      time,
      activity: activity._tag === "None" ? "interrupted" : nameExit(yield* activity.value)
    }

    yield* peer.abort
    yield* Scope.close(peerScope, Exit.void)
    assert.isTrue(theirs.state.over)
    assert.strictEqual(timersOf(yield* Effect.clock)["heap"].length, 0)
    const { inbox, sender } = link
    assert.instanceOf(sender, MessageSender)
    assert.isTrue(inbox.isEmpty)
    assert.isFalse(inbox.isAwaited)
    assert.strictEqual(sender["waits"].size, 0)
    assert.strictEqual(sender["turns"].size, 0)
    assert.isUndefined(sender["underWay"])
    assert.isUndefined(link["closers"])
    assert.isUndefined(link["stopSettling"])
    return result
  })

const runAll = (cell: Cell) =>
  Effect.gen(function* () {
    const supervisor = yield* Supervisor.track
    const result = yield* Effect.supervised(Effect.scoped(run(cell)), supervisor)
    yield* settled
    const left = yield* supervisor.value
    assert.lengthOf(left, 0)
    return result
  }).pipe(Effect.provide(Logger.withoutDefault))

const results = new Map<string, Result>()

for (const role of roles) {
  describe(role, () => {
    for (const moment of moments) {
      describe(moment, () => {
        for (const ending of endings) {
          describe(ending, () => {
            for (const behaviour of behaviours) {
              const cell: Cell = { role, moment, ending, behaviour }
              it.effect(`the peer ${behaviour}`, () =>
                Effect.gen(function* () {
                  const result = yield* runAll(cell)
                  results.set(keyOf(cell), result)
                  assert.deepStrictEqual(result, expected(cell))
                })
              )
            }
          })
        }
      })
    }
  })
}

describe("docs/closing.md", () => {
  for (const role of roles) {
    it(`lists the result of every cell, as ${role}`, ({ skip }) => {
      const all = roles.length * moments.length * endings.length * behaviours.length
      skip(results.size < all, "only some of the cells were run")
      assertDocumented("closing.md", role, roleTable(role, results))
    })
  }
})
