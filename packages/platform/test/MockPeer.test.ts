import * as MockPeer from "@effect-websocket/platform/MockPeer"
import * as MockTransport from "@effect-websocket/platform/MockTransport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import { ExpectationFailed } from "@effect-websocket/platform/WebSocketTest"
import * as Frame from "@effect-websocket/protocol/Frame"
import { encode } from "@effect-websocket/protocol/FrameEncoder"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import { Cause, Effect, Exit, Fiber, Scope } from "./effect/index.js"
import { assert, describe, it } from "./effect/vitest.js"
import { closedError, deafPeer, facts, fields, isPending, other, outcome, roles, settled, utf8 } from "./support.js"

/** A peer of a socket that plays the given role. */
const peerOf = (role: WebSocketRole) =>
  Effect.gen(function* () {
    const pair = yield* MockTransport.make()
    const socket = yield* WebSocket.fromTransport(pair[role], { role })
    const peer = yield* MockPeer.fromTransport(pair[other(role)], { role: other(role) })
    return { pair, socket, peer }
  })
type WebSocketRole = (typeof roles)[number]

/** The message of an expectation that fails. */
const failure = (effect: Effect.Effect<unknown>) =>
  Effect.map(Effect.sandbox(Effect.flip(Effect.sandbox(effect))), (cause) => {
    const defect = Cause.squash(cause)
    assert.instanceOf(defect, ExpectationFailed)
    return defect.message
  })

