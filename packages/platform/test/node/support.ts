import type { WebSocket } from "@effect-websocket/platform/WebSocket"
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import * as WebSocketServer from "@effect-websocket/platform/WebSocketServer"
import type { Transport, TransportSink } from "@effect-websocket/platform/Transport"
import { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import type { IoError } from "@effect-websocket/protocol/Errors"
import { acceptValue } from "@effect-websocket/protocol/Handshake"
import { assert } from "@effect/vitest"
import { readFileSync } from "node:fs"
import * as Net from "node:net"
import type { Duplex } from "node:stream"
import {
  type Cause,
  Clock,
  Context,
  Duration,
  Effect,
  Layer,
  Logger,
  Queue,
  Scope,
  TestClock
} from "../effect/index.js"

// -------------------------------------------------------------------------------------------------------------------
// Waiting for what happens
// -------------------------------------------------------------------------------------------------------------------

/** Something that changes, and tells those who wait for it. */
class Watched {
  private readonly watchers = new Set<() => void>()

  protected changed(): void {
    for (const watcher of this.watchers) watcher()
  }

  /** The first value that `look` finds. It looks at once, and after every change. */
  await<A>(look: () => A | undefined): Effect.Effect<A> {
    return Effect.callback<A>((resume) => {
      const watcher = () => {
        try {
          const found = look()
          if (found === undefined) return
          this.watchers.delete(watcher)
          resume(Effect.succeed(found))
        } catch (error) {
          this.watchers.delete(watcher)
          resume(Effect.die(error))
        }
      }
      this.watchers.add(watcher)
      watcher()
      return Effect.sync(() => this.watchers.delete(watcher))
    })
  }
}

/** Waits until something holds that no event tells about, by looking in every turn of the event loop. */
export const eventually = (holds: () => boolean): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    let timer: NodeJS.Immediate | undefined
    const look = () => {
      if (holds()) resume(Effect.void)
      else timer = setImmediate(look)
    }
    look()
    return Effect.sync(() => timer !== undefined && clearImmediate(timer))
  })

/** Waits until a value has stayed the same for many turns of the event loop. */
export const settled = (read: () => number): Effect.Effect<number> =>
  Effect.suspend(() => {
    let last = read()
    let turns = 0
    return Effect.map(
      eventually(() => {
        const next = read()
        turns = next === last ? turns + 1 : 0
        last = next
        return turns === 500
      }),
      () => last
    )
  })

/** Moves the `TestClock` on by a time, once something sleeps for exactly that. */
export const elapse = (time: Duration.Input): Effect.Effect<void> =>
  Effect.gen(function* () {
    const wake = (yield* Clock.currentTimeMillis) + Duration.toMillis(time)
    let sleeping: ReadonlyArray<number>
    do {
      yield* Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
      sleeping = yield* TestClock.sleeps
    } while (!sleeping.includes(wake))
    yield* TestClock.adjust(time)
  })

export const mebibyte = 1024 * 1024

/** What this process holds for bytes. */
export const memory = (): number => {
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return arrayBuffers + heapUsed
}

/** Waits until a connection has as much to write as it takes without waiting. */
export const stalled = (socket: WebSocket): Effect.Effect<number> =>
  Effect.repeat(Effect.andThen(Effect.yieldNow, socket.bufferedBytes), { until: (bytes) => bytes >= 65536 })

/** 64 KiB that begin with a number. */
export const stamped = (index: number): Buffer => {
  const bytes = Buffer.alloc(65536)
  bytes.writeUInt32BE(index)
  return bytes
}

const openHandles = (): ReadonlyArray<string> =>
  process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP") || name.startsWith("TLS"))

/** For `afterEach`: every socket and every server of the test is gone. */
export const noHandlesLeft = (): Promise<void> =>
  Effect.runPromise(
    eventually(() => openHandles().length === 0).pipe(
      Effect.timeoutOption("1 minutes"),
      Effect.map(() => assert.deepStrictEqual(openHandles(), []))
    )
  )

// -------------------------------------------------------------------------------------------------------------------
// Frames, by an implementation that is not the library's
// -------------------------------------------------------------------------------------------------------------------

