/** A TCP link to a local port that can be cut and silenced. It leads to another port if nobody listens there. */
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

export const makeLink = (...targets: ReadonlyArray<number>): Effect.Effect<Link, Error, Scope.Scope> =>
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
    const dial = (near: Socket, [target = 0, ...others]: ReadonlyArray<number>) => {
      const far = connect(target, "127.0.0.1")
      const tryNext = () => (others.length > 0 ? dial(near, others) : near.resetAndDestroy())
      far.once("error", tryNext)
      far.once("connect", () => {
        far.off("error", tryNext)
        add(near, () => far)
        add(far, () => near)
        near.pipe(far)
        far.pipe(near)
      })
    }
    const server = createServer((near) => {
      near.on("error", () => {})
      if (isCut) near.resetAndDestroy()
      else dial(near, targets)
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
