import * as Connection from "@effect-websocket/protocol/Connection"
import type * as Errors from "@effect-websocket/protocol/Errors"
import * as Message from "@effect-websocket/protocol/Message"
import { describe, expect, test } from "tstyche"

declare const connection: Connection.Connection
declare const event: Connection.Event

describe("make", () => {
  test("asks a client for mask keys", () => {
    expect(Connection.make).type.toBeCallableWith({ role: "server" as const })
    expect(Connection.make).type.toBeCallableWith({ role: "client" as const, maskKey: () => 0 })
    expect(Connection.make).type.not.toBeCallableWith({ role: "client" as const })
  })
})

describe("events", () => {
  test("are told apart by their tags", () => {
    expect(event._tag).type.toBe<"Text" | "Binary" | "TextPart" | "BinaryPart" | "Frame" | "Ping" | "Pong" | "Ended">()
    if (event._tag === "Text") expect(event.data).type.toBe<string>()
    if (event._tag === "Ended") expect(event.error).type.toBe<Errors.ConnectionError>()
  })

  test("come in batches", () => {
    expect(connection.receive(new Uint8Array())).type.toBe<ReadonlyArray<Connection.Event>>()
  })
})

describe("errors", () => {
  test("are returned as values", () => {
    expect(connection.send(Message.text("hello"))).type.toBe<Errors.ConnectionError | undefined>()
    expect(connection.close(1000)).type.toBe<Errors.ProtocolError | Errors.PayloadTooLarge | undefined>()
  })
})
