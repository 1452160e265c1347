/** Our own client and servers, with the settings of the cases. */
import { WebSocketClient, WebSocketServer, type WebSocket } from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Origin } from "@effect-websocket/protocol"
import { Context, Effect, Layer, type Scope } from "effect"
import type { Setting } from "./cases.js"

const mebibyte = 1024 * 1024

export const settings: Readonly<Record<Setting, WebSocket.Options>> = {
  plain: { limits: { maxMessageBytes: 2 * mebibyte } },
  small: { limits: { maxMessageBytes: 64 * 1024 }, maxFrameSize: 1000 },
  compressed: { limits: { maxMessageBytes: 2 * mebibyte }, compression: { threshold: 0 } }
}

export const connect = (
  url: string,
  setting: Setting,
  options: { readonly protocols?: ReadonlyArray<string>; readonly origin?: string } = {}
) => Effect.provide(WebSocketClient.connect(url, { ...settings[setting], ...options }), NodeWebSocketClient.layer)

export const serve = (
  setting: Setting,
  options: { readonly origin?: Origin.Policy } = {}
): Effect.Effect<Context.Tag.Service<WebSocketServer.WebSocketServer>, Error, Scope.Scope> =>
  Effect.map(
    Layer.build(
      NodeWebSocketServer.layer({
        port: 0,
        host: "127.0.0.1",
        protocols: ["chat.v1"],
        origin: Origin.allowAll,
        ...settings[setting],
        ...options
      })
    ),
    (context) => Context.get(context, WebSocketServer.WebSocketServer)
  )
