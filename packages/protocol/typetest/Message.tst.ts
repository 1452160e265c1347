import * as CloseCode from "@effect-websocket/protocol/CloseCode"
import * as Connection from "@effect-websocket/protocol/Connection"
import type * as Errors from "@effect-websocket/protocol/Errors"
import * as Frame from "@effect-websocket/protocol/Frame"
import * as Message from "@effect-websocket/protocol/Message"
import * as MessagePart from "@effect-websocket/protocol/MessagePart"
import { describe, expect, test } from "tstyche"

declare const unknown: unknown
declare const event: Connection.Event
declare const code: number
declare const frame: Frame.Frame

describe("the guards", () => {
  test("narrow an unknown value, and an event", () => {
    if (Message.isMessage(unknown)) expect(unknown).type.toBe<Message.Message>()
    if (MessagePart.isMessagePart(unknown)) expect(unknown).type.toBe<MessagePart.MessagePart>()
    if (Frame.isFrame(unknown)) expect(unknown).type.toBe<Frame.Frame>()
    if (Connection.isConnection(unknown)) expect(unknown).type.toBe<Connection.Connection>()
    if (Message.isMessage(event)) expect(event).type.toBe<Message.Text | Message.Binary>()
  })
})

describe("messages", () => {
  test("are made of text, or of bytes in any buffer or view", () => {
    expect(Message.make).type.toBeCallableWith("a")
    expect(Message.make).type.toBeCallableWith(new ArrayBuffer(1))
    expect(Message.binary).type.toBeCallableWith(new DataView(new ArrayBuffer(1)))
    expect(Message.binary).type.not.toBeCallableWith("a")
    expect(Message.binary).type.not.toBeCallableWith(new Blob([]))
    expect(Message.text).type.not.toBeCallableWith(3)
  })

  test("give their bytes and their frames", () => {
    expect(Message.bytes(Message.text("a"))).type.toBe<Uint8Array>()
    expect(Message.size(Message.text("a"))).type.toBe<number>()
    expect(Message.frames(Message.text("a"))).type.toBe<ReadonlyArray<Frame.Frame> | undefined>()
  })
})

describe("a Close", () => {
  test("needs no narrowing for a code that is known to be sendable", () => {
    expect(Frame.close()).type.toBe<Frame.Frame>()
    expect(Frame.close(1000)).type.toBe<Frame.Frame>()
    expect(CloseCode.encodePayload(1011)).type.toBe<Uint8Array>()
    expect(Frame.close(CloseCode.fromName("GoingAway"))).type.toBe<Frame.Frame>()
    expect(CloseCode.encodePayload(CloseCode.fromName("ProtocolError"))).type.toBe<Uint8Array>()
  })

  test("may fail with any other, and with a reason", () => {
    type Failing = Frame.Frame | Errors.ProtocolError | Errors.PayloadTooLarge
    expect(Frame.close(1006)).type.toBe<Failing>()
    expect(Frame.close(CloseCode.fromName("AbnormalClosure"))).type.toBe<Failing>()
    expect(Frame.close(code)).type.toBe<Failing>()
    expect(Frame.close(1000, "bye")).type.toBe<Failing>()
  })

  test("has the names of an app's codes", () => {
    const codes = CloseCode.makeRegistry({ Kicked: 4001 })
    expect(codes.fromName).type.toBeCallableWith("Kicked")
    expect(codes.fromName).type.toBeCallableWith("GoingAway")
    expect(codes.fromName).type.not.toBeCallableWith("Other")
    expect(codes.toName(4001)).type.toBe<"Kicked" | CloseCode.Name | undefined>()
  })
})

test("the text of a frame may be an error", () => {
  expect(Frame.toText(frame)).type.toBe<string | Errors.ProtocolError>()
})
