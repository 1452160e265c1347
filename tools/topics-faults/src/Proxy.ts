import { once } from "node:events"
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net"

/**
 * What happens to the bytes of a link.
 *
 * - `"pass"`: they arrive.
 * - `"slow"`: they arrive late.
 * - `"hole"`, `"holeUp"`, `"holeDown"`: they do not arrive, in both or one of the directions, and nobody is told. They
 *   arrive when the fault ends, as TCP sends again what was lost.
 * - `"closed"`: all connections end, and no other one is accepted.
 */
export type LinkState = "pass" | "slow" | "hole" | "holeUp" | "holeDown" | "closed"

const delayMillis = 120

/** One direction of a connection. */
class Pipe {
  private readonly to: Socket
  private readonly waiting: Array<() => void> = []
  private isHeld = false
  private timer: NodeJS.Timeout | undefined = undefined

  constructor(from: Socket, to: Socket) {
    this.to = to
    from.on("data", (chunk: Buffer) => this.add(() => void to.write(chunk)))
    from.on("end", () => this.add(() => void to.end()))
    from.on("close", (hasFailed) => this.add(() => void (hasFailed ? to.destroy() : to.end())))
    // It has `close` behind it.
    from.on("error", () => {})
  }

  set(state: "pass" | "slow" | "hold"): void {
    clearInterval(this.timer)
    this.timer = undefined
    this.isHeld = state !== "pass"
    if (state === "slow") this.timer = setInterval(() => this.flush(), delayMillis)
    if (state === "pass") this.flush()
  }

  stop(): void {
    clearInterval(this.timer)
    this.waiting.length = 0
    this.to.destroy()
  }

  private add(pass: () => void): void {
    if (this.isHeld) this.waiting.push(pass)
    else pass()
  }

  private flush(): void {
    for (const pass of this.waiting.splice(0)) pass()
  }
}

/** A link between two processes that can be broken. */
export class Proxy {
  private readonly server: Server
  private readonly target: () => number | undefined
  private readonly connections = new Set<readonly [Pipe, Pipe]>()
  private state: LinkState = "pass"

  private constructor(target: () => number | undefined) {
    this.target = target
    this.server = createServer({ allowHalfOpen: true }, (socket) => this.accept(socket))
  }

  /** Each connection goes to the port that `target` returns. */
  static async start(target: () => number | undefined): Promise<Proxy> {
    const proxy = new Proxy(target)
    proxy.server.listen(0, "127.0.0.1")
    await once(proxy.server, "listening")
    return proxy
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  set(state: LinkState): void {
    this.state = state
    if (state === "closed") this.cut()
    else for (const pipes of this.connections) this.apply(pipes)
  }

  /** Ends all connections. */
  cut(): void {
    for (const pipes of this.connections) for (const pipe of pipes) pipe.stop()
    this.connections.clear()
  }

  stop(): void {
    this.server.close()
    this.cut()
  }

  private accept(socket: Socket): void {
    const port = this.target()
    if (this.state === "closed" || port === undefined) {
      socket.on("error", () => {})
      socket.destroy()
      return
    }
    const upstream = connect({ port, host: "127.0.0.1", allowHalfOpen: true })
    const pipes = [new Pipe(socket, upstream), new Pipe(upstream, socket)] as const
    this.connections.add(pipes)
    // What one side has sent last may still be on its way when that side has ended.
    let open = 2
    const ended = (): void => {
      if (--open > 0) return
      this.connections.delete(pipes)
      for (const pipe of pipes) pipe.stop()
    }
    socket.once("close", ended)
    upstream.once("close", ended)
    this.apply(pipes)
  }

  private apply([up, down]: readonly [Pipe, Pipe]): void {
    const { state } = this
    const holds = (direction: LinkState) => state === "hole" || state === direction
    up.set(state === "slow" ? "slow" : holds("holeUp") ? "hold" : "pass")
    down.set(state === "slow" ? "slow" : holds("holeDown") ? "hold" : "pass")
  }
}