export interface Frame {
  /** FIN, the reserved bits and the opcode. */
  readonly first: number
  readonly masked: boolean
  readonly payload: Buffer
}

export const first = { text: 0x81, binary: 0x82, close: 0x88, ping: 0x89, pong: 0x8a } as const

const maskKey = Buffer.from([0x37, 0xfa, 0x21, 0x3d])

/** By words, because some tests send hundreds of MiB. */
const masked = (payload: Buffer, key: Buffer): Buffer => {
  const bytes = new Uint8Array(payload)
  const words = new Uint32Array(bytes.buffer, 0, bytes.length >>> 2)
  const word = new Uint32Array(new Uint8Array(key).buffer)[0]!
  for (let i = 0; i < words.length; i++) words[i]! ^= word
  for (let i = words.length * 4; i < bytes.length; i++) bytes[i]! ^= key[i & 3]!
  return Buffer.from(bytes.buffer)
}

export const frame = (firstByte: number, payload: string | Uint8Array, masks: boolean): Buffer => {
  const data = Buffer.from(payload as Uint8Array)
  const maskBit = masks ? 0x80 : 0
  const size = data.length < 126 ? data.length : data.length < 65536 ? 126 : 127
  const length = Buffer.alloc(size === 127 ? 8 : size === 126 ? 2 : 0)
  if (size === 126) length.writeUInt16BE(data.length)
  if (size === 127) length.writeBigUInt64BE(BigInt(data.length))
  return Buffer.concat([
    Buffer.from([firstByte, maskBit | size]),
    length,
    ...(masks ? [maskKey, masked(data, maskKey)] : [data])
  ])
}

/** The payload of a Close. */
export const closing = (code: number, reason = ""): Buffer =>
  Buffer.concat([Buffer.from([code >>> 8, code & 0xff]), Buffer.from(reason)])

const parseFrame = (bytes: Buffer): { readonly frame: Frame; readonly size: number } | undefined => {
  if (bytes.length < 2) return undefined
  const short = bytes[1]! & 0x7f
  const isMasked = bytes[1]! >= 0x80
  const lengthSize = short === 127 ? 8 : short === 126 ? 2 : 0
  const start = 2 + lengthSize + (isMasked ? 4 : 0)
  if (bytes.length < start) return undefined
  const length = lengthSize === 8 ? Number(bytes.readBigUInt64BE(2)) : lengthSize === 2 ? bytes.readUInt16BE(2) : short
  if (bytes.length < start + length) return undefined
  const data = bytes.subarray(start, start + length)
  const payload = isMasked ? masked(data, bytes.subarray(start - 4, start)) : Buffer.from(data)
  return { frame: { first: bytes[0]!, masked: isMasked, payload }, size: start + length }
}

// -------------------------------------------------------------------------------------------------------------------
// Raw peers
// -------------------------------------------------------------------------------------------------------------------

/** Bytes in the order in which they arrived. Their room doubles, so that a large frame is not copied for each of its pieces. */
class Arrived {
  private room = Buffer.alloc(0)
  private start = 0
  private end = 0

  get bytes(): Buffer {
    return this.room.subarray(this.start, this.end)
  }

  add(chunk: Buffer): void {
    if (this.end + chunk.length > this.room.length) {
      const { bytes } = this
      // What was taken is part of the old room.
      this.room = Buffer.alloc(2 * (bytes.length + chunk.length))
      bytes.copy(this.room)
      this.start = 0
      this.end = bytes.length
    }
    chunk.copy(this.room, this.end)
    this.end += chunk.length
  }

  take(size: number): Buffer {
    const taken = this.bytes.subarray(0, size)
    this.start += taken.length
    return taken
  }
}

/** A peer that speaks no WebSocket: a TCP socket or another stream, which reads only when it is asked to. */
export class Peer<S extends Duplex = Net.Socket> extends Watched {
  readonly socket: S
  private readonly arrived = new Arrived()
  private reading = false
  private ended = false
  private isClosed = false
  error: NodeJS.ErrnoException | undefined

