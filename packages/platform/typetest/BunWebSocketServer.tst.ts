import type { IoError } from "@effect-websocket/protocol/Errors"
import * as ByteBudget from "@effect-websocket/platform/ByteBudget"
import { BunWebSocketServer } from "@effect-websocket/platform/bun"
import type * as Options from "@effect-websocket/platform/Options"
import type * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import { describe, expect, test } from "tstyche"
import { Config, type Layer } from "../test/effect/index.js"

declare const serve: (handlers: BunWebSocketServer.Handlers) => BunWebSocketServer.BunServer

describe("layers of Bun", () => {
  test("can fail to listen", () => {
    expect(BunWebSocketServer.layer({ port: 0 })).type.toBe<Layer.Layer<WebSocketServer.WebSocketServer, IoError>>()
    expect(BunWebSocketServer.layerAttached(serve)).type.toBe<Layer.Layer<WebSocketServer.WebSocketServer, IoError>>()
  })

  test("lack the options that Bun cannot follow", () => {
    expect<Exclude<keyof Options.ServerOptions, keyof BunWebSocketServer.ServerOptions>>().type.toBe<
      "maxFrameSize" | "compression" | "random" | "messageTimeout" | "receiveRate"
    >()
    expect<keyof NonNullable<BunWebSocketServer.ServerOptions["limits"]>>().type.toBe<"maxMessageBytes">()
  })

  test("take the others", () => {
    const budget = ByteBudget.unsafeMake(1024)
    expect(BunWebSocketServer.layer).type.toBeCallableWith({ port: 0, budget, receiveHighWaterMark: 1024 })
    expect(BunWebSocketServer.layer).type.toBeCallableWith({ port: 0, heartbeatTimeout: 500, sendStrategy: "close" })
    expect(BunWebSocketServer.layer).type.toBeCallableWith({ port: 0, limits: { maxMessageBytes: 1024 } })
    expect(BunWebSocketServer.layerAttached).type.toBeCallableWith(serve, { budget, heartbeatInterval: 500 })
    expect(BunWebSocketServer.layerConfig).type.toBeCallableWith({ port: Config.Int("PORT") })
  })

  test("refuse what Bun cannot follow", () => {
    const receiveRate = { messages: 1, interval: 1000 } as const
    expect(BunWebSocketServer.layer).type.not.toBeCallableWith({ port: 0, maxFrameSize: 1024 })
    expect(BunWebSocketServer.layer).type.not.toBeCallableWith({ port: 0, compression: true })
    expect(BunWebSocketServer.layer).type.not.toBeCallableWith({ port: 0, random: globalThis.crypto })
    expect(BunWebSocketServer.layer).type.not.toBeCallableWith({ port: 0, messageTimeout: 500 })
    expect(BunWebSocketServer.layer).type.not.toBeCallableWith({ port: 0, receiveRate })
    expect(BunWebSocketServer.layer).type.not.toBeCallableWith({ port: 0, maxUnreadBytes: 1024 })
    expect(BunWebSocketServer.layer).type.not.toBeCallableWith({ port: 0, limits: { maxFragments: 10 } })
    expect(BunWebSocketServer.make).type.not.toBeCallableWith({ port: 0, compression: true })
    expect(BunWebSocketServer.attach).type.not.toBeCallableWith(serve, { compression: true })
    expect(BunWebSocketServer.layerAttached).type.not.toBeCallableWith(serve, { compression: true })
    expect(BunWebSocketServer.layerAttached).type.not.toBeCallableWith(serve, { limits: { maxFrameBytes: 1024 } })
    expect(BunWebSocketServer.layerConfig).type.not.toBeCallableWith({ port: Config.Int("PORT"), compression: true })
  })
})
