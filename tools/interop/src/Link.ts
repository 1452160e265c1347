/** A TCP link to a local port that can be cut and silenced. */
import { Effect, type Scope } from "effect"
import { connect, createServer, type Socket } from "node:net"
import { listen } from "./listen.js"

export interface Link {
  readonly port: number
  /** Resets what is connected, and whatever connects until `restore`. */
  readonly cut: () => void
  readonly restore: () => void
  /** What is connected stays so, and nothing passes any more. What connects later is not touched. */
  readonly silence: () => void
}

export const makeLink = (target: number): Effect.Effect<Link, Error, Scope.Scope> =>
  Effect.gen(function* () {
    let isCut = false
    const sockets = new Set<Socket>()
    const cut = () => {
      for (const socket of sockets) socket.resetAndDestroy()
    }
    const add = (socket: Socket, other: () => Socket) => {
      sockets.add(socket)
      socket.on("error", () => {})
      socket.on("close", () => {
        sockets.delete(socket)
        other().destroy()
      })
    }
    const server = createServer((near) => {
      if (isCut) {
        near.resetAndDestroy()
        return
      }
      const far = connect(target, "127.0.0.1")
      add(near, () => far)
      add(far, () => near)
      near.pipe(far)
      far.pipe(near)
    })
    const port = yield* listen(server, cut)
    return {
      port,
      cut: () => {
        isCut = true
        cut()
      },
      restore: () => {
        isCut = false
      },
      silence: () => {
        for (const socket of sockets) socket.unpipe().resume()
      }
    }
  })
