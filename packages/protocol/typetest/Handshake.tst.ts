import * as Errors from "@effect-websocket/protocol/Errors"
import * as Extension from "@effect-websocket/protocol/Extension"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import * as Mask from "@effect-websocket/protocol/Mask"
import * as Subprotocol from "@effect-websocket/protocol/Subprotocol"
import { describe, expect, test } from "tstyche"

declare const offer: Handshake.Offer
declare const request: Handshake.UpgradeRequest
declare const response: Response
declare const web: Headers

describe("headers", () => {
  test("are those of every runtime", () => {
    expect(HeaderField.get).type.toBeCallableWith({ a: "1", b: ["2"], c: undefined }, "a")
    expect(HeaderField.get).type.toBeCallableWith(web, "a")
    expect(HeaderField.get).type.toBeCallableWith(new Map([["a", "1"]]), "a")
    expect(HeaderField.get).type.toBeCallableWith([["a", "1"] as const], "a")
    expect(HeaderField.get).type.not.toBeCallableWith({ a: 1 }, "a")
    expect(HeaderField.get(web, "a")).type.toBe<string | undefined>()
  })
})

describe("the handshake", () => {
  test("takes a response with its status", () => {
    expect(Handshake.checkResponse(response, offer)).type.toBe<Handshake.Agreement | Errors.ProtocolError>()
    expect(Handshake.checkResponse).type.toBeCallableWith({ status: 101, headers: {} }, offer)
    expect(Handshake.checkResponse).type.not.toBeCallableWith({ headers: {} }, offer)
  })

  test("answers a request, an offer, or a key alone", () => {
    expect(Handshake.responseHeaders).type.toBeCallableWith(request, { protocol: "a", extensions: [] })
    expect(Handshake.responseHeaders).type.toBeCallableWith(request, { protocol: "a" })
    expect(Handshake.responseHeaders).type.toBeCallableWith({ key: "" })
    expect(Handshake.responseHeaders).type.not.toBeCallableWith({})
  })

  test("accepts globalThis.crypto as a source", () => {
    expect(Handshake.generateKey(globalThis.crypto)).type.toBe<string>()
    expect(Mask.keys(globalThis.crypto)).type.toBe<() => number>()
    expect(Mask.keys).type.toBeCallableWith({ getRandomValues: (bytes: Uint8Array) => bytes.fill(1) })
  })

  test("parses lists of one value or several", () => {
    expect(Subprotocol.parse).type.toBeCallableWith("a, b")
    expect(Extension.parse).type.toBeCallableWith(["a", "b"])
    expect(Subprotocol.select).type.toBeCallableWith(["a"], ["a"])
    expect(Subprotocol.select).type.toBeCallableWith((offered: ReadonlyArray<string>) => offered[0], ["a"])
    expect(Extension.find([], "x")).type.toBe<Extension.Extension | undefined>()
  })
})

test("getOrThrow leaves no error", () => {
  expect(Errors.getOrThrow(Handshake.requestHeaders(offer))).type.toBe<Errors.HeaderRecord>()
  expect(Errors.getOrThrow(Subprotocol.format([]))).type.toBe<string>()
})
