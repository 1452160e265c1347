/** The load generator. It takes requests over IPC, and answers after all of its messages have come back. */
import * as Frame from "@effect-websocket/protocol/Frame"
import { encode } from "@effect-websocket/protocol/FrameEncoder"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import * as frames from "./frames.js"
import { LoadConnection } from "./LoadConnection.js"
import { listen } from "./LoadServer.js"
import type { Peer } from "./Peer.js"
import type { Dialect, Request, Result } from "./requests.js"

let connections: Array<Peer> = []
// The side of the connections on which this process is.
let role: frames.Role = "client"

// The number of connections to open at a time: fewer than the kernel's queue for a server.
const openAtOnce = 100

const open = async (port: number, count: number, compressed: boolean, dialect: Dialect): Promise<void> => {
  while (connections.length < count) {
    const some = Array.from({ length: Math.min(openAtOnce, count - connections.length) }, () => {
      const path = dialect === "plain" ? "/" : "/socket.io/?EIO=4&transport=websocket"
      const connection = new LoadConnection(port, compressed, path)
      return { connection, entered: dialect === "plain" ? connection.opened : enter(connection) }
    })
    for (const { connection, entered } of some) {
      await entered
      connections.push(connection)
    }
  }
}

/** The handshake of Socket.IO behind that of WebSockets: it sends its settings, and answers to `40`. */
const enter = async (connection: LoadConnection): Promise<void> => {
  let missing = 2
  const entered = new Promise<void>((resolve) => {
    connection.onMessages = (count) => {
      missing -= count
      if (missing === 0) resolve()
    }
  })
  await connection.opened
  connection.write(frames.text("40"))
  await entered
}

const nothing: Result = { messages: 0, cpu: 0, millis: 0, latencies: [], openings: [], closings: [] }

/** Runs for some time, and measures until everything is back. */
const measure = async (
  millis: number,
  begin: (isOver: () => boolean, count: (messages: number) => void, done: () => void) => void
): Promise<Result> => {
  let messages = 0
  let over = false
  const cpu = process.cpuUsage()
  const start = performance.now()
  const timer = setTimeout(() => (over = true), millis)
  await new Promise<void>((resolve) =>
    begin(
      () => over,
      (count) => (messages += count),
      resolve
    )
  )
  clearTimeout(timer)
  const { system, user } = process.cpuUsage(cpu)
  return { ...nothing, messages, cpu: system + user, millis: performance.now() - start }
}

/** Writes a chunk in each turn of the event loop. */
const writerInChunks = (peer: Peer, chunkBytes: number) => {
  let pending: Buffer = Buffer.alloc(0)
  const turn = () => {
    peer.write(pending.subarray(0, chunkBytes))
    pending = pending.subarray(chunkBytes)
    if (pending.length > 0) setImmediate(turn)
  }
  return (bytes: Buffer) => {
    const idle = pending.length === 0
    pending = idle ? bytes : Buffer.concat([pending, bytes])
    if (idle) turn()
  }
}

const exchange = (
  shape: frames.Shape,
  inFlight: number,
  millis: number,
  senders = connections,
  chunkBytes: number | null = null
) => {
  const { bytes, ends } = frames.batch(shape, inFlight, role)
  const first = ends.map((end) => bytes.subarray(0, end))
  return measure(millis, (isOver, count, done) => {
    let outstanding = senders.length * inFlight
    for (const connection of senders) {
      const write =
        chunkBytes === null ? (some: Buffer) => connection.write(some) : writerInChunks(connection, chunkBytes)
      connection.onMessages = (received) => {
        count(received)
        if (isOver()) {
          outstanding -= received
          if (outstanding === 0) done()
        } else {
          write(first[received - 1]!)
        }
      }
      write(bytes)
    }
  })
}

const messageIn = (dialect: Dialect, shape: frames.Shape): Uint8Array =>
  dialect === "plain"
    ? frames.message(shape, 0)
    : frames.text(`42${JSON.stringify(["message", frames.payload(shape, 0).toString()])}`)

const relay = (shape: frames.Shape, dialect: Dialect, millis: number) => {
  const message = messageIn(dialect, shape)
  const senders = connections.slice(0, -1)
  return measure(millis, (isOver, count, done) => {
    let outstanding = senders.length
    let next = 0
    connections.at(-1)!.onMessages = (received) => {
      count(received)
      for (let i = 0; i < received; i++) {
        if (isOver()) outstanding--
        else senders[next++ % senders.length]!.write(message)
      }
      if (outstanding === 0) done()
    }
    for (const sender of senders) sender.write(message)
  })
}

