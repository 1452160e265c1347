/** Checks that a server or a client echoes correctly, before its speed is measured. */
import { Data, Effect, type Scope } from "effect"
import { once } from "node:events"
import { WebSocket, WebSocketServer } from "ws"
import { payload, type Shape } from "./load/frames.js"
import type { Dialect } from "./load/requests.js"

export class NotEqual extends Data.TaggedError("NotEqual")<{ readonly message: string }> {}

const checked = 20
const patience = "30 seconds"

/** Sends messages of this shape, one after another, and compares the echoes. */
const exchange = async (socket: WebSocket, shape: Shape): Promise<void> => {
  if (shape.compressed && socket.extensions === "") throw new Error("agreed to no compression")
  const sent = Array.from({ length: checked }, (_, number) => payload(shape, number))
  const received = new Promise<ReadonlyArray<readonly [Buffer, boolean]>>((resolve, reject) => {
    const all: Array<readonly [Buffer, boolean]> = []
    socket.on("error", reject)
    socket.on("close", () => reject(new Error("closed early")))
    socket.on("message", (data, isBinary) => {
      if (Buffer.isBuffer(data)) all.push([data, isBinary])
      if (all.length === sent.length) resolve(all)
    })
  })
  for (const data of sent) socket.send(data, { binary: shape.kind === "binary" })
  for (const [index, [data, isBinary]] of (await received).entries()) {
    if (isBinary !== (shape.kind === "binary") || !data.equals(sent[index]!)) throw new Error(`message ${index}`)
  }
}

/** The same with events of Socket.IO, whose packets begin with their kinds. */
const exchangeEvents = async (port: number, shape: Shape): Promise<void> => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`)
  const sent = Array.from({ length: checked }, (_, number) =>
    JSON.stringify(["message", payload(shape, number).toString()])
  )
  try {
    await new Promise<void>((resolve, reject) => {
      let received = 0
      socket.on("error", reject)
      socket.on("close", () => reject(new Error("closed early")))
      socket.on("message", (data) => {
        const packet = String(data)
        if (packet.startsWith("0")) socket.send("40")
        else if (packet.startsWith("40")) for (const event of sent) socket.send(`42${event}`)
        else if (packet !== `42${sent[received++]}`) reject(new Error(`message ${received - 1}: ${packet}`))
        if (received === sent.length) resolve()
      })
    })
  } finally {
    socket.removeAllListeners("close")
    socket.terminate()
  }
}

const check = (name: string, shape: Shape, run: () => Promise<void>): Effect.Effect<void, NotEqual> => {
  const fail = (why: string) =>
    new NotEqual({ message: `${name} does not echo ${shape.kind} of ${shape.bytes} B: ${why}` })
  return Effect.tryPromise({ try: run, catch: (error) => fail(String(error)) }).pipe(
    Effect.timeoutFail({ duration: patience, onTimeout: () => fail("no answer") })
  )
}

export const checkServer = (
  name: string,
  port: number,
  shape: Shape,
  dialect: Dialect = "plain"
): Effect.Effect<void, NotEqual> =>
  check(name, shape, async () => {
    if (dialect === "socket.io") {
      await exchangeEvents(port, shape)
      return
    }
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: shape.compressed })
    try {
      await once(socket, "open")
      await exchange(socket, shape)
    } finally {
      socket.terminate()
    }
  })

/** A server that checks the first client that connects. */
export interface ClientCheck {
  readonly port: number
  readonly result: Effect.Effect<void, NotEqual>
}

export const makeClientCheck = (name: string, shape: Shape): Effect.Effect<ClientCheck, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<WebSocketServer>((resume) => {
      const server = new WebSocketServer({ port: 0, host: "127.0.0.1", perMessageDeflate: shape.compressed })
      server.once("listening", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.async<void>((resume) => {
        for (const socket of server.clients) socket.terminate()
        server.close(() => resume(Effect.void))
      })
  ).pipe(
    Effect.map((server) => {
      const accepted = new Promise<WebSocket>((resolve) => server.once("connection", resolve))
      const address = server.address()
      return {
        port: address !== null && typeof address === "object" ? address.port : 0,
        result: check(name, shape, async () => exchange(await accepted, shape))
      }
    })
  )