  constructor(socket: S) {
    super()
    this.socket = socket
    if (socket instanceof Net.Socket) socket.setNoDelay(true)
    socket.on("error", (error) => {
      this.error = error
    })
    socket.on("close", () => {
      this.isClosed = true
      this.changed()
    })
  }

  private read(): void {
    if (this.reading) return
    this.reading = true
    this.socket.on("data", (chunk: Buffer) => {
      this.arrived.add(chunk)
      this.changed()
    })
    this.socket.on("end", () => {
      this.ended = true
      this.changed()
    })
  }

  private expect<A>(look: () => A | undefined): Effect.Effect<A> {
    return Effect.suspend(() => {
      this.read()
      return this.await(() => {
        const found = look()
        if (found === undefined && (this.isClosed || this.ended)) {
          throw new Error(
            `The peer has ended (${this.error?.code}), behind ${JSON.stringify(String(this.arrived.bytes))}`
          )
        }
        return found
      })
    })
  }

  /** How many bytes have arrived that nobody has asked for. */
  get unread(): number {
    return this.arrived.bytes.length
  }

  /** Text up to and with a marker. */
  until(marker: string): Effect.Effect<string> {
    return this.expect(() => {
      const index = this.arrived.bytes.indexOf(marker, 0, "latin1")
      return index < 0 ? undefined : this.arrived.take(index + marker.length).toString("latin1")
    })
  }

  bytesOf(size: number): Effect.Effect<Buffer> {
    return this.expect(() => (this.unread < size ? undefined : this.arrived.take(size)))
  }

  get frame(): Effect.Effect<Frame> {
    return this.expect(() => {
      const parsed = parseFrame(this.arrived.bytes)
      if (parsed !== undefined) this.arrived.take(parsed.size)
      return parsed?.frame
    })
  }

  /** Everything up to the end of what the other side sends, which must be an orderly one. */
  get rest(): Effect.Effect<Buffer> {
    return Effect.suspend(() => {
      this.read()
      return this.await(() => {
        if (this.ended) return this.arrived.take(this.unread)
        if (this.isClosed) throw new Error(`No orderly end: ${this.error?.code}`)
        return undefined
      })
    })
  }

  /** The other side has ended or dropped the connection. */
  get left(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.read()
      return this.await(() => this.ended || this.isClosed || undefined)
    })
  }

  /** Nothing is left of the connection, from either side. */
  get closed(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.read()
      return this.await(() => (this.isClosed ? true : undefined))
    })
  }

  /** All bytes that are still to come, counted and dropped. `look` ends it. */
  count(look: (total: number) => boolean): Effect.Effect<void> {
    let total = this.arrived.take(this.unread).length
    this.reading = true
    this.socket.removeAllListeners("data")
    this.socket.on("data", (chunk: Buffer) => {
      total += chunk.length
      this.changed()
    })
    this.socket.resume()
    return this.await(() => look(total) || undefined)
  }

  write(data: string | Uint8Array): void {
    this.socket.write(data)
  }

  end(): void {
    this.socket.end()
  }

  /** Sends a RST, and no FIN before it as Node does. */
  reset(): void {
    const { socket } = this
    assert(socket instanceof Net.Socket)
    socket.destroySoon = () => void socket.destroy()
    socket.resetAndDestroy()
  }

  /** As the server of a WebSocket: reads the request and answers 101. */
  answer(options: { readonly headers?: ReadonlyArray<string>; readonly behind?: Uint8Array } = {}) {
    return Effect.map(this.until("\r\n\r\n"), (request) => {
      this.write(Buffer.concat([Buffer.from(answer101(request, options.headers)), options.behind ?? Buffer.alloc(0)]))
      return request
    })
  }

  /** Reads a Close, answers it in kind, and ends after the other side, which is a server, has ended. */
  get farewell(): Effect.Effect<Frame> {
    return Effect.gen(() => this.sayFarewell())
  }

  private *sayFarewell() {
    const received = yield* this.frame
    assert.strictEqual(received.first, first.close)
    this.write(frame(first.close, received.payload, !received.masked))
    if (!received.masked) assert.strictEqual((yield* this.rest).length, 0)
    this.end()
    yield* this.closed
    return received
  }
}

