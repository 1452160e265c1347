import { type ChildProcessByStdio, spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import type { Readable } from "node:stream"
import { Effect, type Scope } from "../effect/index.js"
import { afterAll, assert, describe, it } from "../effect/vitest.js"
import { bundle } from "./programs.js"
import { endsAtSecondSignal, interruptedCode } from "./runMain.js"
import {
  answer101,
  closing,
  first,
  frame,
  header,
  type Peer,
  rawClient,
  rawServer,
  rawWebSocket,
  readResponse,
  upgradeRequest
} from "./support.js"

interface Program {
  readonly process: ChildProcessByStdio<null, Readable, Readable>
  readonly nextLine: Effect.Effect<string>
  /** How it ended, and what it wrote that was not read as a line. */
  readonly ended: Effect.Effect<{
    readonly code: number | null
    readonly signal: NodeJS.Signals | null
    readonly stdout: ReadonlyArray<string>
    readonly stderr: string
  }>
}

const programs = bundle("client", "server")
afterAll(programs.remove)

/** Starts one of `programs`; it ends with the scope. */
const start = (name: "client" | "server", ...args: ReadonlyArray<string>): Effect.Effect<Program, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => spawn(process.execPath, [programs.path(name), ...args], { stdio: ["ignore", "pipe", "pipe"] })),
    (process) => Effect.sync(() => process.kill("SIGKILL"))
  ).pipe(
    Effect.map((process) => {
      const lines = createInterface({ input: process.stdout })
      const stdout: Array<string> = []
      lines.on("line", (line) => stdout.push(line))
      let stderr = ""
      process.stderr.setEncoding("utf8").on("data", (text: string) => {
        stderr += text
      })
      const close = once(process, "close")
      return {
        process,
        nextLine: Effect.promise(async () => {
          if (stdout.length === 0) await once(lines, "line")
          return String(stdout.shift())
        }),
        ended: Effect.promise(async () => {
          const [code, signal] = await close
          return { code, signal, stdout, stderr }
        })
      }
    })
  )

const startServer = (closeTimeout: number, ...drain: ReadonlyArray<"drain">) =>
  Effect.gen(function* () {
    const program = yield* start("server", String(closeTimeout), ...drain)
    const port = Number(yield* program.nextLine)
    return { ...program, port, connect: (path: string) => rawWebSocket(port, path) }
  })

const quietly = (code: number) => ({ code, signal: null, stdout: [], stderr: "" })
const killed = (signal: NodeJS.Signals) => ({ code: null, signal, stdout: [], stderr: "" })

const atSecondSignal = endsAtSecondSignal ? "ends at once" : "goes on to end"

const expectClose = (peer: Peer, code: number) =>
  Effect.map(peer.frame, ({ first: opcode, payload }) => {
    assert.strictEqual(opcode, first.close)
    assert.deepStrictEqual(payload, closing(code))
  })

const expectReady = (peer: Peer) =>
  Effect.map(peer.frame, ({ payload }) => assert.strictEqual(payload.toString(), "ready"))

// One that no test waits for, and one that the tests of it do.
const longTimeout = 60_000
const shortTimeout = 300

describe("a server", () => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    it.live(`closes all connections with 1001 on ${signal}, and ends by itself`, () =>
      Effect.gen(function* () {
        const server = yield* startServer(longTimeout)
        const receiving = yield* server.connect("/receive")
        const running = yield* server.connect("/run")
        running.write(frame(first.text, "x", true))
        const blocked = yield* server.connect("/send")
        yield* Effect.forEach([receiving, running, blocked], expectReady)
        blocked.socket.pause()

        server.process.kill(signal)
        for (const peer of [receiving, running]) {
          assert.deepStrictEqual((yield* peer.farewell).payload, closing(1001))
        }
        // Behind all that waited to be written, a header of 10 bytes and 16 MiB, comes the Close.
        const tail = yield* readUntil(blocked, 10 + 16 * 1024 * 1024 + 4)
        assert.deepStrictEqual(tail, frame(first.close, closing(1001), false))
        blocked.write(frame(first.close, closing(1001), true))
        yield* blocked.left
        blocked.end()
        assert.deepStrictEqual(yield* server.ended, quietly(interruptedCode))
      })
    )
  }

  it.live("drops peers that do not read or do not answer after closeTimeout", () =>
    Effect.gen(function* () {
      const server = yield* startServer(shortTimeout)
      const silent = yield* server.connect("/receive")
      const blocked = yield* server.connect("/send")
      yield* Effect.forEach([silent, blocked], expectReady)
      blocked.socket.pause()

      server.process.kill("SIGINT")
      yield* expectClose(silent, 1001)
      assert.deepStrictEqual(yield* server.ended, quietly(interruptedCode))
      yield* silent.left
      blocked.socket.resume()
      yield* blocked.left
    })
  )

  it.live(`${atSecondSignal} on a second signal`, () =>
    Effect.gen(function* () {
      const server = yield* startServer(longTimeout)
      const silent = yield* server.connect("/receive")
      yield* expectReady(silent)

      server.process.kill("SIGINT")
      yield* expectClose(silent, 1001)
      server.process.kill("SIGTERM")
      if (!endsAtSecondSignal) {
        silent.write(frame(first.close, closing(1001), true))
        yield* silent.left
        silent.end()
      }
      assert.deepStrictEqual(yield* server.ended, endsAtSecondSignal ? killed("SIGTERM") : quietly(interruptedCode))
      yield* expectNoMore(silent)
    })
  )

  it.live("sends no Close on SIGKILL", () =>
    Effect.gen(function* () {
      const server = yield* startServer(longTimeout)
      const peer = yield* server.connect("/receive")
      yield* expectReady(peer)

      server.process.kill("SIGKILL")
      yield* expectNoMore(peer)
      assert.deepStrictEqual(yield* server.ended, killed("SIGKILL"))
    })
  )

  it.live("sends no Close on process.exit", () =>
    Effect.gen(function* () {
      const server = yield* startServer(longTimeout)
      const peer = yield* server.connect("/receive")
      yield* expectReady(peer)

      const exiting = yield* server.connect("/exit")
      exiting.write(frame(first.text, "x", true))
      yield* Effect.forEach([peer, exiting], expectNoMore)
      assert.deepStrictEqual(yield* server.ended, quietly(3))
    })
  )

  it.live("sends no Close on an uncaught exception", () =>
    Effect.gen(function* () {
      const server = yield* startServer(longTimeout)
      const peer = yield* server.connect("/receive")
      yield* expectReady(peer)

      const throwing = yield* server.connect("/throw")
      throwing.write(frame(first.text, "x", true))
      yield* Effect.forEach([peer, throwing], expectNoMore)
      const { code, signal, stderr, stdout } = yield* server.ended
      assert.deepStrictEqual({ code, signal, stdout }, { code: 1, signal: null, stdout: [] })
      assert.include(stderr, "Nobody catches this")
    })
  )
})

