/** The `webSocket` of RxJS over this library's connections. */
import { StandardWebSocket, WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Console, Effect, Layer } from "effect"
import { lastValueFrom, take, tap, toArray } from "rxjs"
import { webSocket, type WebSocketSubjectConfig } from "rxjs/webSocket"

export const Echo = WebSocketServer.layerHandler((socket) => socket.run((message) => socket.send(message)))

/** A subject whose connection belongs to the scope. It sends and receives JSON. */
export const subject = <A>(config: Omit<WebSocketSubjectConfig<A>, "WebSocketCtor">) =>
  Effect.gen(function* () {
    const WebSocketCtor = yield* StandardWebSocket.make()
    return webSocket<A>({ ...config, WebSocketCtor })
  })

export const program = Effect.gen(function* () {
  const { url } = yield* WebSocketServer.address
  const numbers = yield* subject<number>({ url })
  for (const number of [1, 2, 3]) numbers.next(number)
  const received = numbers.pipe(
    take(3),
    tap((number) => Effect.runSync(Console.log(number))),
    toArray()
  )
  return yield* Effect.promise(() => lastValueFrom(received))
}).pipe(
  Effect.scoped,
  Effect.provide(Echo.pipe(Layer.provideMerge(NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1" })))),
  Effect.provide(NodeWebSocketClient.layer)
)