/** The value of a header in the text of a request or an answer. */
export const header = (text: string, name: string): string | undefined =>
  new RegExp(`\r\n${name}: ?([^\r]*)\r\n`, "i").exec(text)?.[1]

export const answer101 = (request: string, headers: ReadonlyArray<string> = []): string =>
  [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${acceptValue(header(request, "Sec-WebSocket-Key") ?? "")}`,
    ...headers,
    "\r\n"
  ].join("\r\n")

/** Listens on an ephemeral port of 127.0.0.1, unless told otherwise. */
export const listen = <S extends Net.Server>(
  server: S,
  options: { readonly host?: string; readonly port?: number } = {}
): Effect.Effect<number, never, Scope.Scope> => {
  const sockets = new Set<Net.Socket>()
  server.on("connection", (socket) => {
    sockets.add(socket)
    socket.once("close", () => sockets.delete(socket))
  })
  return Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      server.listen(options.port ?? 0, options.host ?? "127.0.0.1", () =>
        resume(Effect.succeed((server.address() as Net.AddressInfo).port))
      )
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      })
  )
}

/** A server of raw peers. */
export const rawServer = (options: { readonly host?: string } = {}) =>
  Effect.gen(function* () {
    const peers = yield* Queue.unbounded<Peer>()
    const server = Net.createServer({ allowHalfOpen: true }, (socket) => {
      Queue.offerUnsafe(peers, new Peer(socket))
    })
    const port = yield* listen(server, options)
    return { port, url: `ws://127.0.0.1:${port}`, next: Queue.take(peers) }
  })

/** A raw peer that is connected to a port. */
export const rawClient = (port: number): Effect.Effect<Peer, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Peer>((resume) => {
      const socket: Net.Socket = Net.connect({ host: "127.0.0.1", port, allowHalfOpen: true }, () =>
        resume(Effect.succeed(peer))
      )
      const peer = new Peer(socket)
    }),
    (peer) =>
      Effect.suspend(() => {
        peer.socket.destroy()
        return peer.closed
      })
  )

export const key = "dGhlIHNhbXBsZSBub25jZQ=="
export const acceptOfKey = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

/** The text of an upgrade request, with changed headers: `undefined` leaves one out, an array repeats it. */
export const upgradeRequest = (
  changes: Readonly<Record<string, string | ReadonlyArray<string> | undefined>> = {},
  requestLine = "GET /chat?room=1 HTTP/1.1"
): string => {
  const headers = {
    Host: "127.0.0.1",
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Key": key,
    "Sec-WebSocket-Version": "13",
    ...changes
  }
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    (value === undefined ? [] : typeof value === "string" ? [value] : value).map((each) => `${name}: ${each}\r\n`)
  )
  return `${requestLine}\r\n${lines.join("")}\r\n`
}

/** A raw peer that has made the opening handshake with a server. */
export const rawWebSocket = (port: number, path = "/chat?room=1"): Effect.Effect<Peer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const peer = yield* rawClient(port)
    peer.write(upgradeRequest({}, `GET ${path} HTTP/1.1`))
    const answer = yield* peer.until("\r\n\r\n")
    assert.match(answer, /^HTTP\/1\.1 101 /)
    assert.strictEqual(header(answer, "Sec-WebSocket-Accept"), acceptOfKey)
    return peer
  })

export interface Response {
  readonly status: number
  readonly head: string
  readonly body: string
}

/** Reads an HTTP answer to its end, which must be where its header says. */
export const readResponse = (peer: Peer): Effect.Effect<Response> =>
  Effect.gen(function* () {
    const head = yield* peer.until("\r\n\r\n")
    const rest = (yield* peer.rest).toString()
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1])
    if (header(head, "Transfer-Encoding") === "chunked") {
      const chunked = /^([0-9a-f]+)\r\n([^]*)\r\n0\r\n\r\n$/.exec(rest)
      assert.strictEqual(Buffer.byteLength(chunked?.[2] ?? ""), parseInt(chunked?.[1] ?? "", 16))
      return { status, head, body: chunked?.[2] ?? "" }
    }
    assert.strictEqual(Buffer.byteLength(rest), Number(header(head, "Content-Length")))
    return { status, head, body: rest }
  })

