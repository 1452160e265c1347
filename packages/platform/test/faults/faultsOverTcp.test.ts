/** Faults between a client and a server of ours, over TCP. */
import type * as WebSocket from "@effect-websocket/platform/WebSocket"
import { Effect, Fiber, Scope, Exit } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { connect, eventually, mebibyte, noHandlesLeft, serve } from "../node/support.js"
import { assertOver, assertPrefix, messages, plain, watch, type Data, type Watched } from "./session.js"
import * as TcpProxy from "./TcpProxy.js"

afterEach(noHandlesLeft)

const closeTimeout = "100 millis" as const
const options = { closeTimeout, maxFrameSize: 20, limits: { maxFragments: 1_000_000, maxMessageBytes: 4 * mebibyte } }

interface Side {
  readonly socket: WebSocket.WebSocket
  readonly watched: Watched
}

/** A server behind a proxy; `open` makes a connection through it, in a scope of its own. */
const behindProxy = Effect.gen(function* () {
  const server = yield* serve(options)
  const proxy = yield* TcpProxy.make(server.address.port)
  const open = (conditions: Parameters<typeof proxy.prepare>[0] = {}) =>
    Effect.gen(function* () {
      proxy.prepare(conditions)
      // The server answers when its app takes the connection.
      const [socket, accepted] = yield* Effect.all(
        [connect(`ws://127.0.0.1:${proxy.port}`, options), server.accept()],
        {
          concurrency: "unbounded"
        }
      )
      const client: Side = { socket, watched: yield* watch(socket) }
      const peer: Side = { socket: accepted, watched: yield* watch(accepted) }
      return { link: yield* proxy.nextLink, client, server: peer }
    })
  return { open }
})

const sendAll = (socket: WebSocket.WebSocket, data: ReadonlyArray<Data>) =>
  Effect.forEach(data, (message) => socket.send(message), { discard: true })

const arrived = (side: Side, count: number) => eventually(() => side.watched.received.length >= count)

const bothClosed = ({ client, server }: { readonly client: Side; readonly server: Side }) =>
  Effect.gen(function* () {
    for (const { socket, watched } of [client, server]) {
      yield* socket.closeStatus
      yield* assertOver(socket, watched)
    }
  })

const everything = messages.map(plain)

/** Both say everything, and then the client closes. */
const whole = (opened: { readonly client: Side; readonly server: Side }) =>
  Effect.gen(function* () {
    const { client, server } = opened
    yield* sendAll(client.socket, messages)
    yield* sendAll(server.socket, messages)
    yield* arrived(client, messages.length)
    yield* client.socket.close(1000)
    yield* bothClosed(opened)
    assert.deepStrictEqual(client.watched.received, everything)
    assert.deepStrictEqual(server.watched.received, everything)
    assert.isTrue((yield* client.socket.closeStatus).clean)
    assert.isTrue((yield* server.socket.closeStatus).clean)
  })

describe("nothing is lost", () => {
  for (const [name, conditions] of [
    ["byte by byte", { pieceBytes: 1 }],
    ["in pieces of three bytes, late", { pieceBytes: 3, turns: 2 }],
    ["late", { turns: 20 }]
  ] as const) {
    it.live(name, () =>
      Effect.gen(function* () {
        const { open } = yield* behindProxy
        yield* Effect.scoped(Effect.flatMap(open({ client: conditions, server: conditions }), whole))
      })
    )
  }

  for (const stalled of ["client", "server"] as const) {
    it.live(`behind a stall of the bytes from the ${stalled}, with more than the buffers hold`, () =>
      Effect.gen(function* () {
        const { open } = yield* behindProxy
        yield* Effect.scoped(
          Effect.gen(function* () {
            const opened = yield* open()
            const [from, to] = stalled === "client" ? [opened.client, opened.server] : [opened.server, opened.client]
            opened.link.change(stalled, { stalled: true })
            const chunks = Array.from({ length: 5 }, (_, i) => new Uint8Array(2 * mebibyte).fill(i))
            const sending = yield* Effect.forkChild(sendAll(from.socket, chunks))
            // A stall in one direction holds up nothing in the other.
            yield* sendAll(to.socket, messages)
            yield* arrived(from, messages.length)
            assert.strictEqual(to.watched.received.length, 0)
            assert.isTrue(Fiber.pollUnsafe(sending) === undefined)
            opened.link.change(stalled, { stalled: false })
            yield* Fiber.join(sending)
            yield* arrived(to, chunks.length)
            const seen = to.watched.received.map((message) => [message.length, message[0], message.at(-1)])
            assert.deepStrictEqual(
              seen,
              chunks.map(({ length }, i) => [length, i, i])
            )
          })
        )
      })
    )
  }
})

