/** The app of both servers on `@effect/platform`. */
import type { Socket } from "@effect/platform"
import { Effect } from "effect"
import { options } from "./serve.js"

type Write = Effect.Effect.Success<Socket.Socket["writer"]>

const writers = new Set<Write>()

export const effectPlatformHandler = (socket: Socket.Socket) =>
  Effect.flatMap(socket.writer, (write) => {
    if (!options.broadcast) return socket.runRaw((data) => write(data))
    writers.add(write)
    return Effect.ensuring(
      socket.runRaw((data) => Effect.forEach(writers, (each) => Effect.ignore(each(data)), { discard: true })),
      Effect.sync(() => writers.delete(write))
    )
  })
