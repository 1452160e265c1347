/** WebSockets as the sockets of Effect. */
import * as EffectSocket from "@effect-websocket/platform/EffectSocket"
import type * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import { connect } from "@effect-websocket/platform/WebSocketClient"
import * as UpgradeCheck from "@effect-websocket/platform/UpgradeCheck"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import { isHandshakeRejected, isIoError, isPayloadTooLarge, isProtocolError } from "@effect-websocket/protocol/Errors"
import * as Frame from "@effect-websocket/protocol/Frame"
import { Schedule } from "effect"
import { Context, Deferred, Effect, Exit, Fiber, Queue, Scope, Stream, TestClock } from "./effect/index.js"
import {
  CloseEvent,
  handlersRunAtOnce,
  read,
  Socket,
  SocketServer,
  toChannelString,
  writeCause,
  writer,
  type End
} from "./effect/socket.js"
import { assert, describe, it } from "./effect/vitest.js"
import { isDefect, isPending, settled } from "./support.js"

const inMemory = <A, E>(
  test: Effect.Effect<A, E, Services | Scope.Scope>,
  options: WebSocketServer.MakeOptions = {}
): Effect.Effect<A, E> => Effect.provide(Effect.scoped(test), WebSocketTest.layerWith(options))

type Services = WebSocketClient.WebSocketClient | WebSocketServer.WebSocketServer | WebSocketTest.WebSocketTest

/** Reads in a fiber. `opened` fires once it is connected. */
const reading = (socket: Socket, handler?: (data: string | Uint8Array) => Effect.Effect<void> | void) =>
  Effect.gen(function* () {
    const opened = yield* Deferred.make<void>()
    const fiber = yield* Effect.forkScoped(read(socket, handler, Effect.asVoid(Deferred.succeed(opened, undefined))))
    return { opened: Deferred.await(opened), fiber, ended: Fiber.join(fiber) }
  })

const collecting = (socket: Socket) =>
  Effect.gen(function* () {
    const received = yield* Queue.unbounded<string | Uint8Array>()
    const reader = yield* reading(socket, (data) => Effect.asVoid(Queue.offer(received, data)))
    return { ...reader, received: Queue.take(received) }
  })

const closed = (end: End) => {
  assert(end._tag === "Close")
  return end
}

