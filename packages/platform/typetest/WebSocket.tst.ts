import type { ConnectionError, PayloadTooLarge, ProtocolError } from "@effect-websocket/protocol/Errors"
import type { Message } from "@effect-websocket/protocol/Message"
import * as MockTransport from "@effect-websocket/platform/MockTransport"
import * as WebSocket from "@effect-websocket/platform/WebSocket"
import { Data, type Option, type Sink } from "effect"
import type { Delivery } from "@effect-websocket/protocol/Connection"
import type { Frame } from "@effect-websocket/protocol/Frame"
import { isFrameWebSocket, type FrameWebSocket } from "@effect-websocket/platform/FrameWebSocket"
import {
  isStreamingWebSocket,
  type StreamData,
  type StreamedMessage,
  type StreamingWebSocket
} from "@effect-websocket/platform/StreamingWebSocket"
import type { Transport } from "@effect-websocket/platform/Transport"
import { describe, expect, test } from "tstyche"
import { Context, Effect, type Duration, type Scope, Stream } from "../test/effect/index.js"

declare const socket: WebSocket.WebSocket
declare const message: Message

class Refused extends Data.TaggedError("Refused")<{}> {}
class Users extends Context.Service<Users, ReadonlySet<string>>()("Users") {}

declare const texts: Stream.Stream<string, Refused, Users>
declare const bytes: Stream.Stream<Uint8Array>
declare const transport: Transport
declare const any: Delivery

declare const save: (message: Message) => Effect.Effect<number, Refused, Users>

test("sendAll takes several messages", () => {
  expect(socket.sendAll).type.toBeCallableWith(["a", new Uint8Array(1), message])
  expect(socket.sendAll).type.toBeCallableWith(new Set(["a"]))
  expect(socket.sendAll).type.not.toBeCallableWith("a")
  expect(socket.sendAll).type.not.toBeCallableWith(new Uint8Array(1))
})

describe("run", () => {
  test("takes a handler that returns nothing", () => {
    expect(socket.run(() => {})).type.toBe<Effect.Effect<void, ConnectionError>>()
    expect(socket.run((message) => console.log(message.data))).type.toBe<Effect.Effect<void, ConnectionError>>()
  })

  test("fails as the effects of its handler do, and needs what they need", () => {
    expect(socket.run((message) => socket.send(message))).type.toBe<Effect.Effect<void, ConnectionError>>()
    expect(socket.run(save)).type.toBe<Effect.Effect<void, Refused | ConnectionError, Users>>()
  })

  test("infers every branch of its handler", () => {
    const run = socket.run((message) => {
      if (message._tag === "Text") return save(message)
      if (message.data.length > 0) return socket.send(message)
      return undefined
    })
    expect(run).type.toBe<Effect.Effect<void, Refused | ConnectionError, Users>>()
  })

  test("takes a generator", () => {
    const run = socket.run((message) =>
      Effect.gen(function* () {
        if ((yield* Users).has("ada")) yield* socket.send(message)
        else yield* Effect.fail(new Refused())
      })
    )
    expect(run).type.toBe<Effect.Effect<void, Refused | ConnectionError, Users>>()
  })

  test("takes no handler that returns what nobody awaits", () => {
    expect(socket.run).type.not.toBeCallableWith(() => 1)
    expect(socket.run).type.not.toBeCallableWith(() => Promise.resolve())
  })

  test("that has caught every error fails with none", () => {
    const caught = socket.run(save).pipe(
      Effect.catchTags({
        Refused: () => Effect.void,
        Connection_closed: (error) => Effect.logInfo(error.code),
        Protocol_error: (error) => Effect.logError(error.section),
        Payload_too_large: (error) => Effect.logError(error.limit),
        Io_error: (error) => Effect.logError(error.reason)
      })
    )
    expect(caught).type.toBe<Effect.Effect<void, never, Users>>()
  })
})

