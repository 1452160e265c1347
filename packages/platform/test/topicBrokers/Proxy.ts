import { once } from "node:events"
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net"

/** An address that leads to a server, until it is cut or leads to another one. */
export class Proxy {
  private readonly sockets = new Set<Socket>()
  private readonly server: Server
  private target: number

  private constructor(target: number) {
    this.target = target
    this.server = createServer((socket) => {
      const upstream = connect(this.target, "127.0.0.1")
      for (const [one, other] of [
        [socket, upstream],
        [upstream, socket]
      ] as const) {
        this.sockets.add(one)
        one.pipe(other)
        one.on("error", () => {})
        one.on("close", () => {
          this.sockets.delete(one)
          other.destroy()
        })
      }
    })
  }

  static async start(target: number): Promise<Proxy> {
    const proxy = new Proxy(target)
    proxy.server.listen(0, "127.0.0.1")
    await once(proxy.server, "listening")
    return proxy
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port
  }

  /** How many connections there are. */
  get connectionCount(): number {
    return this.sockets.size / 2
  }

  /** Ends all connections. There may be others later. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy()
  }

  /** Ends all connections. Later ones go to this port. */
  switchTo(target: number): void {
    this.target = target
    this.cut()
  }

  stop(): void {
    this.server.close()
    this.cut()
  }
}
