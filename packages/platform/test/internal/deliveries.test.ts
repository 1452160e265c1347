import * as MockTransport from "@effect-websocket/platform/MockTransport"
import { NodeZlib } from "@effect-websocket/platform/node"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as WebSocketTest from "@effect-websocket/platform/WebSocketTest"
import type { Delivery } from "@effect-websocket/protocol/Connection"
import * as Frame from "@effect-websocket/protocol/Frame"
import { Option } from "effect"
import { Cause, Effect, Exit, Fiber, Layer, type Scope, Stream } from "../effect/index.js"
import { assert, describe, it } from "../effect/vitest.js"
import { resolveMode, settingsFor } from "../../src/internal/deliveries.js"
import { FrameWebSocketImpl } from "../../src/internal/FrameWebSocketImpl.js"
import { MessageWebSocketImpl } from "../../src/internal/MessageWebSocketImpl.js"
import { resolve } from "../../src/internal/settings.js"
import { StreamingWebSocketImpl } from "../../src/internal/StreamingWebSocketImpl.js"
import { utf8 } from "../support.js"

const invalid: ReadonlyArray<WebSocket.DeliveryOptions<Delivery>> = [
  { answerPings: true },
  { answerClose: false },
  { delivery: "messages", answerPings: false },
  { delivery: "streams", answerClose: true },
  { delivery: "streams", recordFrames: true },
  { delivery: "frames", recordFrames: false },
  { rsv: 4 },
  { delivery: "streams", rsv: 0 },
  { delivery: "messages", opcodes: [3] },
  ...[-1, 8, 1.5, NaN].map((rsv) => ({ delivery: "frames" as const, rsv })),
  ...[2, 8, 16, 3.5, -1].map((opcode) => ({ delivery: "frames" as const, opcodes: [0xb, opcode] })),
  // It may come from somewhere that is not typed.
  { delivery: "frame" as Delivery },
  { delivery: "toString" as Delivery },
  { delivery: "" as Delivery }
]

describe("resolveMode", () => {
  it("is of messages by default", () => {
    assert.deepInclude(resolveMode({}), { delivery: "messages" })
    assert.deepInclude(resolveMode({ delivery: undefined, answerPings: undefined }), { delivery: "messages" })
    assert.deepInclude(resolveMode({ delivery: "streams" }), { delivery: "streams" })
    const frames = { delivery: "frames", answerPings: false, answerClose: false, rsv: 7, opcodes: [3, 15] } as const
    assert.deepInclude(resolveMode(frames), frames)
    assert.deepInclude(resolveMode({ recordFrames: true }), { delivery: "messages", recordFrames: true })
  })

  for (const options of invalid) {
    it(`refuses ${JSON.stringify(options)}`, () => {
      const name = Object.keys(options).find((name) => name !== "delivery") ?? "delivery"
      // The path of the option, which a `ConfigError` would have.
      assert.throws(() => resolveMode(options), RangeError, `${name} must `)
    })
  }
})

it("settingsFor takes the compression from frames only", () => {
  const settings = resolve({ compression: true }, NodeZlib.zlib)
  assert.isUndefined(settingsFor(settings, { delivery: "frames" }).compression)
  for (const delivery of ["messages", "streams"] as const)
    assert.strictEqual(settingsFor(settings, { delivery }), settings)
})

const isRangeDefect = (exit: Exit.Exit<unknown, unknown>): boolean =>
  Exit.isFailure(exit) && Option.exists(Cause.dieOption(exit.cause), (defect) => defect instanceof RangeError)

const layers = WebSocketTest.layerWith({ compression: true, zlib: NodeZlib.zlib })

describe("options of another delivery are a defect", () => {
  for (const options of invalid) {
    it.effect(`of fromTransport, connect, accept and run: ${JSON.stringify(options)}`, () =>
      Effect.gen(function* () {
        const pair = yield* MockTransport.make()
        const all: ReadonlyArray<
          Effect.Effect<
            unknown,
            unknown,
            WebSocketClient.WebSocketClient | WebSocketServer.WebSocketServer | Scope.Scope
          >
        > = [
          WebSocket.fromTransport(pair.client, { role: "client", ...options }),
          WebSocketClient.connect("ws://test", options),
          WebSocketServer.accept(options),
          WebSocketServer.run(() => Effect.void, options)
        ]
        for (const asked of all) assert.isTrue(isRangeDefect(yield* Effect.exit(asked)))
      }).pipe(Effect.provide(layers))
    )
  }
})

