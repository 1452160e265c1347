import type { Socket } from "node:net"

/**
 * Sockets that are no connections and on their way to none: their request has not come, or was refused. Of more than the
 * maximum the oldest is dropped, and not the newest, so that those who only hold a place keep nobody out.
 */
export class Strangers {
  // By the address, because a socket of TLS does not tell which one it is on.
  private readonly sockets = new Map<string, { readonly socket: Socket; readonly onClose: () => void }>()
  private readonly maximum: number

  constructor(maximum: number) {
    this.maximum = maximum
  }

  add(socket: Socket): void {
    if (socket.destroyed) return
    const key = keyOf(socket)
    this.remove(key)
    const onClose = () => this.sockets.delete(key)
    socket.once("close", onClose)
    this.sockets.set(key, { socket, onClose })
    if (this.sockets.size <= this.maximum) return
    for (const [oldest, dropped] of this.sockets) {
      this.remove(oldest)
      dropped.socket.destroy()
      return
    }
  }

  delete(socket: Socket): void {
    this.remove(keyOf(socket))
  }

  /** Leaves nothing on the socket, which may have a long life as a connection. */
  private remove(key: string): void {
    const found = this.sockets.get(key)
    if (found === undefined) return
    this.sockets.delete(key)
    found.socket.off("close", found.onClose)
  }
}

const keyOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`
