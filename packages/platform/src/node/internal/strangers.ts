import type { Socket } from "node:net"

/**
 * Sockets that are no connections and on their way to none: their request has not come, or was refused. Of more than the
 * maximum the oldest is dropped, and not the newest, so that those who only hold a place keep nobody out.
 */
export class Strangers {
  // By the address, because a socket of TLS does not tell which one it is on.
  private readonly sockets = new Map<string, Socket>()
  private readonly maximum: number

  constructor(maximum: number) {
    this.maximum = maximum
  }

  add(socket: Socket): void {
    if (socket.destroyed) return
    const key = keyOf(socket)
    this.sockets.delete(key)
    this.sockets.set(key, socket)
    socket.once("close", () => {
      if (this.sockets.get(key) === socket) this.sockets.delete(key)
    })
    if (this.sockets.size <= this.maximum) return
    for (const [oldest, dropped] of this.sockets) {
      this.sockets.delete(oldest)
      dropped.destroy()
      return
    }
  }

  delete(socket: Socket): void {
    this.sockets.delete(keyOf(socket))
  }
}

const keyOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`
