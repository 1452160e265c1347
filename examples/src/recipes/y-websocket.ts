/** Yjs documents that converge with y-websocket. */
import { StandardWebSocket, WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Console, Effect, Layer } from "effect"
import { WebsocketProvider } from "y-websocket"
import * as Y from "yjs"
import { Rooms } from "./y-websocket/Rooms.js"

/** A document that is in sync with its room for as long as the scope lasts. */
export const join = (url: string, room: string) =>
  Effect.gen(function* () {
    const WebSocketPolyfill = yield* StandardWebSocket.make()
    const doc = yield* Effect.acquireRelease(
      Effect.sync(() => new Y.Doc()),
      (doc) => Effect.sync(() => doc.destroy())
    )
    yield* Effect.acquireRelease(
      Effect.sync(() => new WebsocketProvider(url, room, doc, { WebSocketPolyfill, disableBc: true })),
      (provider) => Effect.sync(() => provider.destroy())
    )
    return doc.getText()
  })

/** Waits until a text has a length. */
export const hasLength = (text: Y.Text, length: number) =>
  Effect.async<void>((resume) => {
    const look = () => text.length >= length && resume(Effect.void)
    text.observe(look)
    look()
    return Effect.sync(() => text.unobserve(look))
  })

export const program = Effect.gen(function* () {
  const { url } = yield* WebSocketServer.address
  const texts = yield* Effect.all([join(url, "notes"), join(url, "notes"), join(url, "notes")])
  texts.forEach((text, index) => text.insert(0, `${index}`))
  yield* Effect.forEach(texts, (text) => hasLength(text, 3), { concurrency: "unbounded" })
  yield* Console.log(texts.map(String))
}).pipe(
  Effect.scoped,
  Effect.provide(Rooms.pipe(Layer.provideMerge(NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1" })))),
  Effect.provide(NodeWebSocketClient.layer)
)