describe("make", () => {
  it.effect("connects for each reader, and a writer that was acquired once writes to the connection of now", () =>
    inMemory(
      Effect.gen(function* () {
        const socket = yield* EffectSocket.make("ws://test")
        const { write, writeAll } = yield* writer(socket)
        const early = yield* Effect.forkScoped(write("first"))
        assert.isTrue(yield* isPending(early))
        for (const round of ["a", "b"]) {
          const { ended, opened, received } = yield* collecting(socket)
          const peer = yield* WebSocketServer.accept()
          yield* opened
          if (round === "a") {
            yield* Fiber.join(early)
            yield* WebSocketTest.expectMessage(peer, "first")
          }
          yield* writeAll([round, `${round}${round}`])
          yield* write(new Uint8Array([1, 2]))
          yield* WebSocketTest.expectMessage(peer, round)
          yield* WebSocketTest.expectMessage(peer, `${round}${round}`)
          yield* WebSocketTest.expectMessage(peer, new Uint8Array([1, 2]))
          yield* peer.send("text")
          assert.strictEqual(yield* received, "text")
          yield* peer.send(new Uint8Array([3]))
          assert.deepStrictEqual(yield* received, new Uint8Array([3]))
          yield* peer.close(4000, "next")
          const { code, reason } = closed(yield* ended)
          assert.deepStrictEqual([code, reason], [4000, "next"])
        }
      })
    )
  )

  it.effect("runs the effect of the URL before each attempt, and captures its services", () =>
    Effect.gen(function* () {
      let attempts = 0
      const url = Effect.flatMap(Name, (name) => Effect.sync(() => `ws://test/${name}/${++attempts}`))
      yield* inMemory(
        Effect.gen(function* () {
          const socket = yield* Effect.provideService(EffectSocket.make(url), Name, "ann")
          for (const path of ["/ann/1", "/ann/2"]) {
            const { ended } = yield* reading(socket)
            const peer = yield* WebSocketServer.accept()
            assert.strictEqual(peer.url, path)
            yield* peer.close()
            assert.strictEqual((yield* ended)._tag, "Normal")
          }
        })
      )
    })
  )

  it.effect("drops what is written to a connection that is over, and keeps it for no other", () =>
    inMemory(
      Effect.gen(function* () {
        const socket = yield* EffectSocket.make("ws://test")
        const { write, writeAll } = yield* writer(socket)
        // It is connected, and does not read before this fires.
        const opened = yield* Deferred.make<void>()
        const goOn = yield* Deferred.make<void>()
        const onOpen = Effect.andThen(Deferred.succeed(opened, undefined), Deferred.await(goOn))
        const ended = yield* Effect.forkScoped(read(socket, undefined, onOpen))
        const peer = yield* WebSocketServer.accept()
        yield* Deferred.await(opened)
        yield* peer.abort
        yield* write("late")
        yield* writeAll(["later", "latest"])
        yield* Deferred.succeed(goOn, undefined)
        assert.strictEqual(closed(yield* Fiber.join(ended)).code, 1006)
        const waiting = yield* Effect.forkScoped(write("next"))
        assert.isTrue(yield* isPending(waiting))
        yield* reading(socket)
        yield* WebSocketTest.expectMessage(yield* WebSocketServer.accept(), "next")
        yield* Fiber.join(waiting)
      })
    )
  )

  it.effect("drops what is written while a reader that was interrupted closes its connection", () =>
    inMemory(
      Effect.gen(function* () {
        const socket = yield* EffectSocket.make("ws://test")
        const { write } = yield* writer(socket)
        const { fiber, opened } = yield* reading(socket)
        const peer = yield* WebSocketServer.accept()
        yield* opened
        // The answer to the Close does not arrive.
        yield* (yield* WebSocketTest.network(peer)).serverToClient.stall
        const closing = yield* Effect.forkScoped(Fiber.interrupt(fiber))
        assert.isTrue(yield* isPending(closing))
        yield* write("late")
        assert.isTrue(yield* isPending(closing))
      })
    )
  )

  it.effect("fails with an open error that says why", () =>
    inMemory(
      Effect.gen(function* () {
        const socket = yield* EffectSocket.make("ws://test", { openTimeout: "1 seconds" })
        const refused = yield* reading(socket)
        yield* Effect.flatMap(WebSocketTest.nextAttempt, ({ reject }) => reject(401))
        const rejection = yield* refused.ended
        assert(rejection._tag === "Open" && isHandshakeRejected(rejection.cause))
        assert.deepStrictEqual([rejection.isTimeout, rejection.cause.status], [false, 401])
        const gone = yield* reading(socket)
        yield* Effect.flatMap(WebSocketTest.nextAttempt, ({ unreachable }) => unreachable)
        const unreachable = yield* gone.ended
        assert(unreachable._tag === "Open" && isIoError(unreachable.cause))
        assert.strictEqual(unreachable.cause.reason, "Connect")
        const wrong = yield* read(yield* EffectSocket.make("http://"))
        assert(wrong._tag === "Open" && isProtocolError(wrong.cause))
        const failed = yield* read(yield* EffectSocket.make(Effect.fail("no token")))
        assert(failed._tag === "Open")
        assert.strictEqual(failed.cause, "no token")
      })
    )
  )

  it.live("says whether an attempt timed out", () =>
    inMemory(
      Effect.gen(function* () {
        const socket = yield* EffectSocket.make("ws://test", { openTimeout: "1 millis" })
        const { ended } = yield* reading(socket)
        yield* WebSocketTest.nextAttempt
        const end = yield* ended
        assert(end._tag === "Open")
        assert.isTrue(end.isTimeout)
      })
    )
  )

  it.effect("reports the end as the standard WebSocket does, with the error of the connection", () =>
    inMemory(
      Effect.gen(function* () {
        const socket = yield* EffectSocket.make("ws://test", { limits: { maxMessageBytes: 8 } })
        const endAfter = (
          end: (peer: Effect.Success<ReturnType<typeof WebSocketTest.acceptPeer>>) => Effect.Effect<unknown>
        ) =>
          Effect.gen(function* () {
            const { ended } = yield* reading(socket)
            yield* end(yield* WebSocketTest.acceptPeer())
            return yield* ended
          })
        const normal = yield* endAfter((peer) => Effect.andThen(peer.sendClose(1000), peer.answerClose()))
        assert.strictEqual(normal._tag, "Normal")
        for (const [sent, code] of [
          [1001, 1001],
          [undefined, 1005]
        ]) {
          const end = yield* endAfter((peer) => Effect.andThen(peer.sendClose(sent), peer.answerClose()))
          assert.strictEqual(closed(end).code, code)
        }
        const policy = closed(yield* endAfter((peer) => Effect.andThen(peer.sendClose(1008, "no"), peer.answerClose())))
        assert.deepStrictEqual([policy.code, policy.reason], [1008, "no"])
        const broken = closed(yield* endAfter((peer) => peer.abort))
        assert.strictEqual(broken.code, 1006)
        assert.isTrue(isIoError(broken.cause))
        const garbage = closed(
          yield* endAfter((peer) => Effect.andThen(peer.sendBytes(new Uint8Array([0x83, 0])), peer.answerClose()))
        )
        assert.strictEqual(garbage.code, 1002)
        assert.isTrue(isProtocolError(garbage.cause))
        const large = closed(
          yield* endAfter((peer) => Effect.andThen(peer.send(Frame.text("123456789")), peer.answerClose()))
        )
        assert.strictEqual(large.code, 1009)
        assert.isTrue(isPayloadTooLarge(large.cause))
      })
    )
  )

  it.effect("drops an attempt whose reader is interrupted, and connects again for the next one", () =>
    inMemory(
      Effect.gen(function* () {
        const socket = yield* EffectSocket.make("ws://test")
        const { write } = yield* writer(socket)
        const waiting = yield* Effect.forkScoped(write("hello"))
        const { fiber } = yield* reading(socket)
        const attempt = yield* WebSocketTest.nextAttempt
        yield* Fiber.interrupt(fiber)
        yield* attempt.forward
        yield* reading(socket)
        yield* WebSocketTest.expectMessage(yield* WebSocketServer.accept(), "hello")
        yield* Fiber.join(waiting)
      })
    )
  )

  it.effect("closes the connection at the end of its reader: 1001 if that is interrupted", () =>
    inMemory(
      Effect.gen(function* () {
        const { fiber, opened } = yield* reading(yield* EffectSocket.make("ws://test"))
        const peer = yield* WebSocketServer.accept()
        yield* opened
        const interrupting = yield* Effect.forkScoped(Fiber.interrupt(fiber))
        yield* WebSocketTest.expectClose(peer, { code: 1001, initiator: "remote", clean: true })
        yield* Fiber.join(interrupting)
      })
    )
  )

  it.effect("refuses a message above `maxSendBytes`, and stays open", () =>
    inMemory(
      Effect.gen(function* () {
        const socket = yield* EffectSocket.make("ws://test", { maxSendBytes: 4 })
        const { write, writeAll } = yield* writer(socket)
        const { opened } = yield* reading(socket)
        const peer = yield* WebSocketServer.accept()
        yield* opened
        assert.isTrue(isPayloadTooLarge(writeCause(yield* Effect.flip(write("12345")))))
        assert.isTrue(isPayloadTooLarge(writeCause(yield* Effect.flip(writeAll(["1", "12345"])))))
        yield* WebSocketTest.expectMessage(peer, "1")
        yield* write("1234")
        yield* WebSocketTest.expectMessage(peer, "1234")
      })
    )
  )

  it.effect("closes with the code of a `CloseEvent`, and refuses one that may not be sent", () =>
    inMemory(
      Effect.gen(function* () {
        const socket = yield* EffectSocket.make("ws://test")
        const { write } = yield* writer(socket)
        const { ended, opened } = yield* reading(socket)
        const peer = yield* WebSocketServer.accept()
        yield* opened
        assert.isTrue(isProtocolError(writeCause(yield* Effect.flip(write(new CloseEvent(1006))))))
        assert.isTrue(isPayloadTooLarge(writeCause(yield* Effect.flip(write(new CloseEvent(4000, "x".repeat(124)))))))
        const closing = yield* Effect.forkScoped(write(new CloseEvent(4001, "bye")))
        yield* WebSocketTest.expectClose(peer, { code: 4001, reason: "bye", clean: true })
        yield* Fiber.join(closing)
        assert.include(["Normal", "Close"], (yield* ended)._tag)
      })
    )
  )

  it.effect("lets a write wait for a peer that does not read, and loses nothing if it is interrupted", () =>
    inMemory(
      Effect.gen(function* () {
        const socket = yield* EffectSocket.make("ws://test", { sendHighWaterMark: 1024 })
        const { write } = yield* writer(socket)
        const { opened } = yield* reading(socket)
        const peer = yield* WebSocketServer.accept()
        yield* opened
        const network = yield* WebSocketTest.network(peer)
        yield* network.clientToServer.stall
        const data = "x".repeat(1024)
        let sent = 0
        const writing = yield* Effect.forkScoped(
          Effect.forEach(
            Array.from({ length: 100 }),
            () =>
              Effect.andThen(
                write(data),
                Effect.sync(() => void sent++)
              ),
            { discard: true }
          )
        )
        assert.isTrue(yield* isPending(writing))
        const before = sent
        assert.isBelow(before, 100)
        const more = yield* Effect.forkScoped(write("interrupted"))
        yield* settled
        yield* Fiber.interrupt(more)
        yield* network.clientToServer.unstall
        for (let i = 0; i < 100; i++) yield* WebSocketTest.expectMessage(peer, data)
        yield* Fiber.join(writing)
        yield* WebSocketTest.expectNoMessage(peer)
      })
    )
  )

  it.effect("serves two readers at once with two connections, and writes to the newer one", () =>
    inMemory(
      Effect.gen(function* () {
        const socket = yield* EffectSocket.make("ws://test")
        const { write } = yield* writer(socket)
        const first = yield* collecting(socket)
        const firstPeer = yield* WebSocketServer.accept()
        yield* first.opened
        const second = yield* collecting(socket)
        const secondPeer = yield* WebSocketServer.accept()
        yield* second.opened
        yield* write("hello")
        yield* WebSocketTest.expectMessage(secondPeer, "hello")
        yield* firstPeer.send("1")
        yield* secondPeer.send("2")
        assert.deepStrictEqual([yield* first.received, yield* second.received], ["1", "2"])
        yield* firstPeer.close(4000)
        yield* first.ended
        yield* write("still")
        yield* WebSocketTest.expectMessage(secondPeer, "still")
      })
    )
  )

  it.effect(
    "gives the messages in order, and lets other messages pass a handler that waits where Effect expects it",
    () =>
      inMemory(
        Effect.gen(function* () {
          const seen: Array<string | Uint8Array> = []
          const goOn = yield* Deferred.make<void>()
          const { opened } = yield* reading(yield* EffectSocket.make("ws://test"), (data) => {
            seen.push(data)
            return data === "wait" ? Deferred.await(goOn) : undefined
          })
          const peer = yield* WebSocketServer.accept()
          yield* opened
          yield* peer.sendAll(["a", "wait", "b", "c"])
          yield* settled
          assert.deepStrictEqual(seen, handlersRunAtOnce ? ["a", "wait", "b", "c"] : ["a", "wait"])
          yield* Deferred.succeed(goOn, undefined)
          yield* settled
          assert.deepStrictEqual(seen, ["a", "wait", "b", "c"])
        })
      )
  )

  it.effect("lets a handler write once more when its reader is interrupted", () =>
    inMemory(
      Effect.gen(function* () {
        const socket = yield* EffectSocket.make("ws://test")
        const { write } = yield* writer(socket)
        const { fiber, opened } = yield* reading(socket, () =>
          Effect.ensuring(Effect.never, Effect.orDie(write("bye")))
        )
        const peer = yield* WebSocketServer.accept()
        yield* opened
        yield* peer.send("hello")
        yield* settled
        const interrupting = yield* Effect.forkScoped(Fiber.interrupt(fiber))
        yield* WebSocketTest.expectMessage(peer, "bye")
        yield* WebSocketTest.expectClose(peer, { code: 1001 })
        yield* Fiber.join(interrupting)
      })
    )
  )

  it.effect("is the `Socket` of a channel, in both directions", () =>
    inMemory(
      Effect.gen(function* () {
        yield* Effect.forkScoped(
          WebSocketServer.run((socket) =>
            Effect.flatMap(socket.receive, ({ data }) =>
              Effect.andThen(socket.send(`${String(data)}!`), socket.close())
            )
          )
        )
        const socket = yield* Effect.provide(Socket, EffectSocket.layer("ws://test"))
        const received: Array<string> = []
        // On Effect 4 every end is an error.
        yield* Stream.make("hello").pipe(
          Stream.pipeThroughChannel(toChannelString(socket)),
          Stream.runForEach((text) => Effect.sync(() => void received.push(text))),
          Effect.exit
        )
        assert.deepStrictEqual(received, ["hello!"])
      })
    )
  )
})

