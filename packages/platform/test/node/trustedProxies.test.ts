import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { mkdtemp, rm } from "node:fs/promises"
import * as Http from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Context, Effect, Layer } from "../effect/index.js"
import { afterEach, assert, describe, it } from "../effect/vitest.js"
import { noHandlesLeft } from "./support.js"

afterEach(noHandlesLeft)

const temporaryDirectory = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "websocket-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true }))
)

const Address = WebSocketServer.layerHandler((socket) =>
  Effect.andThen(socket.send(String(socket.request.clientAddress)), Effect.never)
)

/** What clients behind a proxy are known by, one after the other; or the status with which they are refused. */
const knownAs = (
  server: Layer.Layer<WebSocketServer.WebSocketServer, unknown>,
  client: NodeWebSocketClient.Options,
  url: (address: () => WebSocketServer.Address) => string,
  headers: ReadonlyArray<Readonly<Record<string, string>>>
) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(Layer.provideMerge(Address, server))
    const service = Context.get(context, WebSocketServer.WebSocketServer)
    const at = url(() => service.address)
    return yield* Effect.forEach(headers, (each) =>
      WebSocketClient.connect(at, { headers: each }).pipe(
        Effect.flatMap((socket) => socket.receive),
        Effect.map(({ data }) => data),
        Effect.catchTag("Handshake_rejected", ({ status }) => Effect.succeed(status)),
        Effect.provide(NodeWebSocketClient.layerWith(client))
      )
    )
  })

const perKey = (connections: number) => ({ maxConnectionsPerKey: connections })

describe("clients behind a proxy", () => {
  it.live("have limits of their own, whatever form their addresses are in", () =>
    Effect.gen(function* () {
      const server = NodeWebSocketServer.layer({
        port: 0,
        host: "127.0.0.1",
        proxies: { trusted: NodeWebSocketServer.networks(["127.0.0.0/8"]) },
        admission: { ...perKey(1), key: ({ clientAddress }) => clientAddress }
      })
      const known = yield* knownAs(server, {}, (address) => address().url, [
        { "X-Forwarded-For": "192.0.2.1:1000" },
        { "X-Forwarded-For": "[2001:db8::1]:1000" },
        { "X-Forwarded-For": "203.0.113.9, ::ffff:192.0.2.1" },
        { "X-Forwarded-For": "2001:DB8:0::1" },
        { "X-Forwarded-For": "192.0.2.2" }
      ])
      assert.deepStrictEqual(known, ["192.0.2.1", "2001:db8::1", 429, 429, "192.0.2.2"])
    })
  )

  it.live("have limits of their own behind a Unix domain socket, if that is trusted", () =>
    Effect.gen(function* () {
      const directory = yield* temporaryDirectory
      const run = (name: string, trustUnixSocket: boolean) =>
        Effect.gen(function* () {
          const path = join(directory, name)
          const http = Http.createServer()
          yield* Effect.acquireRelease(
            Effect.callback<void>((resume) => void http.listen(path, () => resume(Effect.void))),
            () => Effect.callback<void>((resume) => void http.close(() => resume(Effect.void)))
          )
          const proxies = { trusted: () => false, header: "forwarded", trustUnixSocket }
          const server = NodeWebSocketServer.layerAttached(http, { proxies, admission: perKey(1) })
          return yield* knownAs(server, { socketPath: path }, () => "ws://localhost/", [
            { Forwarded: "for=192.0.2.1" },
            { Forwarded: 'for="192.0.2.1:4711";proto=https' },
            { Forwarded: 'for="[2001:db8::1]"' }
          ])
        })
      assert.deepStrictEqual(yield* run("trusted", true), ["192.0.2.1", 429, "2001:db8::1"])
      assert.deepStrictEqual(yield* run("not", false), ["undefined", "undefined", "undefined"])
    })
  )
})

describe("networks", () => {
  it("has addresses and networks, in any spelling", () => {
    const trusted = NodeWebSocketServer.networks([
      "127.0.0.1",
      "10.0.0.0/8",
      "fd00::/8",
      "2001:DB8::1",
      "::ffff:192.0.2.0/120"
    ])
    for (const address of ["127.0.0.1", "10.1.2.3", "::ffff:10.1.2.3", "fdff::1", "2001:db8:0::1", "192.0.2.255"]) {
      assert.isTrue(trusted(address), address)
    }
    for (const address of ["127.0.0.2", "11.0.0.1", "fe00::1", "2001:db8::2", "192.0.3.0", "unknown", ""]) {
      assert.isFalse(trusted(address), address)
    }
    assert.isFalse(NodeWebSocketServer.networks([])("127.0.0.1"))
    assert.isTrue(NodeWebSocketServer.networks(["0.0.0.0/0"])("::ffff:1.2.3.4"))
  })

  for (const range of [
    "",
    "localhost",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/-1",
    "10.0.0.0/1e1",
    "10.0.0.0/ 8",
    "10.0.0.0/8/8",
    "::/129",
    "::ffff:10.0.0.0/95",
    "10.0.0"
  ]) {
    it(`refuses ${JSON.stringify(range)}`, () => {
      assert.throws(() => NodeWebSocketServer.networks([range]), RangeError, `${JSON.stringify(range)} must be`)
    })
  }
})
