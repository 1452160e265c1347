/** MQTT.js over this library's connections, with a small broker (QoS 0) on this library's server. */
import { StandardWebSocket, WebSocket, WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { Console, Effect, Layer } from "effect"
import mqtt from "mqtt"
import { generate, parser, type Packet } from "mqtt-packet"

const subscribers = new Map<string, Set<WebSocket.WebSocket>>()

const answer = (socket: WebSocket.WebSocket, packet: Packet) => {
  const send = (packet: Packet) => socket.send(generate(packet))
  if (packet.cmd === "connect") return send({ cmd: "connack", returnCode: 0, sessionPresent: false })
  if (packet.cmd === "pingreq") return send({ cmd: "pingresp" })
  if (packet.cmd === "publish") return WebSocket.broadcast(subscribers.get(packet.topic) ?? [], generate(packet))
  if (packet.cmd !== "subscribe") return Effect.void
  for (const { topic } of packet.subscriptions)
    subscribers.set(topic, (subscribers.get(topic) ?? new Set()).add(socket))
  return send({ cmd: "suback", messageId: packet.messageId ?? 0, granted: packet.subscriptions.map(() => 0) })
}

/** A packet of MQTT may be split between messages, and a message may have several packets. */
export const Broker = WebSocketServer.layerHandler((socket) => {
  const packets: Array<Packet> = []
  const parsing = parser().on("packet", (packet) => packets.push(packet))
  const leave = Effect.sync(() => subscribers.forEach((sockets) => sockets.delete(socket)))
  const handled = socket.run((message) => {
    if (message._tag === "Binary") parsing.parse(Buffer.from(message.data))
    return Effect.forEach(packets.splice(0), (packet) => answer(socket, packet), { discard: true })
  })
  return Effect.ensuring(handled, leave)
})

/** A client of MQTT. It ends with the scope. */
export const client = (url: string) =>
  Effect.gen(function* () {
    const WebSocket = yield* StandardWebSocket.make()
    const createWebsocket = (url: string, protocols: Array<string>) => new WebSocket(url, protocols)
    return yield* Effect.acquireRelease(
      Effect.promise(() =>
        mqtt.connectAsync(url, { forceNativeWebSocket: true, createWebsocket, reconnectPeriod: 10 })
      ),
      (client) => Effect.promise(() => client.endAsync())
    )
  })

export const program = Effect.gen(function* () {
  const { url } = yield* WebSocketServer.address
  const socket = yield* client(url)
  const received = new Promise((resolve) => socket.on("message", (_, payload) => resolve(`${payload}`)))
  yield* Effect.promise(() => socket.subscribeAsync("greetings"))
  yield* Effect.promise(() => socket.publishAsync("greetings", "hello"))
  yield* Console.log(yield* Effect.promise(() => received))
}).pipe(
  Effect.scoped,
  Effect.provide(
    Layer.provideMerge(Broker, NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1", protocols: ["mqtt"] }))
  ),
  Effect.provide(NodeWebSocketClient.layer)
)
