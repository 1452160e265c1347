/** The npm clients of the recipes, as they are, over loopback. */
import { StandardWebSocket, WebSocketServer } from "@effect-websocket/platform"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { type Client, type ClientOptions, createClient } from "graphql-ws"
import { toArray, lastValueFrom, take } from "rxjs"
import * as GraphqlWs from "../src/recipes/graphql-ws.js"
import * as Mqtt from "../src/recipes/mqtt.js"
import * as Party from "../src/recipes/partysocket.js"
import * as Rxjs from "../src/recipes/rxjs.js"
import * as SocketIo from "../src/recipes/socket.io.js"
import * as VscodeJsonRpc from "../src/recipes/vscode-jsonrpc.js"
import * as Yjs from "../src/recipes/y-websocket.js"
import { RpcServer } from "../src/json-rpc.js"
import { Rooms } from "../src/recipes/y-websocket/Rooms.js"

/** Builds a handler over a server on loopback, and succeeds with the URL. */
const serve = <E>(
  handler: Layer.Layer<never, E, WebSocketServer.WebSocketServer>,
  protocols: ReadonlyArray<string> = []
) =>
  Effect.gen(function* () {
    const server = NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1", protocols })
    const context = yield* Layer.build(Layer.provideMerge(handler, server))
    const { url } = yield* Effect.provide(WebSocketServer.address, context)
    return url
  })

const live = Effect.provide(NodeWebSocketClient.layer)

describe("graphql-ws", () => {
  const protocol = "graphql-transport-ws"
  const query = "subscription { countdown(from: 2) }"

  /** The outcome of one subscription: its results, or the code with which the server closed. */
  const subscribe = (client: Client) =>
    Effect.async<unknown>((resume) => {
      const results: Array<unknown> = []
      client.subscribe(
        { query },
        {
          next: ({ data }) => results.push(data?.["countdown"]),
          error: (error) =>
            resume(Effect.succeed(typeof error === "object" && error !== null && "code" in error ? error.code : error)),
          complete: () => resume(Effect.succeed(results))
        }
      )
    })

  const connect = (url: string, options: Partial<ClientOptions> = {}) =>
    Effect.gen(function* () {
      const webSocketImpl = yield* StandardWebSocket.make()
      return createClient({ url, webSocketImpl, retryAttempts: 0, ...options })
    })

  it.scopedLive("delivers a subscription, and results of several at once", () =>
    Effect.gen(function* () {
      const url = yield* serve(GraphqlWs.handler({ schema: GraphqlWs.schema }), [protocol])
      const client = yield* connect(url)
      const outcomes = yield* Effect.all([subscribe(client), subscribe(client)], { concurrency: 2 })
      assert.deepStrictEqual(outcomes, [
        [2, 1],
        [2, 1]
      ])
    }).pipe(live)
  )

  it.scopedLive("sees 4403 if the server refuses it", () =>
    Effect.gen(function* () {
      const handler = GraphqlWs.handler({ schema: GraphqlWs.schema, onConnect: () => false })
      const client = yield* connect(yield* serve(handler, [protocol]))
      assert.strictEqual(yield* subscribe(client), 4403)
    }).pipe(live)
  )

  it.scopedLive("sees 4408 if it does not begin in time", () =>
    Effect.gen(function* () {
      const handler = GraphqlWs.handler({ schema: GraphqlWs.schema, connectionInitWaitTimeout: 20 })
      const client = yield* connect(yield* serve(handler, [protocol]), {
        connectionParams: () => new Promise(() => {})
      })
      assert.strictEqual(yield* subscribe(client), 4408)
    }).pipe(live)
  )

  it.scopedLive("sees 4409 if two subscriptions have one ID", () =>
    Effect.gen(function* () {
      const client = yield* connect(yield* serve(GraphqlWs.handler({ schema: GraphqlWs.schema }), [protocol]), {
        generateID: () => "same"
      })
      const outcomes = yield* Effect.all([subscribe(client), subscribe(client)], { concurrency: 2 })
      assert.include(outcomes, 4409)
    }).pipe(live)
  )

  /** The code with which the server closes after some messages of a client of ours. */
  const closedAfter = (url: string, protocols: ReadonlyArray<string>, ...messages: ReadonlyArray<string>) =>
    Effect.flatMap(StandardWebSocket.make(), (WebSocket) =>
      Effect.async<number>((resume) => {
        const socket = new WebSocket(url, protocols)
        socket.onopen = () => messages.forEach((message) => socket.send(message))
        socket.onclose = ({ code }) => resume(Effect.succeed(code))
      })
    )

  it.scopedLive("closes with 4400, 4401, 4406 and 4429 for mistakes that the client does not make", () =>
    Effect.gen(function* () {
      const init = JSON.stringify({ type: "connection_init" })
      const url = yield* serve(GraphqlWs.handler({ schema: GraphqlWs.schema }), [protocol])
      const operation = JSON.stringify({ id: "1", type: "subscribe", payload: { query } })
      assert.strictEqual(yield* closedAfter(url, [protocol], "no JSON"), 4400)
      assert.strictEqual(yield* closedAfter(url, [protocol], operation), 4401)
      assert.strictEqual(yield* closedAfter(url, []), 4406)
      assert.strictEqual(yield* closedAfter(url, [protocol], init, init), 4429)
    }).pipe(live)
  )
})

