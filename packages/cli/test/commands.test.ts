import * as NodeWebSocketClient from "@effect-websocket/platform/node/NodeWebSocketClient"
import * as NodeWebSocketServer from "@effect-websocket/platform/node/NodeWebSocketServer"
import type * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import * as Origin from "@effect-websocket/protocol/Origin"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Queue, type Scope } from "effect"
import { randomBytes } from "node:crypto"
import { mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { createServer, type AddressInfo, type Server, type Socket } from "node:net"
import { join } from "node:path"
import { certificates, passphrase } from "../../platform/test/node/certificates.js"
import { folder, run, start } from "./command.js"

type Handler = (socket: WebSocketServer.ServerWebSocket) => Effect.Effect<unknown, unknown, Scope.Scope>

/** A server on a free port; returns its URL. */
const serve = (handler: Handler, options: Partial<NodeWebSocketServer.Options> = {}) =>
  Effect.gen(function* () {
    const server = yield* NodeWebSocketServer.make({
      port: 0,
      host: "127.0.0.1",
      ...options
    } as NodeWebSocketServer.Options)
    yield* Effect.forkScoped(server.run(handler, { onError: () => Effect.void }))
    return server.address.url
  })

const echo: Handler = (socket) => socket.run((message) => socket.send(message))

/** A TCP server whose connections are handled without the library; returns its URL. */
const serveTcp = (onConnection: (socket: Socket) => void) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ readonly server: Server; readonly sockets: Set<Socket> }>((resume) => {
        const sockets = new Set<Socket>()
        const server = createServer((socket) => {
          sockets.add(socket.on("error", () => {}))
          onConnection(socket)
        }).listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, sockets })))
      }),
      ({ server, sockets }) =>
        Effect.sync(() => {
          server.close()
          for (const socket of sockets) socket.destroy()
        })
    ),
    ({ server }) => `ws://127.0.0.1:${(server.address() as AddressInfo).port}`
  )

const file = (name: string, content = ""): string => {
  const path = join(mkdtempSync(join(folder, "file-")), name)
  if (content !== "") writeFileSync(path, content)
  return path
}

const closeCodes = (socket: WebSocketServer.ServerWebSocket, closes: Queue.Queue<unknown>) =>
  Effect.map(socket.closeStatus, ({ clean, received }) => Queue.offerUnsafe(closes, [received?.code, clean]))

describe("send", () => {
  it.live("sends a request with all its parts, and prints the reply", () =>
    Effect.gen(function* () {
      const requests = yield* Queue.unbounded<Readonly<Record<string, unknown>>>()
      const url = yield* serve(
        (socket) => {
          Queue.offerUnsafe(requests, socket.request.headers)
          return echo(socket)
        },
        { protocols: ["b"], compression: true, origin: Origin.allowAll }
      )
      const headers = file("headers.txt", "X-One: 1\nX-Two: 2\n")
      const { status, stderr, stdout } = yield* run(
        "",
        ..."send --verbose -z -s a -s b -o https://example.com -u ann:secret -b c=1 -b d=2 -H".split(" "),
        `@${headers}`,
        "-H",
        "X-Three: 3",
        url,
        "hello"
      )
      assert.deepStrictEqual([status, stdout], [0, "hello\n"], stderr)
      assert.match(stderr, /^connected to ws:\S+ in [\d.]+ ms; subprotocol b; extensions permessage-deflate.*\n/)
      assert.match(stderr, /\nclosed: sent Close 1000 \(NormalClosure\), received Close 1000 .*, clean\n$/)
      const request = yield* Queue.take(requests)
      assert.deepStrictEqual(
        ["x-one", "x-two", "x-three", "origin", "authorization", "cookie"].map((name) => request[name]),
        ["1", "2", "3", "https://example.com", `Basic ${btoa("ann:secret")}`, "c=1; d=2"]
      )
    })
  )

  it.live("sends all of stdin as one message", () =>
    Effect.gen(function* () {
      const url = yield* serve(echo)
      const { status, stdout } = yield* run("two\nlines", "send", url, "--null")
      assert.deepStrictEqual([status, stdout], [0, "two\nlines\0"])
    })
  )

  it.live("reads no more of stdin than a message may have", () =>
    Effect.gen(function* () {
      // stdin stays open.
      const running = yield* start("send", yield* serve(echo), "--max-message-bytes", "3")
      running.child.stdin.write("four")
      assert.strictEqual(yield* running.status, 63)
    })
  )

  it.live("says that a reply is missing", () =>
    Effect.gen(function* () {
      const silent = yield* serve(() => Effect.never)
      const closing = yield* serve((socket) => Effect.andThen(socket.receive, socket.close()))
      const [late, none] = yield* Effect.all(
        [run("", "send", silent, "hello", "--timeout", "50ms"), run("", "send", closing, "hello", "-n", "2")],
        { concurrency: 2 }
      )
      assert.deepStrictEqual([late.status, late.stderr], [28, "effect-websocket: There is no reply within 50ms\n"])
      assert.deepStrictEqual(
        [none.status, none.stderr],
        [52, "effect-websocket: The peer closed after 0 of 2 replies\n"]
      )
    })
  )
})

