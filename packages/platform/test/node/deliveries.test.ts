/** Streams and frames over TCP, with `ws` on the other side. */
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import type { StreamedMessage } from "@effect-websocket/platform/StreamingWebSocket"
import type * as WebSocket from "@effect-websocket/platform/WebSocket"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import type { Delivery } from "@effect-websocket/protocol/Connection"
import * as Frame from "@effect-websocket/protocol/Frame"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import * as Http from "node:http"
import { WebSocket as Ws, WebSocketServer as WsServer } from "ws"
import { Deferred, Effect, Exit, Fiber, Queue, type Scope, Stream } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { closedFacts, eventually, facts, listen, mebibyte, noHandlesLeft, serve } from "./support.js"

afterEach(noHandlesLeft)

type Seen = { readonly _tag: "Message" | "Ping" | "Pong" | "Close" | "Error"; readonly data: string }

const watch = (socket: Ws) =>
  Effect.gen(function* () {
    const seen = yield* Queue.unbounded<Seen>()
    const see = (_tag: Seen["_tag"], data: string) => void Queue.offerUnsafe(seen, { _tag, data })
    socket.on("message", (data) => see("Message", String(data)))
    socket.on("ping", (data) => see("Ping", String(data)))
    socket.on("pong", (data) => see("Pong", String(data)))
    socket.on("error", (error) => see("Error", error.message))
    socket.on("close", (code) => see("Close", `${code}`))
    return { socket, next: Queue.take(seen) }
  })

type Foreign = Effect.Success<ReturnType<typeof watch>>

const wsServer = Effect.gen(function* () {
  const accepted = yield* Queue.unbounded<Ws>()
  const http = Http.createServer()
  const server = new WsServer({ server: http, perMessageDeflate: { threshold: 0 } })
  server.on("connection", (socket) => Queue.offerUnsafe(accepted, socket))
  const port = yield* listen(http)
  return { url: `ws://127.0.0.1:${port}`, accept: Effect.flatMap(Queue.take(accepted), watch) }
})

const wsClient = (url: string) =>
  Effect.flatMap(
    Effect.acquireRelease(
      Effect.sync(() => new Ws(url, { perMessageDeflate: { threshold: 0 } })),
      (socket) => Effect.sync(() => socket.terminate())
    ),
    watch
  )

/** A connection of the library's in a role, in the scope, and its peer, which offers and accepts compression. */
const open = {
  client: <D extends Delivery>(options: WebSocket.Options & WebSocket.DeliveryOptions<D>) =>
    Effect.gen(function* () {
      const server = yield* wsServer
      const socket = yield* Effect.provide(
        WebSocketClient.connect(server.url, { compression: true, ...options }),
        NodeWebSocketClient.layer
      )
      return { socket, peer: yield* server.accept }
    }),
  server: <D extends Delivery>({
    answerClose,
    answerPings,
    delivery,
    ...options
  }: WebSocket.Options & WebSocket.DeliveryOptions<D>) =>
    Effect.gen(function* () {
      const server = yield* serve({ compression: true, ...options })
      const peer = yield* wsClient(server.address.url)
      const socket = yield* server.accept({ delivery, answerClose, answerPings })
      yield* eventually(() => peer.socket.readyState === Ws.OPEN)
      return { socket, peer }
    })
} satisfies Record<
  string,
  <D extends Delivery>(
    options: WebSocket.Options & WebSocket.DeliveryOptions<D>
  ) => Effect.Effect<{ socket: WebSocket.Deliveries[D]; peer: Foreign }, unknown, Scope.Scope>
>

const stringsOf = (message: StreamedMessage): Stream.Stream<string, unknown> =>
  message._tag === "Text" ? message.data : Stream.map(message.data, (bytes) => Buffer.from(bytes).toString("latin1"))

const joined = (message: StreamedMessage) =>
  Stream.runFold(
    stringsOf(message),
    () => "",
    (all, part) => all + part
  )