describe("one server", () => {
  const deliveries = {
    messages: MessageWebSocketImpl,
    streams: StreamingWebSocketImpl,
    frames: FrameWebSocketImpl
  }

  for (const client of ["messages", "streams", "frames"] as const) {
    it.effect(`accepts one connection after another as it likes; a client of ${client}`, () =>
      Effect.gen(function* () {
        for (const server of ["messages", "streams", "frames"] as const) {
          const both = yield* Effect.all(
            [
              WebSocketClient.connect("ws://test", { delivery: client, compression: true }),
              WebSocketServer.accept({ delivery: server })
            ],
            { concurrency: "unbounded" }
          )
          assert.isTrue(both[0] instanceof deliveries[client])
          assert.isTrue(both[1] instanceof deliveries[server])
          // Frames are not compressed, so that who asks for them negotiates nothing, on either side.
          const names = both.map(({ extensions }) => extensions.map(({ name }) => name))
          const expected = client === "frames" || server === "frames" ? [] : ["permessage-deflate"]
          assert.deepStrictEqual(names, [expected, expected])
          assert.strictEqual(both[1].request.url, "/")
        }
      }).pipe(Effect.provide(layers))
    )
  }

  it.effect("runs handlers of several deliveries beside accept", () =>
    Effect.gen(function* () {
      const text = "x".repeat(2000)
      const exchange = Effect.gen(function* () {
        const socket = yield* WebSocketClient.connect("ws://test")
        yield* socket.send(text)
        const { data } = yield* socket.receive
        yield* socket.close()
        return data
      }).pipe(Effect.scoped)
      const accepted = yield* Effect.forkChild(
        Effect.scoped(
          Effect.flatMap(WebSocketServer.accept(), (socket) => socket.run((message) => socket.send(message)))
        )
      )
      yield* Effect.yieldNow
      assert.strictEqual(yield* exchange, text)
      yield* Fiber.join(accepted)

      const streams = WebSocketServer.run(
        (socket) => Stream.runForEach(socket.messages, (message) => socket.sendStream(message)),
        { delivery: "streams" }
      )
      const frames = WebSocketServer.run(
        (socket) => socket.run((frame) => (Frame.isControl(frame) ? undefined : socket.send(frame))),
        { delivery: "frames" }
      )
      const messages = WebSocketServer.run((socket) => socket.run((message) => socket.send(message)))
      for (const run of [streams, frames, messages]) {
        const running = yield* Effect.forkChild(run)
        yield* Effect.yieldNow
        assert.strictEqual(yield* exchange, text)
        yield* Fiber.interrupt(running)
      }
      yield* Effect.forEach([streams, frames, messages], (run) => Effect.forkScoped(run))
      for (let i = 0; i < 6; i++) assert.strictEqual(yield* exchange, text)
    }).pipe(Effect.provide(layers))
  )

  it.effect("layerHandler takes a delivery", () =>
    Effect.gen(function* () {
      const socket = yield* WebSocketClient.connect("ws://test", { delivery: "frames" })
      yield* socket.send(Frame.binary(utf8("one"), { fin: false }))
      const { fin, opcode } = yield* socket.receive
      assert.deepStrictEqual([fin, opcode], [false, 2])
      yield* socket.send(Frame.continuation(utf8("two")))
      yield* socket.receive
    }).pipe(
      Effect.provide(
        Layer.provideMerge(
          WebSocketServer.layerHandler((socket) => socket.run((frame) => socket.send(frame)), { delivery: "frames" }),
          layers
        )
      )
    )
  )

  it.effect("streams carry compressed messages as one part, and sendStream compresses nothing", () =>
    Effect.gen(function* () {
      const [client, server] = yield* Effect.all(
        [
          WebSocketClient.connect("ws://test", {
            delivery: "streams",
            compression: true,
            limits: { maxMessageBytes: 10_000 }
          }),
          WebSocketServer.accept({ delivery: "messages" })
        ],
        { concurrency: "unbounded" }
      )
      yield* server.send("€".repeat(3000), { compress: true })
      const message = yield* client.receive
      assert.strictEqual(message._tag, "Text")
      const data: Stream.Stream<string | Uint8Array, unknown> = message.data
      assert.deepStrictEqual([...(yield* Stream.runCollect(data))], ["€".repeat(3000)])
      yield* client.sendStream(Stream.make("plain", " text"))
      assert.strictEqual((yield* server.receive).data, "plain text")
      yield* server.send("€".repeat(4000), { compress: true })
      const error = yield* Effect.flip(client.receive)
      assert.deepInclude({ ...error }, { _tag: "Payload_too_large", limit: "message", max: 10_000 })
    }).pipe(Effect.provide(layers))
  )
})
