import type { NativeEvent, NativeServerSocket } from "../../engine/native/NativeSocket.js"
import { closeQuietly } from "../../engine/native/dialNative.js"
import { answerClose } from "./answerClose.js"
import type { PlatformSocket } from "./upgrading.js"

/** The server's end of a WebSocket of a Worker, and what tells that it is over. */
export class WorkersEnd implements NativeServerSocket {
  /** Resolves once the platform or the library has ended the connection. */
  readonly over: Promise<void>
  private end: () => void = () => {}
  private readonly socket: PlatformSocket

  constructor(socket: PlatformSocket) {
    this.socket = socket
    this.over = new Promise((resolve) => (this.end = resolve))
    socket.binaryType = "arraybuffer"
    // Events are delivered from here on, in later turns.
    socket.accept()
    answerClose(socket)
    socket.addEventListener("close", this.end)
    socket.addEventListener("error", this.end)
  }

  get readyState(): number {
    return this.socket.readyState
  }

  send(data: string | Uint8Array): void {
    this.socket.send(data)
  }

  close(code?: number, reason?: string): void {
    if (code === undefined) this.socket.close()
    else this.socket.close(code, reason)
  }

  addEventListener(type: string, listener: (event: NativeEvent) => void): void {
    this.socket.addEventListener(type, listener)
  }

  removeEventListener(type: string, listener: (event: NativeEvent) => void): void {
    this.socket.removeEventListener(type, listener)
  }

  /** Workers cannot drop a connection. The request ends, and with it what the platform still holds. */
  terminate(): void {
    this.end()
    closeQuietly(this.socket)
  }
}
