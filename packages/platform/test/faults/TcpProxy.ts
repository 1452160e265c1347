/** A TCP proxy on loopback that does to the bytes what a test asks for. */
import * as Net from "node:net"
import { Effect, Queue, type Scope } from "../effect/index.js"
import { listen } from "../node/support.js"

/** What happens to one direction. All of it may be changed while bytes are on their way. */
export interface Conditions {
  /** The largest piece that is passed on in one turn of the event loop. */
  pieceBytes: number
  /** How many turns of the event loop a piece waits. */
  turns: number
  /** Nothing is read from the sender, as where a link stands still. */
  stalled: boolean
  /** How many bytes behind the opening handshake pass before something happens. */
  cutAfter: number
  /** A half-close, or an RST to both sides. */
  cut: "end" | "reset"
}

export type From = "client" | "server"

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

class Direction {
  private readonly queue: Array<Buffer> = []
  private readonly source: Net.Socket
  private readonly target: Net.Socket
  private readonly conditions: Conditions
  private passed = 0
  private inHandshake = true
  private ended = false
  private running = false
  private over = false

  constructor(source: Net.Socket, target: Net.Socket, conditions: Conditions) {
    this.source = source
    this.target = target
    this.conditions = conditions
    source.on("data", (chunk: Buffer) => {
      this.queue.push(chunk)
      this.go()
    })
    source.on("end", () => {
      this.ended = true
      this.go()
    })
  }

  go(): void {
    if (this.conditions.stalled) this.source.pause()
    else this.source.resume()
    if (this.running || this.over) return
    this.running = true
    void this.pump()
  }

  private async pump(): Promise<void> {
    for (let piece = this.next(); piece !== undefined; piece = this.next()) {
      if (!this.inHandshake) {
        for (let turns = 0; turns < this.conditions.turns; turns++) await turn()
        this.passed += piece.length
      }
      if (this.target.writable) this.target.write(piece)
      if (this.inHandshake) this.inHandshake = false
      if (this.conditions.pieceBytes < Infinity) await turn()
    }
    this.running = false
    if (this.over || this.conditions.stalled) return
    if (this.passed >= this.conditions.cutAfter) this.cutOff()
    else if (this.ended && this.queue.length === 0) {
      this.over = true
      this.target.end()
    }
  }

  private next(): Buffer | undefined {
    const [first] = this.queue
    if (this.over || this.conditions.stalled || first === undefined) return undefined
    const left = this.conditions.cutAfter - this.passed
    const size = this.inHandshake
      ? // An opening handshake passes whole.
        first.indexOf("\r\n\r\n") + 4
      : Math.min(first.length, this.conditions.pieceBytes, left)
    if (size <= 0) return undefined
    if (size < first.length) this.queue[0] = first.subarray(size)
    else this.queue.shift()
    return first.subarray(0, size)
  }

  private cutOff(): void {
    this.over = true
    if (this.conditions.cut === "end") {
      this.target.end()
      return
    }
    for (const socket of [this.source, this.target]) {
      // Sends a RST, and no FIN before it as Node does.
      socket.destroySoon = () => void socket.destroy()
      socket.resetAndDestroy()
    }
  }
}

/** One proxied connection. */
export interface Link {
  /** Changes what happens to a direction. */
  readonly change: (from: From, conditions: Partial<Conditions>) => void
  readonly reset: () => void
}

const unharmed: Conditions = {
  pieceBytes: Infinity,
  turns: 0,
  stalled: false,
  cutAfter: Infinity,
  cut: "end"
}

export interface TcpProxy {
  readonly port: number
  /** The next connection that was made. */
  readonly nextLink: Effect.Effect<Link>
  /** What happens to connections that are made from now on. */
  readonly prepare: (conditions: Partial<Record<From, Partial<Conditions>>>) => void
}

export const make = (upstream: number): Effect.Effect<TcpProxy, never, Scope.Scope> =>
  Effect.gen(function* () {
    const links = yield* Queue.unbounded<Link>()
    const targets = new Set<Net.Socket>()
    // `listen` destroys the sockets of the clients.
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const target of targets) target.destroy()
      })
    )
    let prepared: Partial<Record<From, Partial<Conditions>>> = {}
    const server = Net.createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      const conditions = {
        client: { ...unharmed, ...prepared.client },
        server: { ...unharmed, ...prepared.server }
      }
      const target = Net.connect({ port: upstream, host: "127.0.0.1", allowHalfOpen: true, noDelay: true })
      targets.add(target)
      target.on("close", () => targets.delete(target))
      for (const [own, peer] of [
        [client, target],
        [target, client]
      ] as const) {
        own.on("error", () => peer.destroy())
        own.on("close", (failed) => failed && peer.destroy())
      }
      const directions = {
        client: new Direction(client, target, conditions.client),
        server: new Direction(target, client, conditions.server)
      }
      Queue.offerUnsafe(links, {
        change: (from, changes) => {
          Object.assign(conditions[from], changes)
          directions[from].go()
        },
        reset: () => {
          for (const socket of [client, target]) socket.resetAndDestroy()
        }
      })
    })
    const port = yield* listen(server)
    return {
      port,
      nextLink: Queue.take(links),
      prepare: (conditions) => {
        prepared = conditions
      }
    }
  })