describe("a server that drains", () => {
  const startSaving = Effect.gen(function* () {
    const server = yield* startServer(longTimeout, "drain")
    const peer = yield* server.connect("/save")
    yield* expectReady(peer)
    server.process.kill("SIGTERM")
    assert.deepStrictEqual((yield* peer.farewell).payload, closing(1001))
    assert.strictEqual(yield* server.nextLine, "saving")
    return server
  })

  it.live("waits for its handlers on SIGTERM, answers others with 503, reports, and ends by itself", () =>
    Effect.gen(function* () {
      const server = yield* startSaving
      const late = yield* rawClient(server.port)
      late.write(upgradeRequest())
      const response = yield* readResponse(late)
      assert.deepStrictEqual([response.status, header(response.head, "Retry-After")], [503, "5"])
      late.end()
      server.process.kill("SIGUSR2")
      assert.strictEqual(yield* server.nextLine, "saved")
      const { stdout, ...end } = yield* server.ended
      assert.deepStrictEqual(end, { code: interruptedCode, signal: null, stderr: "" })
      assert.include(stdout.join(), "Drained connections (closed: 1, dropped: 0), interrupted handlers: 0")
    })
  )

  it.live(`${atSecondSignal} on a second SIGTERM`, () =>
    Effect.gen(function* () {
      const server = yield* startSaving
      server.process.kill("SIGTERM")
      if (endsAtSecondSignal) return assert.deepStrictEqual(yield* server.ended, killed("SIGTERM"))
      server.process.kill("SIGUSR2")
      assert.strictEqual(yield* server.nextLine, "saved")
      assert.strictEqual((yield* server.ended).code, interruptedCode)
    })
  )
})

describe("a client", () => {
  it.live("closes connections with 1001 on SIGINT, drops attempts to connect, and ends by itself", () =>
    Effect.gen(function* () {
      const server = yield* rawServer()
      const client = yield* start("client", String(longTimeout), `${server.url}/open`, `${server.url}/dialling`)
      const open: Array<Peer> = []
      const dialling: Array<Peer> = []
      for (let i = 0; i < 2; i++) {
        const peer = yield* server.next
        const request = yield* peer.until("\r\n\r\n")
        if (request.startsWith("GET /open ")) {
          peer.write(answer101(request))
          peer.write(frame(first.ping, "", false))
          open.push(peer)
        } else {
          dialling.push(peer)
        }
      }
      // It is open on the client's side as well once that answers.
      for (const peer of open) assert.strictEqual((yield* peer.frame).first, first.pong)

      client.process.kill("SIGINT")
      for (const peer of open) assert.deepStrictEqual((yield* peer.farewell).payload, closing(1001))
      for (const peer of dialling) {
        yield* peer.left
        peer.end()
      }
      assert.deepStrictEqual([open.length, dialling.length], [1, 1])
      assert.deepStrictEqual(yield* client.ended, quietly(interruptedCode))
    })
  )

  it.live("drops after closeTimeout a server that does not answer", () =>
    Effect.gen(function* () {
      const server = yield* rawServer()
      const client = yield* start("client", String(shortTimeout), server.url)
      const peer = yield* server.next
      yield* peer.answer({ behind: frame(first.ping, "", false) })
      assert.strictEqual((yield* peer.frame).first, first.pong)

      client.process.kill("SIGTERM")
      yield* expectClose(peer, 1001)
      assert.deepStrictEqual(yield* client.ended, quietly(interruptedCode))
      yield* peer.left
    })
  )
})

/** The connection ends, orderly or not, with not another byte. */
const expectNoMore = (peer: Peer) =>
  Effect.gen(function* () {
    yield* peer.left
    assert.strictEqual(peer.unread, 0)
  })

/** Reads this many bytes, and returns the last four. */
const readUntil = (peer: Peer, total: number) =>
  Effect.suspend(() => {
    let tail = Buffer.alloc(0)
    const counted = peer.count((read) => read >= total)
    peer.socket.on("data", (chunk: Buffer) => {
      tail = Buffer.concat([tail, chunk.subarray(-4)]).subarray(-4)
    })
    // The last listener sees the last chunk after this fiber was woken.
    return Effect.andThen(
      counted,
      Effect.map(Effect.yieldNow, () => tail)
    )
  })