// -------------------------------------------------------------------------------------------------------------------
// The library
// -------------------------------------------------------------------------------------------------------------------

const fixture = (name: string): Buffer => readFileSync(new URL(`./fixtures/${name}`, import.meta.url))

/** A certificate that signs itself, for localhost and 127.0.0.1. */
export const tls = { key: fixture("key.pem"), cert: fixture("cert.pem") }

const quietly = Effect.provide(Logger.withoutDefault)

/** A scope that a test may close before its own ends. */
export const childScope: Effect.Effect<Scope.Closeable, never, Scope.Scope> = Effect.flatMap(Effect.scope, (scope) =>
  Scope.fork(scope, "sequential")
)

/** A server on an ephemeral port of 127.0.0.1, released with the scope. */
export const serve = (options: Partial<NodeWebSocketServer.PortOptions> = {}) =>
  Effect.map(quietly(Layer.build(NodeWebSocketServer.layer({ port: 0, host: "127.0.0.1", ...options }))), (context) =>
    Context.get(context, WebSocketServer.WebSocketServer)
  )

/** The same, which sends everything back. */
export const serveEcho = (options: Partial<NodeWebSocketServer.PortOptions> = {}) =>
  Effect.tap(serve(options), (server) =>
    quietly(Effect.forkScoped(server.run((socket) => socket.run((message) => socket.send(message)))))
  )

export const connect = (url: string, options?: WebSocketClient.ConnectOptions) =>
  Effect.provide(WebSocketClient.connect(url, options), NodeWebSocketClient.layer)

/** What an error says, without the prose and the cause. chai looks only at the names and messages of two errors. */
export const facts = (error: unknown): Record<string, unknown> => {
  assert.instanceOf(error, Error)
  const fields: Record<string, unknown> = { ...error }
  delete fields["description"]
  delete fields["cause"]
  return fields
}

export const ioFacts = (reason: string, operation: string) => ({ _tag: "Io_error", reason, operation })

export const protocolFacts = (section: string, closeCode?: number) => ({
  _tag: "Protocol_error",
  origin: "remote",
  section,
  closeCode
})

export const closedFacts = (code: number, initiator: "local" | "remote", clean = true, reason = "") => ({
  _tag: "Connection_closed",
  code,
  reason,
  initiator,
  clean
})

export interface LogEntry {
  readonly level: string
  readonly message: ReadonlyArray<unknown>
  readonly cause: Cause.Cause<unknown>
}

/** Runs an effect with a log that the test can read. */
export const withLog = <A, E, R>(use: (log: ReadonlyArray<LogEntry>) => Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const log: Array<LogEntry> = []
    const logger = Logger.make((entry) => {
      const { cause, message } = entry
      log.push({ level: Logger.levelOf(entry), message: Array.isArray(message) ? message : [message], cause })
    })
    return Effect.provide(use(log), Logger.layer([logger]))
  })

/** A sink that remembers what a transport reports. */
export class RecordingSink extends Watched implements TransportSink {
  readonly events: Array<string> = []
  readonly errors: Array<IoError> = []
  bytes = Buffer.alloc(0)

  onChunk(chunk: Uint8Array): void {
    this.bytes = Buffer.concat([this.bytes, chunk])
    this.record("chunk")
  }
  onEof(): void {
    this.record("eof")
  }
  onDrain(): void {
    this.record("drain")
  }
  onError(error: IoError): void {
    this.errors.push(error)
    this.record("error")
  }
  onClose(): void {
    this.record("close")
  }

  private record(event: string): void {
    if (event !== "chunk" || this.events.at(-1) !== "chunk") this.events.push(event)
    this.changed()
  }

  event(name: string): Effect.Effect<true> {
    return this.await(() => this.events.includes(name) || undefined)
  }

  received(text: string): Effect.Effect<true> {
    return this.await(() => this.bytes.toString() === text || undefined)
  }
}

export const start = (transport: Transport, marks = { high: 65536, low: 16384 }): RecordingSink => {
  const sink = new RecordingSink()
  transport.start(sink, marks)
  return sink
}