describe("connect", () => {
  it.live("sends each line, prints each message, and closes once it is silent", () =>
    Effect.gen(function* () {
      const closes = yield* Queue.unbounded<unknown>()
      const url = yield* serve((socket) => Effect.andThen(echo(socket), closeCodes(socket, closes)))
      const { status, stderr, stdout } = yield* run("one\n\nlast", "connect", url, "--wait", "50ms")
      assert.deepStrictEqual([status, stdout, stderr], [0, "one\n\nlast\n", ""])
      assert.deepStrictEqual(yield* Queue.take(closes), [1000, true])
    })
  )

  it.live("pipes bytes unchanged, with frames on stderr if they are asked for", () =>
    Effect.gen(function* () {
      const bytes = randomBytes(300_000)
      const url = yield* serve(echo)
      const running = yield* start("connect", url, "-f", "binary", "--wait", "50ms", "--frames")
      running.child.stdin.end(bytes)
      assert.strictEqual(yield* running.status, 0)
      assert(running.output.equals(bytes))
      assert.match(running.stderr, /\nreceived frame Binary fin \d+ bytes( [\da-f]{2}){16} …\n/)
    })
  )

  it.live("escapes what the peer says outside of messages", () =>
    Effect.gen(function* () {
      const url = yield* serve((socket) =>
        Effect.gen(function* () {
          yield* socket.send("\u001b]0;raw\u0007")
          // The command reads the pings by now.
          yield* socket.receive
          yield* socket.ping(Buffer.from("\u001b[31m"))
          yield* socket.close(4000, "\u001b[2J\u202e")
        })
      )
      const { status, stderr, stdout } = yield* run("hello", "connect", url, "--verbose", "--wait", "infinite")
      assert.deepStrictEqual([status, stdout], [111, "\u001b]0;raw\u0007\n"])
      assert.include(stderr, 'received Close 4000 "\\e[2J\\u{202e}"')
      assert.include(stderr, "received ping [5 bytes] 1b 5b 33 31 6d")
      assert.notMatch(stderr, /[^\P{C}\n]/u)
    })
  )

  it.live("ends with a status that says why", () =>
    Effect.gen(function* () {
      const answer = (text: string) => serveTcp((socket) => socket.end(text))
      const urls = {
        echo: yield* serve(echo),
        forbidden: yield* answer("HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nno\u001b[m"),
        other: yield* answer("SSH-2.0-other\r\n\r\n"),
        silent: yield* serveTcp(() => {}),
        normal: yield* serve((socket) => socket.close()),
        policy: yield* serve((socket) => socket.close("PolicyViolation", "why")),
        lost: yield* serve((socket) => socket.abort),
        expired: yield* serve(echo, { tls: certificates.expired })
      }
      const closed = yield* Effect.scoped(serveTcp(() => {}))
      const cases: ReadonlyArray<readonly [status: number, input: string, args: ReadonlyArray<string>]> = [
        [2, "", ["connect", urls.echo, "--ca", "/does/not/exist"]],
        [2, "", ["connect", urls.echo, "-x", "ftp://127.0.0.1"]],
        [2, "", ["connect", urls.forbidden, "-c", "/does/not/exist"]],
        [5, "", ["connect", urls.echo, "-x", closed.replace("ws:", "http:")]],
        [6, "", ["connect", "ws://host.invalid"]],
        [7, "", ["connect", closed]],
        [8, "", ["connect", urls.other]],
        [22, "", ["connect", urls.forbidden, "--verbose"]],
        [28, "", ["connect", urls.silent, "--connect-timeout", "50ms"]],
        [35, "", ["connect", urls.other.replace("ws:", "wss:")]],
        [52, "", ["send", urls.normal, "hello"]],
        [56, "", ["connect", urls.lost, "--wait", "infinite"]],
        [60, "", ["connect", urls.expired]],
        [63, "x".repeat(100), ["connect", urls.echo, "--max-message-bytes", "99"]],
        [111, "", ["connect", urls.policy, "--wait", "infinite"]],
        [112, "{", ["connect", urls.echo, "-f", "json"]]
      ]
      const ended = yield* Effect.forEach(cases, ([, input, args]) => run(input, ...args), { concurrency: 2 })
      ended.forEach(({ status, stderr }, index) => {
        const [expected, , args] = cases[index]!
        assert.strictEqual(status, expected, `${args.join(" ")}: ${stderr}`)
        assert.notMatch(stderr, /[^\P{C}\n]/u)
        assert.isNotEmpty(stderr)
      })
    })
  )

  it.live("speaks TLS with an authority and a certificate that are given, or with any", () =>
    Effect.gen(function* () {
      const { ca, good, secretClient } = certificates
      const url = yield* serve(echo, { tls: { ...good, ca: ca.cert, requestCert: true, rejectUnauthorized: true } })
      const own = [
        "--cert",
        file("cert.pem", secretClient.cert),
        "--key",
        file("key.pem", secretClient.key),
        "--passphrase",
        `@${file("passphrase.txt", `${passphrase}\n`)}`
      ]
      const [verified, insecure, anonymous] = yield* Effect.all(
        [
          run("", "send", url, "hello", "--ca", file("ca.pem", ca.cert), ...own),
          run("", "send", url, "hello", "-k", ...own),
          run("", "send", url, "hello", "-k")
        ],
        { concurrency: 2 }
      )
      assert.deepStrictEqual([verified.status, verified.stdout], [0, "hello\n"], verified.stderr)
      assert.deepStrictEqual([insecure.status, insecure.stdout], [0, "hello\n"], insecure.stderr)
      assert.notStrictEqual(anonymous.status, 0)
    })
  )

  it.live("keeps cookies in a file", () =>
    Effect.gen(function* () {
      const requests = yield* Queue.unbounded<unknown>()
      const url = yield* serveTcp((socket) =>
        socket.once("data", (request: Buffer) => {
          Queue.offerUnsafe(requests, /^cookie: (.*)\r$/im.exec(request.toString())?.[1])
          socket.end("HTTP/1.1 401 Unauthorized\r\nSet-Cookie: id=7; Path=/; HttpOnly\r\nContent-Length: 0\r\n\r\n")
        })
      )
      const jar = file("cookies.txt")
      for (const expected of [undefined, "id=7"]) {
        assert.strictEqual((yield* run("", "connect", url, "-c", jar)).status, 22)
        assert.strictEqual(yield* Queue.take(requests), expected)
      }
      assert.match(readFileSync(jar, "utf8"), /^#HttpOnly_127\.0\.0\.1\tFALSE\t\/\tFALSE\t0\tid\t7\n/m)
      assert.strictEqual(statSync(jar).mode & 0o777, 0o600)
    })
  )

  it.live("connects again, and keeps what was not sent", () =>
    Effect.gen(function* () {
      let connections = 0
      const url = yield* serve((socket) => (++connections === 1 ? socket.abort : echo(socket)))
      const running = yield* start("connect", url, "--reconnect", "--verbose", "--wait", "50ms")
      yield* running.until("stderr", /connected to [^]*connects again in [^]*connected to /)
      running.child.stdin.end("hello\n")
      assert.strictEqual(yield* running.status, 0, running.stderr)
      assert.strictEqual(running.stdout, "hello\n")
    })
  )

  it.live("ends with the reason why there is no connection, if there is none to close", () =>
    Effect.gen(function* () {
      const closed = yield* Effect.scoped(serveTcp(() => {}))
      const cases = [
        [7, closed],
        [22, yield* serveTcp((socket) => socket.end("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"))],
        [28, yield* serveTcp(() => {})]
      ] as const
      const ended = yield* Effect.forEach(
        cases,
        ([, url]) => run("", "connect", url, "--reconnect", "--wait", "300ms"),
        { concurrency: 2 }
      )
      assert.deepStrictEqual(
        ended.map(({ status }) => status),
        cases.map(([status]) => status)
      )
      for (const { stderr } of ended) assert.isNotEmpty(stderr)
    })
  )
})

describe("listen", () => {
  it.live("echoes", () =>
    Effect.gen(function* () {
      const running = yield* start("listen", "0", "--echo")
      const [, url = ""] = yield* running.until("stderr", /listening on (\S+)\n/)
      const socket = yield* NodeWebSocketClient.connect(url)
      yield* socket.send("hello")
      assert.strictEqual((yield* socket.receive).data, "hello")
      yield* running.until("stdout", /^hello\n$/)
      running.child.kill("SIGTERM")
      assert.deepStrictEqual((yield* socket.closeStatus).received, { code: 1001, reason: "" })
      assert.strictEqual(yield* running.status, 143)
    })
  )

  it.live("relays stdin to all, from the first client on, and all to stdout", () =>
    Effect.gen(function* () {
      const running = yield* start("listen", "0", "--verbose")
      running.child.stdin.write("first\n")
      const [, url = ""] = yield* running.until("stderr", /listening on (\S+)\n/)
      const ann = yield* NodeWebSocketClient.connect(url)
      assert.strictEqual((yield* ann.receive).data, "first")
      const bob = yield* NodeWebSocketClient.connect(url)
      yield* running.until("stderr", /#2 connected/)
      running.child.stdin.end("second\n")
      assert.strictEqual((yield* ann.receive).data, "second")
      assert.strictEqual((yield* bob.receive).data, "second")
      yield* bob.send("hello")
      yield* running.until("stdout", /^hello\n$/)
    })
  )

  it.live("serves one connection on a Unix domain socket, to connect at the other end", () =>
    Effect.gen(function* () {
      const path = file("listen.sock")
      const server = yield* start("listen", "--unix-socket", path, "--once", "--wait", "infinite")
      server.child.stdin.end("from server\n")
      yield* server.until("stderr", /listening on/)
      const client = yield* run("from client\n", "connect", "ws://localhost/", "--unix-socket", path, "--wait", "50ms")
      assert.deepStrictEqual([client.status, client.stdout], [0, "from server\n"], client.stderr)
      assert.strictEqual(yield* server.status, 0, server.stderr)
      assert.strictEqual(server.stdout, "from client\n")
    })
  )

  it.live("says why it does not listen", () =>
    Effect.gen(function* () {
      const url = yield* serve(echo)
      const cases = [
        [110, ["listen", new URL(url).port]],
        [2, ["listen", "0", "--cert", file("cert.pem", certificates.good.cert)]]
      ] as const
      const ended = yield* Effect.forEach(cases, ([, args]) => run("", ...args), { concurrency: 2 })
      assert.deepStrictEqual(
        ended.map(({ status }) => status),
        cases.map(([status]) => status)
      )
    })
  )
})
