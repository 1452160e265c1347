/** The load generator. It does what it is asked over IPC, and answers once everything that it sent has come back. */
import { Schema } from "effect"
import { createHash } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import type { Duplex } from "node:stream"
import { setTimeout as sleep } from "node:timers/promises"
import * as Frame from "@effect-websocket/protocol/Frame"
import { encode } from "@effect-websocket/protocol/FrameEncoder"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import * as frames from "./frames.js"
import { LoadConnection } from "./LoadConnection.js"
import { Request } from "./requests.js"

let connections: Array<LoadConnection> = []

// Connections are opened this many at a time, less than what the kernel holds for a server to accept.
const openAtOnce = 100

const open = async (port: number, count: number, compressed: boolean): Promise<string | undefined> => {
  let head = ""
  while (connections.length < count) {
    const some = Array.from(
      { length: Math.min(openAtOnce, count - connections.length) },
      () => new LoadConnection(port, compressed)
    )
    for (const connection of some) head = await connection.opened
    connections.push(...some)
  }
  return /^sec-websocket-extensions: (.*)$/im.exec(head)?.[1]
}

const close = async (): Promise<void> => {
  const closing = connections
  connections = []
  for (const connection of closing) connection.write(frames.close)
  await Promise.race([Promise.all(closing.map(({ closed }) => closed)), sleep(1000)])
  for (const connection of closing) connection.end()
}

const noLatencies: ReadonlyArray<number> = []

/** Runs for some time, and measures until everything is back. */
const measure = async (
  millis: number,
  begin: (isOver: () => boolean, count: (messages: number) => void, done: () => void) => void
) => {
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
  return { messages, cpu: system + user, millis: performance.now() - start, latencies: noLatencies }
}

const exchange = (shape: frames.Shape, inFlight: number, millis: number, senders = connections) => {
  const { bytes, ends } = frames.batch(shape, inFlight)
  const first = ends.map((end) => bytes.subarray(0, end))
  return measure(millis, (isOver, count, done) => {
    let outstanding = senders.length * inFlight
    for (const connection of senders) {
      connection.onMessages = (received) => {
        count(received)
        if (isOver()) {
          outstanding -= received
          if (outstanding === 0) done()
        } else {
          connection.write(first[received - 1]!)
        }
      }
      connection.write(bytes)
    }
  })
}

const broadcast = (shape: frames.Shape, millis: number) => {
  const message = frames.message(shape, 0)
  return measure(millis, (isOver, count, done) => {
    let outstanding = connections.length
    for (const connection of connections) {
      connection.onMessages = (received) => {
        count(received)
        outstanding -= received
        if (outstanding > 0) return
        if (isOver()) {
          done()
        } else {
          outstanding = connections.length
          connections[0]!.write(message)
        }
      }
    }
    connections[0]!.write(message)
  })
}

/** Sends what is due in every turn of the event loop, which therefore never sleeps. */
const pace = async (shape: frames.Shape, rate: number, millis: number, senders = connections) => {
  const message = frames.message(shape, 0)
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
      for (; sent < due; sent++) {
        const index = sent % senders.length
        dueTimes[index]!.push(start + (sent * 1000) / rate)
        senders[index]!.write(message)
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
  const { latencies } = await pace(shape, 1000 / intervalMillis, millis, quiet === undefined ? [] : [quiet])
  return { ...(await noise), latencies }
}

const churn = async (port: number, count: number, shape: frames.Shape, millis: number) => {
  const message = frames.message(shape, 0)
  const latencies: Array<number> = []
  const result = await measure(millis, (isOver, counted, done) => {
    const one = async (): Promise<void> => {
      while (!isOver()) {
        const start = performance.now()
        const connection = new LoadConnection(port, false)
        await connection.opened
        await new Promise<void>((resolve) => {
          connection.onMessages = () => resolve()
          connection.write(message)
        })
        latencies.push(performance.now() - start)
        connection.write(frames.close)
        await connection.closed
        counted(1)
      }
    }
    const all = async (): Promise<void> => {
      await Promise.all(Array.from({ length: count }, one))
      done()
    }
    void all()
  })
  return { ...result, latencies }
}

let peers: Array<Duplex> = []

const serve = async (): Promise<number> => {
  const server = createServer()
  server.on("upgrade", (request, socket) => {
    socket.on("error", () => {})
    const accept = createHash("sha1")
      .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest("base64")
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`
    )
    socket.resume()
    peers.push(socket)
    socket.once("close", () => (peers = peers.filter((peer) => peer !== socket)))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return (server.address() as AddressInfo).port
}

// About what one write to a socket takes.
const pouredBytes = 64 * 1024

const pour = (shape: frames.Shape, millis: number) => {
  const opcode = shape.kind === "binary" ? Opcode.Binary : Opcode.Text
  const one = encode(Frame.make(opcode, { payload: frames.payload(shape, 0) }))
  const perWrite = Math.max(1, Math.floor(pouredBytes / one.length))
  const bytes = Buffer.concat(Array.from({ length: perWrite }, () => one))
  return measure(millis, (isOver, count, done) => {
    const socket = peers.at(-1)!
    const more = () => {
      if (isOver()) {
        done()
        return
      }
      count(perWrite)
      socket.write(bytes, more)
    }
    more()
  })
}

const perform = async (request: Request): Promise<object> => {
  switch (request._tag) {
    case "Open":
      return { extensions: await open(request.port, request.connections, request.compressed), ...nothing }
    case "Close":
      await close()
      return nothing
    case "Exchange":
      return exchange(request.shape, request.inFlight, request.millis)
    case "Pace":
      return pace(request.shape, request.rate, request.millis)
    case "Broadcast":
      return broadcast(request.shape, request.millis)
    case "Beside":
      return beside(request.shape, request.inFlight, request.intervalMillis, request.millis)
    case "Churn":
      return churn(request.port, request.connections, request.shape, request.millis)
    case "Serve":
      return { port: await serve() }
    case "Pour":
      return pour(request.shape, request.millis)
  }
}

const nothing = { messages: 0, cpu: 0, millis: 0, latencies: noLatencies }

process.on("message", (message) => {
  void perform(Schema.decodeUnknownSync(Request)(message)).then((answer) => process.send?.(answer))
})
process.on("disconnect", () => process.exit())