for (const role of roles) {
  describe(`a peer of a ${role}`, () => {
    it.effect("sends frames that the other side reads, and reads its frames in order", () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* peerOf(role)
        yield* peer.send(Frame.text("hel", { fin: false }), Frame.ping("?"), Frame.continuation("lo"))
        assert.strictEqual((yield* socket.receive).data, "hello")
        yield* socket.send("one")
        yield* socket.send(Uint8Array.of(2))
        yield* peer.expectFrame(Frame.pong("?"))
        const { masked, ...first } = yield* peer.receive
        assert.deepStrictEqual(
          [masked, first],
          [role === "client", { fin: true, rsv: 0, opcode: Opcode.Text, payload: utf8("one") }]
        )
        const second = yield* peer.expectFrame((frame) => frame.payload[0] === 2)
        assert.strictEqual(second.opcode, Opcode.Binary)
      })
    )

    it.effect("sends all frames of one call in one chunk", () =>
      Effect.gen(function* () {
        const pair = yield* MockTransport.make()
        const chunks: Array<number> = []
        const sink = { onEof: () => {}, onDrain: () => {}, onError: () => {}, onClose: () => {} }
        pair[role].start({ ...sink, onChunk: (chunk) => chunks.push(chunk.length) }, { high: 1, low: 0 })
        const peer = yield* MockPeer.fromTransport(pair[other(role)], { role: other(role) })
        yield* peer.send(Frame.text("a"), Frame.text("b"))
        yield* peer.send(Frame.text("c"))
        yield* settled
        assert.deepStrictEqual(chunks, role === "client" ? [6, 3] : [14, 7])
      })
    )

    it.effect("breaks the rules if the test does", () =>
      Effect.gen(function* () {
        for (const [broken, closeCode] of [
          [(peer) => peer.send(Frame.make(Opcode.Text, { rsv: 4 })), 1002],
          [(peer) => peer.send(Frame.make(0x3)), 1002],
          [(peer) => peer.send(Frame.make(Opcode.Ping, { payload: new Uint8Array(126) })), 1002],
          [(peer) => peer.send(Frame.continuation("")), 1002],
          [(peer) => peer.send(Frame.make(Opcode.Text, { payload: Uint8Array.of(0xff) })), 1007],
          // The mask of the wrong role.
          [(peer) => peer.sendBytes(encode(Frame.text("a"), role === "client" ? 1 : undefined)), 1002],
          [(peer) => peer.sendBytes(Uint8Array.of(0xff, 0xff)), 1002],
          [(peer) => peer.sendClose(1005), 1002],
          [(peer) => peer.sendClose(undefined, "x"), 1002]
        ] satisfies ReadonlyArray<[(peer: MockPeer.MockPeer) => Effect.Effect<void>, number]>) {
          const { peer, socket } = yield* peerOf(role)
          yield* broken(peer)
          yield* peer.expectClose({ code: closeCode })
          const error = yield* Effect.flip(socket.receive)
          assert.strictEqual(error._tag, "Protocol_error")
          yield* peer.abort
        }
      })
    )

    it.effect("answers nothing by itself", () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* peerOf(role)
        const ping = yield* Effect.forkChild(socket.ping())
        const closing = yield* Effect.forkChild(socket.close(1001, "bye"))
        yield* peer.expectFrame((frame) => frame.opcode === Opcode.Ping)
        assert.deepStrictEqual(yield* peer.expectClose({ code: "GoingAway", reason: "bye" }), {
          code: 1001,
          reason: "bye"
        })
        assert.deepStrictEqual([yield* isPending(ping), yield* isPending(closing)], [true, true])
      })
    )

    it.effect("answers a Close if asked to, and ends the connection as its role requires", () =>
      Effect.gen(function* () {
        for (const code of [1000, 4000]) {
          const { peer, socket } = yield* peerOf(role)
          const closing = yield* Effect.forkChild(socket.close(code, "why"))
          assert.deepStrictEqual(yield* peer.answerClose({ code }), { code, reason: "why" })
          yield* Fiber.join(closing)
          assert.deepStrictEqual(outcome(yield* socket.closeStatus), [code, code, "local", true])
        }
      })
    )

    it.effect("begins to close, with any code", () =>
      Effect.gen(function* () {
        for (const [code, received] of [
          [undefined, 1005],
          [4000, 4000]
        ] as const) {
          const { peer, socket } = yield* peerOf(role)
          yield* peer.sendClose(code)
          assert.deepStrictEqual(fields(yield* Effect.flip(socket.receive)), closedError(received, "remote", true))
          assert.deepStrictEqual(yield* peer.expectClose(), { code: received, reason: "" })
          if (role === "server") yield* peer.expectEnd
          yield* peer.end
          assert.deepStrictEqual(outcome(yield* socket.closeStatus), [received, received, "remote", true])
        }
      })
    )

    it.effect("half-closes and aborts, and expects both of the other side", () =>
      Effect.gen(function* () {
        const ending = yield* peerOf(role)
        yield* ending.peer.end
        yield* ending.peer.expectEnd
        assert.deepStrictEqual(fields(yield* Effect.flip(ending.socket.receive)), closedError(1006, "remote", false))

        const breaking = yield* peerOf(role)
        yield* breaking.peer.abort
        assert.deepStrictEqual(facts(yield* Effect.flip(breaking.socket.receive)), {
          _tag: "Io_error",
          reason: "Reset",
          operation: "read"
        })
        assert.strictEqual(yield* failure(breaking.peer.receive), "Expected a frame, but got a connection that is over")

        const broken = yield* peerOf(role)
        yield* broken.socket.abort
        yield* broken.peer.expectReset
      })
    )

    it.effect("reports what came instead", () =>
      Effect.gen(function* () {
        const { pair, peer, socket } = yield* peerOf(role)
        const cases: ReadonlyArray<[Effect.Effect<unknown>, string]> = [
          [peer.expectFrame(Frame.ping()), "Expected the frame Ping fin 0 bytes"],
          [peer.expectFrame(Frame.text("other")), 'Expected a Text frame "other"'],
          [peer.expectFrame(() => false), "Expected a frame that the predicate accepts"],
          [peer.expectFrame(Frame.text("sent", { fin: false })), "Expected the frame Text 4 bytes 73 65 6e 74"],
          [
            peer.expectFrame(Frame.make(Opcode.Text, { rsv: 1, payload: utf8("sent") })),
            "Expected the frame Text fin rsv3 4 bytes 73 65 6e 74"
          ],
          [
            peer.expectFrame(function isPong() {
              return false
            }),
            "Expected a frame that isPong accepts"
          ],
          [peer.expectClose(), "Expected a Close frame"],
          [peer.expectClose({ code: 1000, reason: "bye" }), 'Expected a Close frame with code 1000 and reason "bye"'],
          [peer.answerClose({ reason: "bye" }), 'Expected a Close frame with reason "bye"']
        ]
        for (const [expectation, expected] of cases) {
          yield* socket.send("sent")
          assert.strictEqual(yield* failure(expectation), `${expected}, but got a Text frame "sent"`)
        }
        yield* socket.send("sent")
        assert.strictEqual(
          yield* failure(peer.expectEnd),
          'Expected the end of what the other side sends, but got a Text frame "sent"'
        )
        assert.strictEqual(
          yield* failure(peer.expectReset),
          'Expected a connection that the other side broke, but got a Text frame "sent"'
        )
        // The frame that came instead of an end has not been taken.
        yield* peer.expectFrame(Frame.text("sent"))

        const closing = yield* Effect.forkChild(socket.close(1008, "no"))
        assert.strictEqual(
          yield* failure(peer.expectClose({ code: 1000 })),
          'Expected a Close frame with code 1000, but got a Close frame 1008 "no"'
        )
        yield* pair.reset
        yield* Fiber.join(closing)
        assert.strictEqual(
          yield* failure(peer.receive),
          "Expected a frame, but got a connection that the other side broke"
        )
        assert.strictEqual(
          yield* failure(peer.expectEnd),
          "Expected the end of what the other side sends, but got a connection that the other side broke"
        )
      })
    )

    it.effect("reports that nothing more comes", () =>
      Effect.gen(function* () {
        const ended = yield* peerOf(role)
        yield* ended.pair[role === "client" ? "clientToServer" : "serverToClient"].end
        assert.strictEqual(
          yield* failure(ended.peer.receive),
          "Expected a frame, but got the end of what the other side sends"
        )
        assert.strictEqual(
          yield* failure(ended.peer.expectReset),
          "Expected a connection that the other side broke, but got the end of what the other side sends"
        )
        const wrong = yield* peerOf(role)
        yield* wrong.pair[role === "client" ? "clientToServer" : "serverToClient"].inject(Uint8Array.of(0x83, 0))
        assert.strictEqual(
          yield* failure(wrong.peer.receive),
          "Expected a frame, but got a violation of the protocol: The opcode 0x3 is reserved (RFC 6455 §5.2)"
        )
      })
    )

    it.effect("loses no frame if a wait is interrupted", () =>
      Effect.gen(function* () {
        const { peer, socket } = yield* peerOf(role)
        const waiting = yield* Effect.forkChild(peer.receive)
        assert.isTrue(yield* isPending(waiting))
        yield* socket.send("kept")
        yield* Fiber.interrupt(waiting)
        yield* peer.expectFrame(Frame.text("kept"))
      })
    )

    it.effect("breaks the connection at the end of its scope, also if it was made before the socket", () =>
      Effect.gen(function* () {
        const pair = yield* MockTransport.make()
        const scope = yield* Scope.make()
        yield* MockPeer.fromTransport(pair[other(role)], { role: other(role) }).pipe(Scope.provide(scope))
        const socket = yield* WebSocket.fromTransport(pair[role], { role }).pipe(Scope.provide(scope))
        yield* Scope.close(scope, Exit.void)
        const status = yield* socket.closeStatus
        assert.isFalse(status.clean)

        const late = yield* MockTransport.make()
        const seen = deafPeer(late, role)
        yield* MockPeer.fromTransport(late[other(role)], { role: other(role) }).pipe(Scope.provide(scope))
        yield* settled
        assert.deepStrictEqual(seen, ["error", "close"])
      })
    )
  })
}
