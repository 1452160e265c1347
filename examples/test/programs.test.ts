import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { type ChildProcessByStdio, spawn } from "node:child_process"
import { once } from "node:events"
import { rmSync } from "node:fs"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { createInterface } from "node:readline"
import type { Readable } from "node:stream"
import { WebSocket, WebSocketServer } from "ws"
import { bundle } from "./bundle.js"

type Program = ChildProcessByStdio<null, Readable, Readable>

const folder = bundle("demo", "topics-demo", "echo-server", "large-message", "autobahn-client", "rpc")
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Starts a program; it ends with the scope. */
const start = (name: string, ...args: ReadonlyArray<string>) =>
  Effect.acquireRelease(
    Effect.sync((): Program =>
      spawn(process.execPath, [join(folder, `${name}.mjs`), ...args], { stdio: ["ignore", "pipe", "pipe"] })
    ),
    (program) => Effect.sync(() => program.kill("SIGKILL"))
  )

const output = (program: Program) =>
  Effect.promise(async () => {
    const lines: Array<string> = []
    createInterface({ input: program.stdout }).on("line", (line) => lines.push(line))
    const [code] = await once(program, "close")
    return { code, lines }
  })

const firstLine = (program: Program) =>
  Effect.promise(async () => String((await once(createInterface({ input: program.stdout }), "line"))[0]))

const next = <A>(socket: WebSocket, event: string, pick: (first: A, second: boolean) => unknown) =>
  Effect.promise(async () => {
    const [first, second] = await once(socket, event)
    return pick(first, second)
  })

describe("topics-demo", () => {
  it.scoped("shows a subscriber that recovers, and one that has a gap", () =>
    Effect.gen(function* () {
      const { code, lines } = yield* output(yield* start("topics-demo"))
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(
        lines.filter((line) => line.startsWith("  subscriber")).map((line) => line.replace("  subscriber  ", "")),
        [
          "recovered from 0: 2 missed",
          "1 message 1",
          "2 message 2",
          "recovered from 2: 3 missed",
          "3 message 3",
          "4 message 4",
          "5 message 5",
          "GAP: goes on at 12, load the state anew"
        ]
      )
    })
  )
})

describe("rpc", () => {
  it.scopedLive("calls procedures over a WebSocket and exits by itself", () =>
    Effect.gen(function* () {
      const { code, lines } = yield* Effect.flatMap(start("rpc"), output)
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(lines, ["hello ann", "3", "2", "1", "lift-off"])
    })
  )
})

describe("demo", () => {
  it.scopedLive("shows each thing and exits by itself", () =>
    Effect.gen(function* () {
      const { code, lines } = yield* Effect.flatMap(start("demo"), output)
      const transcript = lines.join("\n")
      assert.strictEqual(code, 0)
      for (const part of [
        'send("hello")                      came back: "hello"',
        "came back: Uint8Array [1, 2, 3]",
        'came back: "in fragments of 4 bytes"',
        "`limits.maxMessageBytes` allows 8",
        "the server closed: 1009",
        "403 The origin",
        "sent Close 1001, received Close 1001, clean"
      ]) {
        assert.include(transcript, part)
      }
      assert.match(transcript, /ping +round trip: \d+\.\d\d ms/)
    })
  )
})

describe("large-message", () => {
  it.scopedLive("passes through a process that could not hold it", () =>
    Effect.gen(function* () {
      const { code, lines } = yield* Effect.flatMap(start("large-message", "--mebibytes", "512"), output)
      const [, bytes, , grown] =
        /^received (\d+) bytes; .* (\d+) MiB at most, (\d+) MiB more/.exec(lines[0] ?? "") ?? []
      assert.strictEqual(code, 0)
      assert.strictEqual(Number(bytes), 512 * 1024 * 1024)
      // Several times what the program needs, and far less than either side would need to hold the message.
      assert.isBelow(Number(grown), 256)
    })
  )
})

describe("echo-server", () => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    it.scopedLive(`echoes, keeps its limits, and closes everyone with 1001 on ${signal}`, () =>
      Effect.gen(function* () {
        const program = yield* start(
          "echo-server",
          "--port",
          "0",
          "--max-message-bytes",
          "1000",
          "--max-fragments",
          "2"
        )
        const line = yield* firstLine(program)
        const url = /^listening on (ws:\/\/127\.0\.0\.1:\d+)$/.exec(line)?.[1]
        assert.isDefined(url, line)
        const exit = Effect.promise(() => once(program, "close"))
        // The server allows any origin.
        const connect = Effect.gen(function* () {
          const socket = new WebSocket(String(url), { origin: "https://example.com" })
          yield* next(socket, "open", () => undefined)
          return socket
        })
        const message = (socket: WebSocket) =>
          next(socket, "message", (data: Buffer, isBinary: boolean) => [data.toString(), isBinary])
        const close = (socket: WebSocket) => next(socket, "close", (code: number) => code)

        const socket = yield* connect
        socket.send("text")
        assert.deepStrictEqual(yield* message(socket), ["text", false])
        socket.send(Buffer.from("binary"))
        assert.deepStrictEqual(yield* message(socket), ["binary", true])

        const tooLarge = yield* connect
        tooLarge.send("x".repeat(1001))
        assert.strictEqual(yield* close(tooLarge), 1009)

        const tooMany = yield* connect
        for (const fin of [false, false, true]) tooMany.send("x", { fin })
        assert.strictEqual(yield* close(tooMany), 1009)

        program.kill(signal)
        const [code, [exitCode]] = yield* Effect.all([close(socket), exit], { concurrency: "unbounded" })
        assert.strictEqual(code, 1001)
        assert.strictEqual(exitCode, 0)
      })
    )
  }
})

