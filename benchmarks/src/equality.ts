/** Whether a server sends back what it was sent, before anybody counts how fast. */
import { Data, Effect } from "effect"
import { once } from "node:events"
import { WebSocket } from "ws"
import { payload, type Shape } from "./load/frames.js"

export class NotEqual extends Data.TaggedError("NotEqual")<{ readonly message: string }> {}

const checked = 20

/** Sends messages of this shape, one behind another, and compares what comes back. */
export const checkEchoes = (name: string, port: number, shape: Shape): Effect.Effect<void, NotEqual> =>
  Effect.tryPromise({
    try: async () => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: shape.compressed })
      try {
        await once(socket, "open")
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
      } finally {
        socket.terminate()
      }
    },
    catch: (error) =>
      new NotEqual({ message: `${name} does not echo ${shape.kind} of ${shape.bytes} B: ${String(error)}` })
  }).pipe(
    Effect.timeoutFail({
      duration: "30 seconds",
      onTimeout: () => new NotEqual({ message: `${name} does not echo ${shape.kind} of ${shape.bytes} B: no answer` })
    })
  )