class Name extends Context.Service<Name, string>()("Name") {}

describe("makeReconnecting", () => {
  const schedule = Schedule.spaced("1 seconds")

  it.effect("waits for a connection while attempts fail, and has each reader take one", () =>
    inMemory(
      Effect.gen(function* () {
        const greeted: Array<number> = []
        const socket = yield* EffectSocket.makeReconnecting("ws://test", {
          schedule,
          onConnect: (connection, count) =>
            Effect.andThen(
              connection.send(`hi ${count}`),
              Effect.sync(() => void greeted.push(count))
            )
        })
        const { write } = yield* writer(socket)
        const first = yield* collecting(socket)
        yield* Effect.flatMap(WebSocketTest.nextAttempt, ({ reject }) => reject(503))
        yield* settled
        yield* TestClock.adjust("1 seconds")
        const peer = yield* WebSocketServer.accept()
        yield* first.opened
        yield* WebSocketTest.expectMessage(peer, "hi 1")
        yield* write("hello")
        yield* WebSocketTest.expectMessage(peer, "hello")
        yield* peer.send("text")
        assert.strictEqual(yield* first.received, "text")
        yield* peer.close(1012)
        assert.strictEqual(closed(yield* first.ended).code, 1012)
        const second = yield* collecting(socket)
        assert.isTrue(yield* isPending(second.fiber))
        yield* TestClock.adjust("1 seconds")
        const next = yield* WebSocketServer.accept()
        yield* WebSocketTest.expectMessage(next, "hi 2")
        yield* second.opened
        // The end of a reader closes its connection, and the next reader gets another one.
        const interrupting = yield* Effect.forkScoped(Fiber.interrupt(second.fiber))
        yield* WebSocketTest.expectClose(next, { code: 1001 })
        yield* Fiber.join(interrupting)
        yield* settled
        yield* TestClock.adjust("1 seconds")
        const last = yield* WebSocketServer.accept()
        yield* WebSocketTest.expectMessage(last, "hi 3")
        const third = yield* collecting(socket)
        yield* last.send("unread")
        assert.strictEqual(yield* third.received, "unread")
        assert.deepStrictEqual(greeted, [1, 2, 3])
      })
    )
  )

  it.effect("leaves the messages before the end of a connection to its reader", () =>
    inMemory(
      Effect.gen(function* () {
        const socket = yield* EffectSocket.makeReconnecting("ws://test", { schedule })
        const seen: Array<string | Uint8Array> = []
        const goOn = yield* Deferred.make<void>()
        const { ended } = yield* reading(socket, (data) => {
          seen.push(data)
          return data === "a" ? Deferred.await(goOn) : undefined
        })
        const peer = yield* WebSocketServer.accept()
        yield* peer.send("a")
        yield* settled
        yield* peer.sendAll(["b", "c"])
        yield* peer.close(1012)
        yield* settled
        yield* Deferred.succeed(goOn, undefined)
        assert.strictEqual(closed(yield* ended).code, 1012)
        assert.deepStrictEqual(seen, ["a", "b", "c"])
      })
    )
  )

  it.effect("fails readers once its scope ends", () =>
    inMemory(
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const socket = yield* Effect.provideService(
          EffectSocket.makeReconnecting("ws://test", { schedule }),
          Scope.Scope,
          scope
        )
        const { ended } = yield* reading(socket)
        yield* WebSocketTest.nextAttempt
        yield* Scope.close(scope, Exit.void)
        for (const end of [yield* ended, yield* read(socket)]) assert.strictEqual(end._tag, "Open")
      })
    )
  )

  it.effect("fails with the failure that is final, each reader", () =>
    inMemory(
      Effect.gen(function* () {
        const socket = yield* EffectSocket.makeReconnecting("ws://test", { schedule })
        const { ended } = yield* reading(socket)
        yield* Effect.flatMap(WebSocketTest.nextAttempt, ({ reject }) => reject(401))
        for (const end of [yield* ended, yield* read(socket)]) {
          assert(end._tag === "Open" && isHandshakeRejected(end.cause))
          assert.strictEqual(end.cause.status, 401)
        }
      })
    )
  )

  it.effect("gives no reader a connection after a failure that is classified as an end", () =>
    inMemory(
      Effect.gen(function* () {
        const socket = yield* EffectSocket.makeReconnecting("ws://test", { schedule })
        const { ended, opened } = yield* reading(socket)
        const peer = yield* WebSocketServer.accept()
        yield* opened
        yield* peer.close(1000)
        assert.strictEqual((yield* ended)._tag, "Normal")
        assert.strictEqual((yield* read(socket))._tag, "Open")
      })
    )
  )
})

