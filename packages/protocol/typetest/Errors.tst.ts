import * as Errors from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import { describe, expect, test } from "tstyche"

declare const unknown: unknown
declare const error: Errors.WebSocketError
declare const failing: Effect.Effect<string, Errors.WebSocketError>

describe("the guards", () => {
  test("narrow an unknown value to one class", () => {
    if (Errors.isConnectionClosed(unknown)) expect(unknown).type.toBe<Errors.ConnectionClosed>()
    if (Errors.isProtocolError(unknown)) expect(unknown).type.toBe<Errors.ProtocolError>()
    if (Errors.isPayloadTooLarge(unknown)) expect(unknown).type.toBe<Errors.PayloadTooLarge>()
    if (Errors.isIoError(unknown)) expect(unknown).type.toBe<Errors.IoError>()
    if (Errors.isHandshakeRejected(unknown)) expect(unknown).type.toBe<Errors.HandshakeRejected>()
    if (Errors.isWebSocketError(unknown)) expect(unknown).type.toBe<Errors.WebSocketError>()
  })

  test("leave the rest of the union", () => {
    if (Errors.isHandshakeRejected(error)) return
    expect(error).type.toBe<Errors.ConnectionError>()
    if (Errors.isConnectionClosed(error) || Errors.isProtocolError(error)) return
    expect(error).type.toBe<Errors.PayloadTooLarge | Errors.IoError>()
  })
})

describe("the tags", () => {
  test("are these five", () => {
    expect<Errors.WebSocketError["_tag"]>().type.toBe<
      "Connection_closed" | "Protocol_error" | "Payload_too_large" | "Io_error" | "Handshake_rejected"
    >()
  })

  test("discriminate what an error carries", () => {
    if (error._tag === "Handshake_rejected") expect(error.headers).type.toBe<Errors.HeaderRecord>()
    if (error._tag === "Connection_closed") expect(error.initiator).type.toBe<"local" | "remote">()
    expect(error).type.not.toHaveProperty("status")
  })

  test("leave no error if all are caught", () => {
    const handler = () => Effect.succeed(0)
    const caught = Effect.catchTags(failing, {
      Connection_closed: handler,
      Protocol_error: handler,
      Payload_too_large: handler,
      Io_error: handler,
      Handshake_rejected: handler
    })
    expect(caught).type.toBe<Effect.Effect<string | number>>()
  })

  test("keep the errors that are not caught", () => {
    const caught = Effect.catchTags(failing, {
      Connection_closed: () => Effect.succeed(0),
      Handshake_rejected: (error) => Effect.succeed(error.status)
    })
    expect(caught).type.toBe<
      Effect.Effect<string | number, Errors.ProtocolError | Errors.PayloadTooLarge | Errors.IoError>
    >()
  })

  test("are checked where they are caught", () => {
    expect(Effect.catchTag).type.not.toBeCallableWith(failing, "ConnectionClosed", () => Effect.void)
  })
})

test("an error carries all of its fields", () => {
  expect(Errors.ConnectionClosed).type.toBeConstructableWith({
    code: 1000,
    reason: "",
    initiator: "local" as const,
    clean: true
  })
  expect(Errors.ConnectionClosed).type.not.toBeConstructableWith({ code: 1000 })
})