const broadcast = async (shape: frames.Shape, dialect: Dialect, atLeast: number, millis: number) => {
  const message = messageIn(dialect, shape)
  const latencies: Array<number> = []
  const result = await measure(millis, (isOver, count, done) => {
    let outstanding = connections.length
    let sent = 1
    let sentAt = performance.now()
    for (const connection of connections) {
      connection.onMessages = (received) => {
        count(received)
        outstanding -= received
        if (outstanding > 0) return
        const now = performance.now()
        latencies.push(now - sentAt)
        sentAt = now
        if (isOver() && sent >= atLeast) {
          done()
        } else {
          sent++
          outstanding = connections.length
          connections[0]!.write(message)
        }
      }
    }
    connections[0]!.write(message)
  })
  return { ...result, latencies }
}

/** Sends the due messages in every turn of the event loop, which therefore never sleeps. */
const pace = async (shape: frames.Shape, rate: number, burst: number, millis: number, senders = connections) => {
  const { bytes } = frames.batch(shape, burst, role)
  const latencies: Array<number> = []
  const result = await measure(millis, (isOver, count, done) => {
    const start = performance.now()
    let sent = 0
    const dueTimes = senders.map((connection) => {
      const times: Array<number> = []
      connection.onMessages = (received) => {
        const now = performance.now()
        count(received)
        for (const due of times.splice(0, received)) latencies.push(now - due)
      }
      return times
    })
    const turn = () => {
      if (isOver()) {
        if (latencies.length === sent) done()
        else setImmediate(turn)
        return
      }
      const due = ((performance.now() - start) * rate) / 1000
      for (; sent < due; sent += burst) {
        const index = (sent / burst) % senders.length
        const dueTime = start + (sent * 1000) / rate
        for (let i = 0; i < burst; i++) dueTimes[index]!.push(dueTime)
        senders[index]!.write(bytes)
      }
      setImmediate(turn)
    }
    turn()
  })
  return { ...result, latencies }
}

const beside = async (shape: frames.Shape, inFlight: number, intervalMillis: number, millis: number) => {
  const [quiet, ...busy] = connections
  const noise = exchange(shape, inFlight, millis, busy)
  const { latencies } = await pace(shape, 1000 / intervalMillis, 1, millis, quiet === undefined ? [] : [quiet])
  return { ...(await noise), latencies }
}

const churn = async (port: number, count: number, shape: frames.Shape, millis: number) => {
  const message = frames.message(shape, 0)
  const latencies: Array<number> = []
  const openings: Array<number> = []
  const closings: Array<number> = []
  const result = await measure(millis, (isOver, counted, done) => {
    const one = async (): Promise<void> => {
      while (!isOver()) {
        const start = performance.now()
        const connection = new LoadConnection(port, false)
        await connection.opened
        openings.push(performance.now() - start)
        await new Promise<void>((resolve) => {
          connection.onMessages = () => resolve()
          connection.write(message)
        })
        latencies.push(performance.now() - start)
        const closing = performance.now()
        connection.write(frames.close)
        await connection.closed
        closings.push(performance.now() - closing)
        counted(1)
      }
    }
    const all = async (): Promise<void> => {
      await Promise.all(Array.from({ length: count }, one))
      done()
    }
    void all()
  })
  return { ...result, latencies, openings, closings }
}

const serve = (compressed: boolean): Promise<number> => {
  role = "server"
  return listen(compressed, (peer) => {
    connections.push(peer)
    void peer.closed.then(() => (connections = connections.filter((other) => other !== peer)))
  })
}

// About the size that one write to a socket takes.
const pouredBytes = 64 * 1024

const pour = (shape: frames.Shape, millis: number) => {
  const opcode = shape.kind === "binary" ? Opcode.Binary : Opcode.Text
  const one = encode(Frame.make(opcode, { payload: frames.payload(shape, 0) }))
  const perWrite = Math.max(1, Math.floor(pouredBytes / one.length))
  const bytes = Buffer.concat(Array.from({ length: perWrite }, () => one))
  return measure(millis, (isOver, count, done) => {
    const peer = connections.at(-1)!
    const more = () => {
      if (isOver()) {
        done()
        return
      }
      count(perWrite)
      peer.write(bytes, more)
    }
    more()
  })
}

const perform = async (request: Request): Promise<object> => {
  switch (request._tag) {
    case "Open":
      await open(request.port, request.connections, request.compressed, request.dialect)
      return nothing
    case "Exchange":
      return exchange(request.shape, request.inFlight, request.millis, connections, request.chunkBytes)
    case "Pace":
      return pace(request.shape, request.rate, request.burst, request.millis)
    case "Broadcast":
      return broadcast(request.shape, request.dialect, request.atLeast, request.millis)
    case "Relay":
      return relay(request.shape, request.dialect, request.millis)
    case "Beside":
      return beside(request.shape, request.inFlight, request.intervalMillis, request.millis)
    case "Churn":
      return churn(request.port, request.connections, request.shape, request.millis)
    case "Serve":
      return { port: await serve(request.compressed) }
    case "Pour":
      return pour(request.shape, request.millis)
  }
}

process.on("message", (message) => {
  // Not decoded: without Effect, this process starts in a fourth of the time.
  void perform(message as Request).then((answer) => process.send?.(answer))
})
process.on("disconnect", () => process.exit())