describe("reading", () => {
  test("one message or all", () => {
    expect(socket.receive).type.toBe<Effect.Effect<Message, ConnectionError>>()
    expect(socket.messages).type.toBe<Stream.Stream<Message, ConnectionError>>()
  })

  test("an option of one, or one of at most so many bytes", () => {
    expect(socket.receiveOption).type.toBe<Effect.Effect<Option.Option<Message>, ConnectionError>>()
    expect(socket.receiveWith({ maxMessageBytes: 1 })).type.toBe<Effect.Effect<Message, ConnectionError>>()
    expect(socket.receiveWith).type.not.toBeCallableWith()
    expect(socket.receiveWith).type.not.toBeCallableWith({})
  })

  test("a stream fails as its consumer does as well", () => {
    expect(Stream.runForEach(socket.messages, save)).type.toBe<Effect.Effect<void, ConnectionError | Refused, Users>>()
  })

  test("text and bytes are told apart", () => {
    expect(message.data).type.toBe<string | Uint8Array>()
    if (message._tag === "Text") expect(message.data).type.toBe<string>()
    else expect(message.data).type.toBe<Uint8Array>()
  })
})

describe("send", () => {
  test("takes a text, bytes, or a message", () => {
    expect(socket.send).type.toBeCallableWith("hello")
    expect(socket.send).type.toBeCallableWith(new Uint8Array())
    expect(socket.send).type.toBeCallableWith(message)
    expect(socket.send).type.not.toBeCallableWith(1)
    expect(socket.send).type.not.toBeCallableWith({ hello: "world" })
  })

  test("takes options of this one message", () => {
    expect(socket.send).type.toBeCallableWith("hello", { compress: false, maxFrameSize: 1000 })
    expect(socket.send).type.not.toBeCallableWith("hello", { maxSendBytes: 1000 })
  })

  test("can fail with each error of a connection", () => {
    expect(socket.send("hello")).type.toBe<Effect.Effect<void, ConnectionError>>()
    expect(socket.sink).type.toBe<Sink.Sink<void, WebSocket.Data, never, ConnectionError>>()
  })
})

describe("close", () => {
  test("without a code cannot fail", () => {
    expect(socket.close()).type.toBe<Effect.Effect<void>>()
  })

  test("with a code can be asked for what cannot be sent", () => {
    expect(socket.close(4000)).type.toBe<Effect.Effect<void, ProtocolError | PayloadTooLarge>>()
    expect(socket.close("GoingAway", "bye")).type.toBe<Effect.Effect<void, ProtocolError | PayloadTooLarge>>()
  })

  test("takes registered names only", () => {
    expect(socket.close).type.not.toBeCallableWith("Bye")
  })
})

test("a socket has its role, and the sizes of its messages and frames", () => {
  expect(socket.role).type.toBe<"client" | "server">()
  expect(socket.maxFrameSize).type.toBe<number | undefined>()
  expect(socket.maxSendBytes).type.toBe<number | undefined>()
})

describe("guards", () => {
  test("tell the kinds of sockets apart", () => {
    const u: unknown = socket
    if (WebSocket.isWebSocket(u)) expect(u).type.toBe<WebSocket.WebSocket>()
    if (isStreamingWebSocket(u)) expect(u).type.toBe<StreamingWebSocket>()
    if (isFrameWebSocket(u)) expect(u).type.toBe<FrameWebSocket>()
    const either = socket as WebSocket.WebSocket | FrameWebSocket
    if (isFrameWebSocket(either)) expect(either).type.toBe<FrameWebSocket>()
    else expect(either).type.toBe<WebSocket.WebSocket>()
  })

  test("are marked by symbols of their own", () => {
    expect<WebSocket.WebSocket[WebSocket.TypeId]>().type.toBe<WebSocket.TypeId>()
    expect<WebSocket.WebSocket>().type.not.toBeAssignableTo<StreamingWebSocket>()
  })
})

test("ping tells the time between it and its pong", () => {
  expect(socket.ping()).type.toBe<Effect.Effect<Duration.Duration, ConnectionError>>()
})

test("how a connection ended is no failure", () => {
  expect(socket.closeStatus).type.toBe<Effect.Effect<WebSocket.CloseStatus>>()
  expect(socket.abort).type.toBe<Effect.Effect<void>>()
})

test("a connection over a transport needs a scope only", () => {
  const connection = Effect.flatMap(MockTransport.make(), (pair) =>
    WebSocket.fromTransport(pair.client, { role: "client" })
  )
  expect(connection).type.toBe<Effect.Effect<WebSocket.WebSocket, never, Scope.Scope>>()
})