describe("y-websocket", () => {
  it.scopedLive("lets three documents converge, also with a late one", () =>
    Effect.gen(function* () {
      const url = yield* serve(Rooms)
      const early = yield* Effect.all([Yjs.join(url, "notes"), Yjs.join(url, "notes")])
      early.forEach((text, index) => text.insert(0, "ab".charAt(index)))
      yield* Effect.forEach(early, (text) => Yjs.hasLength(text, 2))
      const late = yield* Yjs.join(url, "notes")
      late.insert(0, "c")
      const texts = [...early, late]
      yield* Effect.forEach(texts, (text) => Yjs.hasLength(text, 3))
      assert.strictEqual(new Set(texts.map(String)).size, 1)
      const elsewhere = yield* Yjs.join(url, "other")
      assert.strictEqual(String(elsewhere), "")
    }).pipe(live)
  )
})

describe("socket.io-client", () => {
  it.scopedLive("exchanges texts and bytes, and reconnects", () =>
    Effect.gen(function* () {
      const { server, url } = yield* SocketIo.server
      const socket = yield* SocketIo.client(url)
      const greet = Effect.async<ReadonlyArray<unknown>>((resume) => {
        socket.emit("greet", "Ada", new Uint8Array([1, 2]), (text: string, bytes: ArrayBuffer) =>
          resume(Effect.succeed([text, [...new Uint8Array(bytes)]]))
        )
      })
      assert.deepStrictEqual(yield* greet, ["hello Ada", [1, 2]])
      assert.strictEqual(socket.io.engine.transport.name, "websocket")
      const disconnected = new Promise((resolve) => socket.once("disconnect", resolve))
      server.disconnectSockets(true)
      yield* Effect.promise(() => disconnected)
      socket.connect()
      assert.deepStrictEqual(yield* greet, ["hello Ada", [1, 2]])
    }).pipe(live)
  )
})

describe("mqtt", () => {
  it.scopedLive("publishes to subscribers, also messages of several frames", () =>
    Effect.gen(function* () {
      const url = yield* serve(Mqtt.Broker, ["mqtt"])
      const subscriber = yield* Mqtt.client(url)
      const received: Array<number> = []
      const all = new Promise<void>((resolve) =>
        subscriber.on("message", (_, payload) => {
          received.push(payload.length)
          if (received.length === 3) resolve()
        })
      )
      yield* Effect.promise(() => subscriber.subscribeAsync("sizes"))
      const publisher = yield* Mqtt.client(url)
      for (const size of [0, 5, 200_000]) {
        yield* Effect.promise(() => publisher.publishAsync("sizes", Buffer.alloc(size)))
      }
      yield* Effect.promise(() => all)
      assert.deepStrictEqual(received, [0, 5, 200_000])
    }).pipe(live)
  )
})

describe("vscode-jsonrpc", () => {
  it.scopedLive("calls the server, is called by it, and gets notifications", () =>
    Effect.gen(function* () {
      const connection = yield* VscodeJsonRpc.connect(yield* serve(RpcServer))
      connection.onRequest("name", () => "Ada")
      const left: Array<number> = []
      connection.onNotification("left", ({ count }: { readonly count: number }) => void left.push(count))
      const calls = [
        connection.sendRequest("add", 1, 2),
        connection.sendRequest("greet"),
        connection.sendRequest("countdown", { from: 2, millis: 1 })
      ]
      assert.deepStrictEqual(yield* Effect.promise(() => Promise.all(calls)), [3, "Hello Ada", "liftoff"])
      assert.deepStrictEqual(left, [2, 1])
    }).pipe(live)
  )
})

describe("rxjs", () => {
  it.scopedLive("sends, receives and completes", () =>
    Effect.gen(function* () {
      const url = yield* serve(Rxjs.Echo)
      let closed: (code: number) => void = () => {}
      const code = new Promise<number>((resolve) => (closed = resolve))
      const subject = yield* Rxjs.subject<number>({ url, closeObserver: { next: (event) => closed(event.code) } })
      subject.next(1)
      subject.next(2)
      const received = yield* Effect.promise(() => lastValueFrom(subject.pipe(take(2), toArray())))
      assert.deepStrictEqual(received, [1, 2])
      // The subject closes without a code once nobody subscribes.
      assert.strictEqual(yield* Effect.promise(() => code), 1005)
    }).pipe(live)
  )
})

describe("partysocket", () => {
  it.scopedLive("reconnects after 1012", () =>
    Effect.gen(function* () {
      const socket = yield* Party.connect(yield* serve(Party.Restarting))
      for (const text of ["one", "two", "three"]) {
        const closed = new Promise<{ readonly code: number }>((resolve) =>
          socket.addEventListener("close", resolve, { once: true })
        )
        assert.strictEqual(yield* Party.ask(socket, text), `${text}, too`)
        assert.strictEqual((yield* Effect.promise(() => closed)).code, 1012)
      }
    }).pipe(live)
  )
})
