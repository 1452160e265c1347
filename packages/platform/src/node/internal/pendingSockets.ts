import { Socket } from "node:net"

/**
 * Sockets without an upgrade request yet, or with one that was refused. Beyond the maximum the oldest is dropped, not the
 * newest: so a client that only holds sockets keeps nobody else out. How long a socket may wait is up to the timers of Node's
 * HTTP server, which `NodeWebSocketServer` sets.
 */
export class PendingSockets {
  private readonly sockets = new Set<Socket>()
  private readonly maximum: number
  /** The listener of all sockets. */
  private readonly onClose: (this: Socket) => void

  constructor(maximum: number) {
    this.maximum = maximum
    const { sockets } = this
    this.onClose = function () {
      sockets.delete(this)
    }
  }

  add(carried: Socket): void {
    const socket = carrierOf(carried)
    if (socket.destroyed) return
    this.remove(socket)
    socket.on("close", this.onClose)
    this.sockets.add(socket)
    if (this.sockets.size <= this.maximum) return
    for (const oldest of this.sockets) {
      this.remove(oldest)
      oldest.destroy()
      return
    }
  }

  delete(carried: Socket): void {
    this.remove(carrierOf(carried))
  }

  destroyAll(): void {
    for (const socket of this.sockets) socket.destroy()
  }

  /** Leaves nothing on the socket, which may have a long life as a connection. */
  private remove(socket: Socket): void {
    if (this.sockets.delete(socket)) socket.off("close", this.onClose)
  }
}

/** The TCP socket below a TLS socket: a server reports that one first. */
const carrierOf = (socket: Socket): Socket => {
  const carrier: unknown = Reflect.get(socket, "_parent")
  return carrier instanceof Socket ? carrier : socket
}