/** A few bytes of session, so that every one of them can be the last. */
const short: ReadonlyArray<Data> = ["a€", Uint8Array.of(1, 2, 3), "", "more than twenty characters, so two frames"]

for (const from of ["client", "server"] as const) {
  // A header of two bytes, four more of a mask, and the payloads; the last message takes three frames.
  const header = from === "client" ? 6 : 2
  const sizes = [4 + header, 3 + header, header, 42 + 3 * header]
  const total = sizes.reduce((sum, size) => sum + size, 0)

  for (const cut of ["end", "reset"] as const) {
    describe(`the bytes from the ${from} are cut off by a ${cut}`, () => {
      it.live("behind every byte", () =>
        Effect.gen(function* () {
          const { open } = yield* behindProxy
          for (let cutAfter = 0; cutAfter < total; cutAfter++) {
            const scope = yield* Scope.make()
            const opened = yield* Scope.provide(open(), scope)
            const [own, peer] = from === "client" ? [opened.client, opened.server] : [opened.server, opened.client]
            opened.link.change(from, { cutAfter, cut })
            yield* Effect.ignore(sendAll(own.socket, short))
            const { clean } = yield* peer.socket.closeStatus
            assert.isFalse(clean)
            yield* assertOver(peer.socket, peer.watched)
            let passed = 0
            const count = sizes.filter((size) => (passed += size) <= cutAfter).length
            if (cut === "end") assert.deepStrictEqual(peer.watched.received, short.slice(0, count).map(plain))
            // A RST may overtake what was on its way.
            else assertPrefix(peer.watched.received, short.slice(0, count).map(plain))
            yield* Scope.close(scope, Exit.void)
            yield* assertOver(own.socket, own.watched)
          }
        })
      )
    })
  }
}

describe("both sides learn of it", () => {
  it.live("if the connection is reset in the middle of large messages", () =>
    Effect.gen(function* () {
      const { open } = yield* behindProxy
      yield* Effect.scoped(
        Effect.gen(function* () {
          const opened = yield* open()
          const large = Array.from({ length: 4 }, (_, i) => new Uint8Array(mebibyte).fill(i))
          const sending = yield* Effect.forkChild(
            Effect.exit(sendAll(opened.client.socket, [...large, ...large, ...large]))
          )
          yield* arrived(opened.server, 1)
          opened.link.reset()
          yield* bothClosed(opened)
          yield* Fiber.join(sending)
          for (const [i, message] of opened.server.watched.received.entries()) {
            assert.deepStrictEqual([message.length, message[0], message.at(-1)], [mebibyte, i % 4, i % 4])
          }
        })
      )
    })
  )
})

describe("a Close and data on their way", () => {
  for (const first of ["client", "server"] as const) {
    it.live(`cross if the ${first} closes and its Close is held up`, () =>
      Effect.gen(function* () {
        const { open } = yield* behindProxy
        yield* Effect.scoped(
          Effect.gen(function* () {
            const opened = yield* open()
            const [own, peer] = first === "client" ? [opened.client, opened.server] : [opened.server, opened.client]
            yield* sendAll(own.socket, ["before"])
            yield* arrived(peer, 1)
            opened.link.change(first, { stalled: true })
            const closing = yield* Effect.forkChild(own.socket.close(4000))
            yield* eventually(() => Fiber.pollUnsafe(closing) === undefined)
            yield* sendAll(peer.socket, messages)
            opened.link.change(first, { stalled: false })
            yield* Fiber.join(closing)
            yield* bothClosed(opened)
            assertPrefix(own.watched.received, everything)
            assert.deepStrictEqual(peer.watched.received, ["before"])
            assert.isTrue((yield* peer.socket.closeStatus).clean)
          })
        )
      })
    )
  }
})
