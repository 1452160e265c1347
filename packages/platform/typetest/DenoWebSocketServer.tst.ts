import type { IoError } from "@effect-websocket/protocol/Errors"
import * as ByteBudget from "@effect-websocket/platform/ByteBudget"
import { DenoWebSocketServer } from "@effect-websocket/platform/deno"
import type * as Options from "@effect-websocket/platform/Options"
import type * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import { describe, expect, test } from "tstyche"
import { Config, type Layer } from "../test/effect/index.js"

declare const serve: (fetch: DenoWebSocketServer.Fetch) => DenoWebSocketServer.DenoServer

describe("layers of Deno", () => {
  test("can fail to listen", () => {
    expect(DenoWebSocketServer.layer({ port: 0 })).type.toBe<Layer.Layer<WebSocketServer.WebSocketServer, IoError>>()
    expect(DenoWebSocketServer.layerAttached(serve)).type.toBe<Layer.Layer<WebSocketServer.WebSocketServer, IoError>>()
  })

  test("lack the options that Deno cannot follow", () => {
    expect<Exclude<keyof Options.ServerOptions, keyof DenoWebSocketServer.ServerOptions>>().type.toBe<
      | "maxFrameSize"
      | "compression"
      | "random"
      | "messageTimeout"
      | "receiveRate"
      | "receiveHighWaterMark"
      | "budget"
      | "heartbeatTimeout"
    >()
    expect<keyof NonNullable<DenoWebSocketServer.ServerOptions["limits"]>>().type.toBe<"maxMessageBytes">()
  })

  test("take the others", () => {
    expect(DenoWebSocketServer.layer).type.toBeCallableWith({ port: 0, maxUnreadBytes: 1024, heartbeatInterval: 500 })
    expect(DenoWebSocketServer.layer).type.toBeCallableWith({ port: 0, limits: { maxMessageBytes: 1024 } })
    expect(DenoWebSocketServer.layerAttached).type.toBeCallableWith(serve, { sendStrategy: "close" })
    expect(DenoWebSocketServer.layerConfig).type.toBeCallableWith({ port: Config.Int("PORT") })
  })

  test("refuse what Deno cannot follow", () => {
    const budget = ByteBudget.unsafeMake(1024)
    const receiveRate = { messages: 1, interval: 1000 } as const
    expect(DenoWebSocketServer.layer).type.not.toBeCallableWith({ port: 0, maxFrameSize: 1024 })
    expect(DenoWebSocketServer.layer).type.not.toBeCallableWith({ port: 0, compression: true })
    expect(DenoWebSocketServer.layer).type.not.toBeCallableWith({ port: 0, random: globalThis.crypto })
    expect(DenoWebSocketServer.layer).type.not.toBeCallableWith({ port: 0, messageTimeout: 500 })
    expect(DenoWebSocketServer.layer).type.not.toBeCallableWith({ port: 0, receiveRate })
    expect(DenoWebSocketServer.layer).type.not.toBeCallableWith({ port: 0, receiveHighWaterMark: 1024 })
    expect(DenoWebSocketServer.layer).type.not.toBeCallableWith({ port: 0, budget })
    expect(DenoWebSocketServer.layer).type.not.toBeCallableWith({ port: 0, heartbeatTimeout: 500 })
    expect(DenoWebSocketServer.layer).type.not.toBeCallableWith({ port: 0, limits: { maxFragments: 10 } })
    expect(DenoWebSocketServer.make).type.not.toBeCallableWith({ port: 0, budget })
    expect(DenoWebSocketServer.attach).type.not.toBeCallableWith(serve, { budget })
    expect(DenoWebSocketServer.layerAttached).type.not.toBeCallableWith(serve, { budget })
    expect(DenoWebSocketServer.layerAttached).type.not.toBeCallableWith(serve, { limits: { maxFrameBytes: 1024 } })
    expect(DenoWebSocketServer.layerConfig).type.not.toBeCallableWith({ port: Config.Int("PORT"), budget })
  })
})