for (const role of ["client", "server"] as const) {
  describe(`sendStream, as ${role}`, () => {
    it.live("arrives at ws as one message, whatever the parts; other messages behind it, pings within", () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open[role]({ delivery: "messages", maxFrameSize: 1000 })
        const began = yield* Deferred.make<void>()
        const goOn = yield* Deferred.make<void>()
        const text = "é€😀".repeat(30_000)
        const parts = Stream.fromIterable(Array.from({ length: 121 }, (_, i) => text.slice(i * 1001, i * 1001 + 1001)))
        const paused = Stream.concat(
          Stream.take(parts, 50),
          Stream.concat(
            Stream.drain(Stream.fromEffect(Effect.andThen(Deferred.succeed(began, undefined), Deferred.await(goOn)))),
            Stream.drop(parts, 50)
          )
        )
        const sending = yield* Effect.forkChild(socket.sendStream(paused))
        yield* Deferred.await(began)
        const behind = yield* Effect.forkChild(socket.send("behind"))
        yield* Effect.raceFirst(socket.ping(Buffer.from("ping")), Effect.forever(socket.receive))
        assert.deepStrictEqual(yield* peer.next, { _tag: "Ping", data: "ping" })
        yield* Deferred.succeed(goOn, undefined)
        yield* Fiber.join(sending)
        yield* Fiber.join(behind)
        assert.deepStrictEqual(yield* peer.next, { _tag: "Message", data: text })
        assert.deepStrictEqual(yield* peer.next, { _tag: "Message", data: "behind" })
      }).pipe(Effect.scoped)
    )

    for (const how of ["fails", "is interrupted"] as const) {
      it.live(`that ${how} is not a message for ws`, () =>
        Effect.gen(function* () {
          const { peer, socket } = yield* open[role]({ delivery: "messages" })
          const began = yield* Deferred.make<void>()
          const last = Effect.andThen(
            Deferred.succeed(began, undefined),
            how === "fails" ? Effect.fail("broken") : Effect.never
          )
          const sending = yield* Effect.forkChild(
            socket.sendStream(Stream.concat(Stream.make("begun"), Stream.drain(Stream.fromEffect(last))))
          )
          yield* Deferred.await(began)
          yield* how === "fails" ? Effect.exit(Fiber.join(sending)) : Fiber.interrupt(sending)
          assert.deepStrictEqual(yield* peer.next, { _tag: "Close", data: how === "fails" ? "1011" : "1001" })
          assert.isTrue((yield* socket.closeStatus).clean)
        }).pipe(Effect.scoped)
      )
    }

    it.live("suspends while ws does not read, fails at once when ws is gone, and leaves nothing behind", () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open[role]({ delivery: "messages" })
        peer.socket.pause()
        let sent = 0
        let finalized = false
        const endless = Stream.fromEffectRepeat(
          Effect.sync(() => {
            sent++
            return Buffer.alloc(64 * 1024)
          })
        )
        const sending = yield* Effect.forkChild(
          Effect.flip(
            socket.sendStream(
              Stream.ensuring(
                endless,
                Effect.sync(() => {
                  finalized = true
                })
              )
            )
          )
        )
        yield* Effect.repeat(Effect.andThen(Effect.yieldNow, socket.bufferedBytes), {
          until: (bytes) => bytes >= 64 * 1024
        })
        assert.isAtMost(yield* socket.bufferedBytes, 256 * 1024)
        assert.isBelow(sent, 1000)
        peer.socket.terminate()
        const error = yield* Fiber.join(sending)
        assert.oneOf(error._tag, ["Io_error", "Connection_closed"])
        assert.isTrue(finalized)
      }).pipe(Effect.scoped)
    )
  })

  describe(`streams, as ${role}`, () => {
    it.live("receive what ws sends, in parts, and compressed as a whole", () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open[role]({ delivery: "streams" })
        assert.deepStrictEqual(
          socket.extensions.map(({ name }) => name),
          ["permessage-deflate"]
        )
        peer.socket.send("é€😀".repeat(1000))
        const compressed = yield* socket.receive
        assert.strictEqual(compressed._tag, "Text")
        assert.deepStrictEqual([...(yield* Stream.runCollect(stringsOf(compressed)))], ["é€😀".repeat(1000)])

        peer.socket.send("one ", { fin: false, compress: false })
        const message = yield* socket.receive
        const parts = yield* Queue.unbounded<string>()
        const reading = yield* Effect.forkChild(
          Stream.runForEach(stringsOf(message), (part) => Queue.offer(parts, part))
        )
        assert.strictEqual(yield* Queue.take(parts), "one ")
        peer.socket.send("two", { fin: true, compress: false })
        assert.strictEqual(yield* Queue.take(parts), "two")
        yield* Fiber.join(reading)

        peer.socket.send(Buffer.alloc(8 * mebibyte, "x"), { compress: false })
        assert.strictEqual((yield* joined(yield* socket.receive)).length, 8 * mebibyte)
      }).pipe(Effect.scoped)
    )

    it.live("stop ws while nobody reads a message that is larger than every buffer", () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open[role]({ delivery: "streams" })
        peer.socket.send(Buffer.alloc(32 * mebibyte, "x"), { compress: false })
        peer.socket.send("behind", { compress: false })
        const message = yield* socket.receive
        yield* eventually(() => peer.socket.bufferedAmount > 8 * mebibyte)
        assert.strictEqual(message._tag, "Binary")
        assert.isAbove(peer.socket.bufferedAmount, 8 * mebibyte)
        // What is not read is skipped.
        assert.strictEqual(yield* joined(yield* socket.receive), "behind")
        yield* eventually(() => peer.socket.bufferedAmount === 0)
      }).pipe(Effect.scoped)
    )

    it.live("echo a message to ws while it still arrives", () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open[role]({ delivery: "streams" })
        yield* Effect.forkChild(
          Effect.ignore(Stream.runForEach(socket.messages, (message) => socket.sendStream(message)))
        )
        peer.socket.send("begins", { fin: false, compress: false })
        peer.socket.ping("p")
        assert.deepStrictEqual(yield* peer.next, { _tag: "Pong", data: "p" })
        peer.socket.send(" and ends", { fin: true, compress: false })
        assert.deepStrictEqual(yield* peer.next, { _tag: "Message", data: "begins and ends" })
        peer.socket.send("€".repeat(500_000), { compress: false })
        assert.deepStrictEqual(yield* peer.next, { _tag: "Message", data: "€".repeat(500_000) })
        peer.socket.close(1000)
        assert.deepStrictEqual(yield* peer.next, { _tag: "Close", data: "1000" })
      }).pipe(Effect.scoped)
    )

    it.live("fail if ws goes away inside a message", () =>
      Effect.gen(function* () {
        for (const way of ["close", "terminate"] as const) {
          const { peer, socket } = yield* open[role]({ delivery: "streams" })
          peer.socket.send("begun", { fin: false, compress: false })
          const message = yield* socket.receive
          const reading = yield* Effect.forkChild(Effect.flip(joined(message)))
          if (way === "close") peer.socket.close(1000)
          else peer.socket.terminate()
          const error = yield* Fiber.join(reading)
          if (way === "close") assert.deepStrictEqual(facts(error), closedFacts(1000, "remote"))
          else assert.oneOf(facts(error)["_tag"], ["Io_error", "Connection_closed"])
        }
      }).pipe(Effect.scoped)
    )
  })

  describe(`frames, as ${role}`, () => {
    it.live("go to and come from ws, and nothing is compressed", () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open[role]({ delivery: "frames" })
        assert.deepStrictEqual(socket.extensions, [])
        assert.strictEqual(peer.socket.extensions, "")
        yield* socket.send(Frame.text("hel", { fin: false }))
        yield* socket.send(Frame.ping("p"))
        yield* socket.send(Frame.continuation("lo"))
        assert.deepStrictEqual(yield* peer.next, { _tag: "Ping", data: "p" })
        assert.deepStrictEqual(yield* peer.next, { _tag: "Message", data: "hello" })
        peer.socket.send("wor", { fin: false })
        peer.socket.ping("q")
        peer.socket.send("ld", { fin: true })
        peer.socket.close(4000, "bye")
        const seen: Array<string> = []
        const error = yield* Effect.flip(
          socket.run(({ fin, opcode, payload }) => {
            seen.push(`${Opcode.toName(opcode)}${fin ? "" : "…"} ${Buffer.from(payload).toString("latin1")}`)
          })
        )
        assert.deepStrictEqual(seen, ["Pong p", "Text… wor", "Ping q", "Continuation ld", "Close \x0f\xa0bye"])
        assert.deepStrictEqual(facts(error), closedFacts(4000, "remote", true, "bye"))
        assert.deepStrictEqual(yield* peer.next, { _tag: "Pong", data: "q" })
        assert.deepStrictEqual(yield* peer.next, { _tag: "Close", data: "4000" })
      }).pipe(Effect.scoped)
    )

    it.live("leave pings and a Close to the app if the options say so", () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* open[role]({ delivery: "frames", answerPings: false, answerClose: false })
        peer.socket.ping("p")
        assert.strictEqual((yield* socket.receive).opcode, Opcode.Ping)
        yield* socket.send(Frame.pong("by hand"))
        assert.deepStrictEqual(yield* peer.next, { _tag: "Pong", data: "by hand" })
        peer.socket.close(4000)
        assert.strictEqual((yield* socket.receive).opcode, Opcode.Close)
        yield* socket.send(Frame.text("last words"))
        assert.deepStrictEqual(yield* peer.next, { _tag: "Message", data: "last words" })
        yield* socket.close(4001)
        assert.deepStrictEqual(yield* peer.next, { _tag: "Close", data: "4001" })
        const { clean, initiator } = yield* socket.closeStatus
        assert.deepStrictEqual([clean, initiator], [true, "remote"])
      }).pipe(Effect.scoped)
    )

    it.live("the end of the scope answers a Close, and closes inside a message", () =>
      Effect.gen(function* () {
        for (const closes of [true, false]) {
          const peer = yield* Deferred.make<Foreign>()
          const closed = yield* Effect.forkChild(
            Effect.flatMap(Deferred.await(peer), ({ next }) =>
              Effect.repeat(next, { until: ({ _tag }) => _tag === "Close" })
            )
          )
          yield* Effect.scoped(
            Effect.gen(function* () {
              const ends = yield* open[role]({ delivery: "frames", answerClose: false })
              yield* Deferred.succeed(peer, ends.peer)
              if (closes) {
                ends.peer.socket.close(4000)
                yield* ends.socket.receive
              }
              yield* ends.socket.send(Frame.text("begun", { fin: false }))
              yield* closes ? Effect.void : ends.socket.close()
            })
          )
          assert.deepStrictEqual(yield* Fiber.join(closed), { _tag: "Close", data: "1000" })
        }
      })
    )
  })
}