/** A client and its connection of the server. */
const connected = (options?: WebSocketClient.ConnectOptions) =>
  Effect.all([connect("ws://test", options), WebSocketServer.accept()], { concurrency: 2 })

describe("fromWebSocket", () => {
  it.effect("writes before anybody reads, and closes the connection at the end of its reader", () =>
    inMemory(
      Effect.gen(function* () {
        const [client, peer] = yield* connected()
        const socket = EffectSocket.fromWebSocket(client)
        const { write } = yield* writer(socket)
        yield* write("hello")
        yield* WebSocketTest.expectMessage(peer, "hello")
        const { fiber, opened, received } = yield* collecting(socket)
        yield* opened
        yield* peer.send("read")
        assert.strictEqual(yield* received, "read")
        const interrupting = yield* Effect.forkScoped(Fiber.interrupt(fiber))
        yield* WebSocketTest.expectClose(peer, { code: 1001, clean: true })
        yield* Fiber.join(interrupting)
        assert.strictEqual((yield* client.closeStatus).clean, true)
        // There is no other connection to wait for.
        yield* write("late")
        assert.include(["Normal", "Close"], (yield* read(socket))._tag)
      })
    )
  )

  it.effect("has one reader at a time", () =>
    inMemory(
      Effect.gen(function* () {
        const [client] = yield* connected()
        const socket = EffectSocket.fromWebSocket(client)
        const { opened } = yield* reading(socket)
        yield* opened
        yield* settled
        assert.isTrue(isDefect(yield* Effect.exit(read(socket))))
      })
    )
  )

  it.effect("ends a reader whose connection the app closes", () =>
    inMemory(
      Effect.gen(function* () {
        yield* Effect.forkScoped(WebSocketServer.run((socket) => socket.run(() => {})))
        const client = yield* connect("ws://test")
        const { ended, opened } = yield* reading(EffectSocket.fromWebSocket(client))
        yield* opened
        yield* client.close()
        assert.strictEqual((yield* ended)._tag, "Normal")
      })
    )
  )

  it.effect("ends a writer that waits for room when the scope of the connection ends", () =>
    inMemory(
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const [client, peer] = yield* Effect.provideService(connected({ sendHighWaterMark: 8 }), Scope.Scope, scope)
        const network = yield* WebSocketTest.network(peer)
        yield* network.clientToServer.stall
        const { write } = yield* writer(EffectSocket.fromWebSocket(client))
        const writing = yield* Effect.forkScoped(Effect.forever(write("0123456789")))
        yield* settled
        const closing = yield* Effect.forkScoped(Scope.close(scope, Exit.void))
        yield* network.reset
        yield* Fiber.join(closing)
        yield* Fiber.interrupt(writing)
        yield* write("dropped")
      })
    )
  )
})