describe("sendStream", () => {
  test("fails and needs as its stream does", () => {
    expect(socket.sendStream(texts)).type.toBe<Effect.Effect<void, Refused | ConnectionError, Users>>()
    expect(socket.sendStream(bytes)).type.toBe<Effect.Effect<void, ConnectionError>>()
    expect(socket.sendStream({ _tag: "Text", data: texts })).type.toBe<
      Effect.Effect<void, Refused | ConnectionError, Users>
    >()
  })

  test("takes parts of one kind", () => {
    expect(socket.sendStream).type.not.toBeCallableWith(Stream.make(1))
    expect(socket.sendStream).type.not.toBeCallableWith("text")
    expect(socket.sendStream).type.not.toBeCallableWith({ _tag: "Text" as const, data: bytes })
    expect(socket.sendStream).type.not.toBeCallableWith({ _tag: "Binary" as const, data: texts })
    expect<Stream.Stream<string | Uint8Array>>().type.not.toBeAssignableTo<StreamData<never, never>>()
    expect<StreamedMessage>().type.toBeAssignableTo<StreamData<ConnectionError, never>>()
  })
})

describe("delivery", () => {
  const role = "client"

  test("decides on the kind of the connection", () => {
    expect(WebSocket.fromTransport(transport, { role, delivery: "messages" })).type.toBe<
      Effect.Effect<WebSocket.WebSocket, never, Scope.Scope>
    >()
    expect(WebSocket.fromTransport(transport, { role, delivery: "streams" })).type.toBe<
      Effect.Effect<StreamingWebSocket, never, Scope.Scope>
    >()
    expect(WebSocket.fromTransport(transport, { role, delivery: "frames", answerPings: false })).type.toBe<
      Effect.Effect<FrameWebSocket, never, Scope.Scope>
    >()
    expect(WebSocket.fromTransport(transport, { role, delivery: any })).type.toBe<
      Effect.Effect<WebSocket.Deliveries[Delivery], never, Scope.Scope>
    >()
    expect(WebSocket.fromTransport).type.not.toBeCallableWith(transport, { role, delivery: "bytes" })
  })

  test("has options of its own", () => {
    expect(WebSocket.fromTransport).type.toBeCallableWith(transport, { role, recordFrames: true })
    expect(WebSocket.fromTransport).type.toBeCallableWith(transport, { role, delivery: "frames", rsv: 4, opcodes: [3] })
    expect(WebSocket.fromTransport).type.toBeCallableWith(transport, { role, random: globalThis.crypto })
    expect(WebSocket.fromTransport).type.toBeCallableWith(transport, { role, maxSendBytes: 1000 })
  })

  test("of streams and frames has no whole messages", () => {
    expect<StreamingWebSocket["receiveOption"]>().type.toBe<
      Effect.Effect<Option.Option<StreamedMessage>, ConnectionError>
    >()
    expect<FrameWebSocket["receiveOption"]>().type.toBe<Effect.Effect<Option.Option<Frame>, ConnectionError>>()
    expect<StreamingWebSocket>().type.not.toHaveProperty("receiveWith")
    expect<FrameWebSocket>().type.not.toHaveProperty("receiveWith")
    expect<StreamingWebSocket["receive"]>().type.toBe<Effect.Effect<StreamedMessage, ConnectionError>>()
    expect<StreamingWebSocket>().type.not.toHaveProperty("run")
    expect<FrameWebSocket["receive"]>().type.toBe<Effect.Effect<Frame, ConnectionError>>()
    expect<FrameWebSocket["frames"]>().type.toBe<Stream.Stream<Frame, ConnectionError>>()
    expect<FrameWebSocket>().type.not.toHaveProperty("messages")
    expect<FrameWebSocket>().type.not.toHaveProperty("sendStream")
    expect<FrameWebSocket["send"]>().type.not.toBeCallableWith("text")
    expect<FrameWebSocket>().type.not.toBeAssignableTo<WebSocket.WebSocket>()
    expect<StreamingWebSocket>().type.not.toBeAssignableTo<WebSocket.WebSocket>()
  })

  test("of frames infers its handler", () => {
    const run = (frames: FrameWebSocket) =>
      frames.run((frame) => (frame.fin ? Effect.fail(new Refused()) : frames.send(frame)))
    expect(run).type.toBe<(frames: FrameWebSocket) => Effect.Effect<void, Refused | ConnectionError>>()
  })
})
