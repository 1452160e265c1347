import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import * as Http from "node:http"
import type { Duplex } from "node:stream"
// Not exported by the package.
import { Effect, Queue } from "../../effect/index.js"
import { afterEach, assert, describe, it } from "../../effect/vitest.js"
import { hasEnded, upgradeAttempt } from "../../../src/node/internal/upgradeAttempt.js"
import {
  eventually,
  header,
  listen,
  mebibyte,
  noHandlesLeft,
  rawClient,
  readResponse,
  settled,
  start,
  upgradeRequest
} from "../support.js"

afterEach(noHandlesLeft)

/** An attempt as Node's HTTP server hands it over, its socket, and the client that made it. */
const attempted = (behind = "") =>
  Effect.gen(function* () {
    const upgrades = yield* Queue.unbounded<readonly [Http.IncomingMessage, Duplex, Buffer]>()
    const server = Http.createServer()
    server.on("upgrade", (...upgrade) => Queue.offerUnsafe(upgrades, upgrade))
    const peer = yield* rawClient(yield* listen(server))
    peer.write(upgradeRequest({ "X-Twice": ["1", "2"] }) + behind)
    const [request, socket, head] = yield* Queue.take(upgrades)
    return { attempt: upgradeAttempt(request, socket, head), peer, request, socket }
  })

describe("upgradeAttempt", () => {
  it.live("has the request, with duplicates visible", () =>
    Effect.gen(function* () {
      const { attempt } = yield* attempted()
      assert.strictEqual(attempt.request.method, "GET")
      assert.strictEqual(attempt.request.url, "/chat?room=1")
      assert.strictEqual(attempt.request.httpVersion, "1.1")
      assert.deepStrictEqual(HeaderField.values(attempt.request.headers, "x-twice"), ["1", "2"])
      assert.strictEqual(attempt.remoteAddress, "127.0.0.1")
      assert.isFalse(attempt.isGone())
    })
  )

  it.live("answers 101, and begins right behind the request", () =>
    Effect.gen(function* () {
      const { attempt, peer } = yield* attempted("early ")
      const transport = attempt.upgrade({ Upgrade: "websocket", "X-Twice": ["1", "2"] })
      const sink = start(transport)
      assert.strictEqual(
        yield* peer.until("\r\n\r\n"),
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX-Twice: 1\r\nX-Twice: 2\r\n\r\n"
      )
      peer.write("late")
      yield* sink.received("early late")
      transport.write([Buffer.from("answer")])
      assert.strictEqual(yield* peer.until("answer"), "answer")
      transport.abort()
      yield* sink.event("close")
      assert.isTrue(attempt.isGone())
    })
  )

  it.live("rejects with a whole answer, whatever the client still sends", () =>
    Effect.gen(function* () {
      const { attempt, peer, socket } = yield* attempted("behind the request")
      peer.write(Buffer.alloc(4 * mebibyte))
      attempt.reject(426, { "Sec-WebSocket-Version": "13" }, "no ✗")
      const response = yield* readResponse(peer)
      assert.strictEqual(response.status, 426)
      assert.strictEqual(header(response.head, "Connection"), "close")
      assert.strictEqual(header(response.head, "Sec-WebSocket-Version"), "13")
      assert.strictEqual(response.body, "no ✗\n")
      peer.end()
      yield* peer.closed
      assert.strictEqual(peer.error, undefined)
      yield* eventually(() => socket.destroyed)
    })
  )

  it.live("survives a client that goes away, before and after the answer", () =>
    Effect.gen(function* () {
      for (const answer of ["upgrade", "reject", "none"] as const) {
        for (const when of ["before", "after"] as const) {
          const { attempt, peer, socket } = yield* attempted()
          const leave = () => {
            peer.reset()
            return eventually(() => socket.destroyed)
          }
          if (when === "before") {
            yield* leave()
            assert.isTrue(attempt.isGone())
          }
          if (answer === "reject") attempt.reject(400, {}, "no")
          if (answer === "upgrade") {
            const sink = start(attempt.upgrade({}))
            if (when === "after") yield* leave()
            yield* sink.event("close")
          } else if (when === "after") yield* leave()
        }
      }
    })
  )

  it.live("drops a client whose end came while nobody watched for it", () =>
    Effect.gen(function* () {
      const { attempt, peer, socket } = yield* attempted()
      peer.end()
      yield* eventually(() => hasEnded(socket))
      assert.isFalse(socket.destroyed)
      assert.isTrue(attempt.isGone())
      yield* peer.closed
    })
  )

  it.live("reports an end while nobody reads, and otherwise keeps the bytes before it", () =>
    Effect.gen(function* () {
      for (const sent of ["", "a frame"]) {
        const { attempt, peer, socket } = yield* attempted()
        let gone = 0
        attempt.onGone?.(() => gone++)
        peer.write(sent)
        peer.end()
        yield* eventually(() => gone > 0 && socket.destroyed)
        assert.strictEqual(gone, 1)
        assert.isTrue(attempt.isGone())
      }
      const { attempt, peer, socket } = yield* attempted("early ")
      attempt.onGone?.(() => assert.fail("The client is there"))
      const sent = "x".repeat(4 * mebibyte)
      peer.write(sent)
      yield* eventually(() => socket.readableLength >= socket.readableHighWaterMark)
      yield* settled(() => socket.readableLength)
      assert.isBelow(socket.readableLength, mebibyte)
      const sink = start(attempt.upgrade({}))
      peer.end()
      yield* sink.event("eof")
      assert.strictEqual(sink.bytes.toString(), `early ${sent}`)
      assert.strictEqual(socket.listenerCount("readable") + socket.listenerCount("newListener"), 0)
      assert.deepStrictEqual(
        ["error", "close", "end"].map((event) => socket.listenerCount(event) > 2),
        [false, false, false]
      )
      yield* Effect.sync(() => socket.destroy())
    })
  )

  it.live("leaves bytes that were read to another reader of the socket", () =>
    Effect.gen(function* () {
      const { attempt, peer, socket } = yield* attempted()
      attempt.onGone?.(() => assert.fail("It is another's"))
      peer.write("for you")
      yield* eventually(() => socket.readableLength > 0)
      const chunks: Array<string> = []
      socket.on("data", (chunk) => chunks.push(String(chunk)))
      yield* eventually(() => chunks.join("") === "for you")
      peer.end()
      yield* eventually(() => socket.readableEnded)
      assert.isFalse(socket.destroyed)
    })
  )

  it.live("is gone if the end came before it", () =>
    Effect.gen(function* () {
      const { peer, request, socket } = yield* attempted()
      peer.end()
      socket.resume()
      yield* eventually(() => socket.readableEnded)
      assert.isTrue(upgradeAttempt(request, socket, Buffer.alloc(0)).isGone())
      yield* eventually(() => socket.destroyed)
    })
  )
})