describe("makeServer", () => {
  const echo = (socket: Socket) =>
    Effect.gen(function* () {
      const { write } = yield* writer(socket)
      yield* read(socket, (data) => Effect.orDie(write(data)))
    }).pipe(Effect.scoped)

  it.effect("runs a handler for each connection", () =>
    inMemory(
      Effect.gen(function* () {
        const server = yield* Effect.provide(SocketServer, EffectSocket.layerServer())
        yield* Effect.forkScoped(server.run(echo))
        for (const text of ["a", "b"]) {
          const client = yield* connect("ws://test")
          yield* client.send(text)
          yield* WebSocketTest.expectMessage(client, text)
        }
        assert.include(server.address, { port: 80 })
      })
    )
  )

  it.effect("is a route with options", () =>
    inMemory(
      Effect.gen(function* () {
        const server = yield* EffectSocket.makeServer({
          path: "/rpc",
          check: ({ headers }) =>
            Effect.succeed(headers["authorization"] === "yes" ? UpgradeCheck.accept() : UpgradeCheck.reject(401))
        })
        yield* Effect.forkScoped(server.run(echo))
        const statusOf = (path: string) =>
          Effect.map(Effect.flip(Effect.scoped(connect(`ws://test${path}`))), (error) =>
            error._tag === "Handshake_rejected" ? error.status : error._tag
          )
        assert.deepStrictEqual([yield* statusOf("/rpc"), yield* statusOf("/other")], [401, 404])
        const client = yield* connect("ws://test/rpc", { headers: { authorization: "yes" } })
        yield* client.send("hello")
        yield* WebSocketTest.expectMessage(client, "hello")
      })
    )
  )
})
