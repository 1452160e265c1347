/** The configurations of docs/scaling.md, in front of two servers that restart one after the other. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { type AddressInfo, connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { WebSocket, WebSocketServer } from "ws"

const page = readFileSync(fileURLToPath(new URL("../../docs/scaling.md", import.meta.url)), "utf8")

let folder = ""
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "effect-websocket-proxies-"))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A server that refuses upgrades while it drains. */
const startServer = Effect.acquireRelease(
  Effect.promise(async () => {
    const sockets = new WebSocketServer({ noServer: true })
    const server = createServer((_request, response) => response.end())
    const state = { server, sockets, isDraining: false, port: 0 }
    server.on("upgrade", (request, socket, head) => {
      socket.on("error", () => {})
      if (state.isDraining)
        socket.end("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
      else sockets.handleUpgrade(request, socket, head, () => {})
    })
    await once(server.listen(0, "127.0.0.1"), "listening")
    state.port = (server.address() as AddressInfo).port
    return state
  }),
  ({ server, sockets }) =>
    Effect.sync(() => {
      for (const socket of sockets.clients) socket.terminate()
      server.close()
      server.closeAllConnections()
    })
)

const freePort = Effect.promise(async () => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, "close")
  return port
})

const accepts = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect(port, "127.0.0.1")
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false))
    socket.once("connect", () => socket.destroy())
  })

interface Kind {
  readonly name: "nginx" | "haproxy"
  readonly file: (configuration: string) => string
  readonly arguments: (path: string) => ReadonlyArray<string>
}

const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
const kinds: ReadonlyArray<Kind> = [
  {
    name: "nginx",
    file: (configuration) =>
      `pid ${folder}/pid; error_log ${folder}/error.log; events {} http { access_log off; ` +
      `${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(" ")}\n${configuration}}`,
    arguments: (path) => ["-c", path, "-g", "daemon off; master_process off;"]
  },
  { name: "haproxy", file: (configuration) => configuration, arguments: (path) => ["-db", "-f", path] }
]

/** The configuration of the page, with other ports. */
const startProxy = (kind: Kind, ports: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const block = new RegExp(`\`\`\`${kind.name}\\n(.*?)\`\`\``, "s").exec(page)?.[1] ?? ""
    const front = yield* freePort
    const configuration = block
      .replace("8081", String(ports[0]))
      .replace("8082", String(ports[1]))
      .replace(/(listen |bind :)8080/, (_, start: string) => `${start.replace(":", "")}127.0.0.1:${front}`)
    const path = join(folder, kind.name)
    writeFileSync(path, kind.file(configuration))
    yield* Effect.acquireRelease(
      Effect.sync(() => spawn(kind.name, kind.arguments(path), { stdio: "ignore" })),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    yield* Effect.promise(async () => {
      while (!(await accepts(front))) await new Promise((resolve) => setTimeout(resolve, 10))
    })
    return front
  })

const open = (port: number) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/socket`)
      await once(socket, "open")
      return socket
    }),
    (socket) => Effect.sync(() => socket.terminate())
  )

describe("a rolling restart of the servers", () => {
  for (const kind of kinds) {
    const isThere = spawnSync(kind.name, ["-v"]).status === 0
    if (!isThere) console.log(`There is no ${kind.name} on this machine: its configuration is not tested`)

    it.scopedLive.skipIf(!isThere)(`is no failure of a reconnect behind ${kind.name}`, () =>
      Effect.gen(function* () {
        const servers = [yield* startServer, yield* startServer]
        const front = yield* startProxy(
          kind,
          servers.map(({ port }) => port)
        )
        for (let n = 0; n < 4; n++) yield* open(front)
        assert.deepStrictEqual(
          servers.map(({ sockets }) => sockets.clients.size),
          [2, 2]
        )
        for (const server of [...servers, ...servers]) {
          server.isDraining = true
          const closed = [...server.sockets.clients].map((socket) => once(socket, "close"))
          for (const socket of server.sockets.clients) socket.terminate()
          yield* Effect.promise(() => Promise.all(closed))
          yield* open(front)
          yield* open(front)
          server.isDraining = false
        }
      })
    )
  }
})
