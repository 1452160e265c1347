/** Connections over `MockTransport`, raw peers, and what went over the wire. */
import * as MockTransport from "@effect-websocket/platform/MockTransport"
import type { Transport } from "@effect-websocket/platform/Transport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import { assert } from "@effect/vitest"
import type { Delivery } from "@effect-websocket/protocol/Connection"
import type * as Frame from "@effect-websocket/protocol/Frame"
import { frames } from "@effect-websocket/protocol/FrameDecoder"
import { finalizersOf } from "../src/internal/effect.js"
import { Cause, Effect, Exit, Fiber, type Scope } from "./effect/index.js"
import { deafSink, other, sentTo, show, type Role } from "./engine/support.js"

export * from "./engine/support.js"

/** Gives everything that is ready its turns. */
export const settled = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

/** Behind what was put off to the end of the turn: equal timers fire in the order in which they were set. */
export const settledLate = Effect.andThen(
  settled,
  Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)))
)

export const isPending = <A, E>(fiber: Fiber.Fiber<A, E>) =>
  Effect.map(Effect.andThen(settled, Fiber.poll(fiber)), (exit) => exit._tag === "None")

export const isInterrupted = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)

export const isDefect = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && Cause.hasDies(exit.cause)

/** How many finalizers a scope has. */
export const finalizersIn = (scope: Scope.Scope): number => {
  const finalizers = finalizersOf(scope)
  assert(finalizers !== undefined)
  return finalizers === "closed" ? 0 : finalizers.size
}

/** How a connection ended: the codes of both Closes, who began, whether it was clean. */
export const outcome = ({ clean, initiator, received, sent }: WebSocket.CloseStatus) => [
  sent?.code,
  received?.code,
  initiator,
  clean
]

/** The direction from an endpoint to its peer. */
export const from = (pair: MockTransport.Pair, role: Role): MockTransport.Direction =>
  role === "client" ? pair.clientToServer : pair.serverToClient

/** A request to upgrade that nothing is wrong with. */
export const upgradeRequest = {
  method: "GET",
  url: "/",
  httpVersion: "1.1",
  headers: {
    host: "test",
    upgrade: "websocket",
    connection: "upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="
  }
}

export const framesFrom = (pair: MockTransport.Pair, role: Role) =>
  Effect.map(from(pair, role).written, (bytes) => {
    const { frames: found, violation } = frames({ role: other(role) })(bytes)
    assert.isUndefined(violation)
    return found
  })

/** What an endpoint wrote, a line for each frame: `Text hello`, `Close 1000 bye`. */
export const wrote = (pair: MockTransport.Pair, role: Role) =>
  Effect.map(framesFrom(pair, role), (found) => found.map(show))

/** Both endpoints of a pair, in the scope. What is left of them at its end is dropped. */
export const connected = <D extends Delivery = "messages">(
  options?: WebSocket.Options & WebSocket.DeliveryOptions<D>
) =>
  Effect.gen(function* () {
    const pair = yield* MockTransport.make()
    const client = yield* WebSocket.fromTransport(pair.client, { role: "client", ...options })
    const server = yield* WebSocket.fromTransport(pair.server, { role: "server", ...options })
    yield* Effect.addFinalizer(() => pair.reset)
    return { pair, client, server }
  })

const marks = { high: 65536, low: 16384 }

/** A peer that reads everything and says nothing. What it sends is injected; what it sees is told. */
export const deafPeer = (pair: MockTransport.Pair, role: Role): ReadonlyArray<string> => {
  const seen: Array<string> = []
  pair[role].start(
    {
      ...deafSink,
      onEof: () => seen.push("eof"),
      onError: () => seen.push("error"),
      onClose: () => seen.push("close")
    },
    marks
  )
  return seen
}

/** An endpoint whose peer is deaf, and gone at the end of the scope so that no closing handshake is awaited then. */
export const alone = <D extends Delivery = "messages">(
  role: Role,
  options?: WebSocket.Options & WebSocket.DeliveryOptions<D>
) =>
  Effect.gen(function* () {
    const pair = yield* MockTransport.make()
    const seen = deafPeer(pair, other(role))
    const spied = spy(pair[role])
    const socket = yield* WebSocket.fromTransport(spied.transport, { role, ...options })
    yield* Effect.addFinalizer(() => pair.reset)
    const inbound = from(pair, other(role))
    return {
      pair,
      socket,
      seen,
      spied,
      inject: (...input: ReadonlyArray<Frame.Frame>) => inbound.inject(sentTo(role, ...input)),
      injectBytes: inbound.inject,
      /** The end of what the peer sends. */
      eof: inbound.end,
      wrote: wrote(pair, role)
    }
  })

/** A transport that tells what is asked of it. */
export const spy = (transport: Transport) => {
  const writes: Array<number> = []
  const calls: Array<"pause" | "resume" | "end" | "abort"> = []
  const state = { received: 0, afterChunk: () => {} }
  const spied: Transport = {
    remoteAddress: transport.remoteAddress,
    get bufferedBytes() {
      return transport.bufferedBytes
    },
    start: (sink, marks) =>
      transport.start(
        {
          onChunk: (chunk, owned) => {
            state.received += chunk.length
            sink.onChunk(chunk, owned)
            state.afterChunk()
          },
          onEof: () => sink.onEof(),
          onDrain: () => sink.onDrain(),
          onError: (error) => sink.onError(error),
          onClose: () => sink.onClose()
        },
        marks
      ),
    pause: () => {
      calls.push("pause")
      transport.pause()
    },
    resume: () => {
      calls.push("resume")
      transport.resume()
    },
    write: (chunks) => {
      writes.push(chunks.reduce((size, chunk) => size + chunk.length, 0))
      return transport.write(chunks)
    },
    end: () => {
      calls.push("end")
      transport.end()
    },
    abort: () => {
      calls.push("abort")
      transport.abort()
    }
  }
  return { transport: spied, writes, calls, state }
}