it.live("fromUpgrade takes a delivery", () =>
  Effect.gen(function* () {
    const http = Http.createServer()
    const accepted = yield* Deferred.make<Exit.Exit<void, unknown>>()
    const runFork = yield* Effect.map(Effect.runtime<never>(), () => Effect.runFork)
    http.on("upgrade", (request, socket, head) => {
      const echo = Effect.flatMap(
        NodeWebSocketServer.fromUpgrade(request, socket, head, { delivery: "frames", compression: true }),
        (connection) => connection.run((frame) => (Frame.isControl(frame) ? undefined : connection.send(frame)))
      )
      runFork(Effect.flatMap(Effect.exit(Effect.scoped(echo)), (exit) => Deferred.succeed(accepted, exit)))
    })
    const port = yield* listen(http)
    const peer = yield* wsClient(`ws://127.0.0.1:${port}`)
    yield* eventually(() => peer.socket.readyState === Ws.OPEN)
    assert.strictEqual(peer.socket.extensions, "")
    peer.socket.send("a", { fin: false })
    peer.socket.send("b", { fin: true })
    assert.deepStrictEqual(yield* peer.next, { _tag: "Message", data: "ab" })
    peer.socket.close(1000)
    assert.deepStrictEqual(yield* Deferred.await(accepted), Exit.void)
  }).pipe(Effect.scoped)
)