describe("a wrong option", () => {
  it.scopedLive("is told once", () =>
    Effect.gen(function* () {
      const program = yield* start("echo-server", "--port", "0", "--bogus")
      const told: Array<string> = []
      program.stderr.on("data", (chunk: Buffer) => told.push(chunk.toString()))
      const { code, lines } = yield* output(program)
      assert.deepStrictEqual([code, ...lines, told.join("").trim()], [1, "Received unknown argument: '--bogus'"])
    })
  )
})

describe("--compress", () => {
  const text = "compressed, and compressed once more. ".repeat(3)

  it.scopedLive("makes the echo server accept what is offered", () =>
    Effect.gen(function* () {
      const line = yield* Effect.flatMap(start("echo-server", "--port", "0", "--compress"), firstLine)
      const socket = new WebSocket(line.replace("listening on ", ""), { perMessageDeflate: { serverMaxWindowBits: 9 } })
      let answer: string | undefined
      socket.on("upgrade", ({ headers }) => {
        answer = headers["sec-websocket-extensions"]
      })
      yield* next(socket, "open", () => undefined)
      assert.strictEqual(answer, "permessage-deflate; server_max_window_bits=9; client_max_window_bits=15")
      socket.send(text)
      assert.strictEqual(yield* next(socket, "message", (data: Buffer) => data.toString()), text)
      socket.terminate()
    })
  )

  it.scopedLive("makes the Autobahn client offer every parameter", () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.sync(
          () => new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: { clientMaxWindowBits: 9 } })
        ),
        (server) => Effect.async<void>((resume) => server.close(() => resume(Effect.void)))
      )
      yield* Effect.promise(() => once(server, "listening"))
      const seen: Array<unknown> = []
      let answer: string | undefined
      server.on("headers", (headers) => {
        answer = headers.find((line) => line.startsWith("Sec-WebSocket-Extensions"))
      })
      server.on("connection", (socket, request) => {
        const { pathname } = new URL(String(request.url), "ws://x")
        if (pathname === "/getCaseCount") socket.send("1")
        if (pathname !== "/runCase") return socket.close()
        seen.push(request.headers["sec-websocket-extensions"], answer)
        socket.send(text)
        socket.on("message", (data: Buffer) => {
          seen.push(data.toString())
          socket.close()
        })
      })
      const { port } = server.address() as AddressInfo
      const url = `ws://127.0.0.1:${port}`
      yield* Effect.flatMap(start("autobahn-client", "--url", url, "--agent", "a", "--compress"), output)
      assert.deepStrictEqual(seen, [
        "permessage-deflate; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits, " +
          "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15; client_max_window_bits, " +
          "permessage-deflate; client_max_window_bits, permessage-deflate",
        "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=9",
        text
      ])
    })
  )
})

describe("autobahn-client", () => {
  it.scopedLive("runs every case, also behind one that fails, and asks for the report", () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.sync(() => new WebSocketServer({ port: 0, host: "127.0.0.1" })),
        (server) => Effect.async<void>((resume) => server.close(() => resume(Effect.void)))
      )
      yield* Effect.promise(() => once(server, "listening"))
      const visited: Array<string> = []
      const outcomes: Array<unknown> = []
      server.on("connection", (socket, request) => {
        visited.push(String(request.url))
        const url = new URL(String(request.url), "ws://x")
        socket.on("error", () => {})
        if (url.pathname === "/getCaseCount") {
          socket.send("4")
          socket.close()
        } else if (url.pathname === "/updateReports") {
          socket.close()
        } else if (url.searchParams.get("case") === "1") {
          socket.send("echo me")
          socket.on("message", (data: Buffer, isBinary) => {
            outcomes.push([data.toString(), isBinary])
            socket.close(1000)
          })
        } else if (url.searchParams.get("case") === "2") {
          // A valid message and a reserved opcode arrive in one packet. The echo comes before the Close.
          socket.on("message", (data: Buffer) => outcomes.push(data.toString()))
          socket.on("close", (code) => outcomes.push(code))
          request.socket.write(Buffer.from([0x81, 0x02, 0x68, 0x69, 0x83, 0x00]))
        } else if (url.searchParams.get("case") === "3") {
          socket.terminate()
        } else {
          socket.send(Buffer.alloc(3000))
          socket.on("close", (code) => outcomes.push(code))
        }
      })
      const { port } = server.address() as AddressInfo
      const url = `ws://127.0.0.1:${port}`
      const program = yield* start("autobahn-client", "--url", url, "--agent", "a b", "--max-message-bytes", "2000")
      const { code, lines } = yield* output(program)
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(lines, ["running 4 cases as a b", "done"])
      assert.deepStrictEqual(visited, [
        "/getCaseCount",
        ...[1, 2, 3, 4].map((number) => `/runCase?case=${number}&agent=a+b`),
        "/updateReports?agent=a+b"
      ])
      assert.deepStrictEqual(outcomes, [["echo me", false], "hi", 1002, 1009])
    })
  )
})
