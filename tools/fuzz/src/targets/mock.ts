import * as MockTransport from "@effect-websocket/platform/MockTransport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import * as Connection from "@effect-websocket/protocol/Connection"
import type { Role } from "@effect-websocket/protocol/FrameDecoder"
import { Cause, Effect, Exit, Fiber, Option, TestClock, TestContext } from "effect"
import { check, facts, same } from "../check.js"
import { cuts, Input } from "../Input.js"
import { anyStream } from "../stream.js"

const settled = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

type Received = readonly [tag: string, data: string | Uint8Array]

/** What the state machine alone makes of the bytes. */
const expected = (role: Role, limits: Partial<Connection.Limits>, sent: Uint8Array) => {
  const connection = Connection.make(role === "client" ? { role, limits, maskKey: () => 0 } : { role, limits })
  const events = [...connection.receive(sent), ...connection.settle(), ...connection.receiveEof()]
  const messages = events.flatMap((event): ReadonlyArray<Received> =>
    event._tag === "Text" || event._tag === "Binary" ? [[event._tag, copyOf(event.data)]] : []
  )
  return { messages, error: connection.error }
}

const copyOf = (data: string | Uint8Array): string | Uint8Array =>
  typeof data === "string" ? data : Uint8Array.from(data)

/**
 * Bytes through a transport, the driver, the inbox and the app: the same messages and the same error as from the state
 * machine alone, and nothing that lives on.
 */
export const mock = async (bytes: Uint8Array): Promise<void> => {
  const input = new Input(bytes)
  const role = input.pick<Role>(["client", "server"])
  const limits = {
    maxMessageBytes: input.pick([1024 * 1024, 5, 125, 1000, 65535]),
    maxFragments: input.pick([1024, 1, 2, 5])
  }
  const receiveHighWaterMark = input.pick([undefined, 1, 100])
  const suspends = input.flag()
  const cut = cuts(input)
  const sent = anyStream(input, role)

  const program = Effect.scoped(
    Effect.gen(function* () {
      const pair = yield* MockTransport.make()
      yield* Effect.addFinalizer(() => pair.reset)
      const socket = yield* WebSocket.fromTransport(pair[role], { role, limits, receiveHighWaterMark })
      const peer = role === "client" ? pair.server : pair.client
      peer.start(
        { onChunk: () => {}, onEof: () => {}, onDrain: () => {}, onError: () => {}, onClose: () => {} },
        { high: 65536, low: 16384 }
      )
      const inbound = role === "client" ? pair.serverToClient : pair.clientToServer
      const received: Array<Received> = []
      const running = yield* Effect.fork(
        socket.run((message) => {
          received.push([message._tag, copyOf(message.data)])
          return suspends ? Effect.yieldNow() : Effect.void
        })
      )
      for (const piece of cut(sent)) yield* inbound.inject(piece)
      yield* inbound.end
      const over = yield* Effect.fork(socket.closeStatus)
      yield* Effect.repeat(Effect.zipRight(settled, Fiber.poll(over)), { until: Option.isSome, times: 5 })
      yield* TestClock.adjust("1 minute")
      yield* settled
      const status = yield* Fiber.poll(over)
      check(Option.isSome(status), "the end of input does not end the connection")
      check(Exit.isSuccess(status.value), "the end is not told")
      const exit = yield* Fiber.await(running)
      check(Exit.isSuccess(exit) || !Cause.isDie(exit.cause), `the app dies: ${String(exit)}`)
      return { received, error: status.value.value.error }
    })
  ).pipe(Effect.provide(TestContext.TestContext))

  const { error, received } = await Effect.runPromise(program)
  const alone = expected(role, limits, sent)
  same(received, alone.messages, "the messages differ from those of the state machine")
  check(alone.error !== undefined, "the state machine has not ended")
  same(facts(error), facts(alone.error), "the error differs from that of the state machine")
}
