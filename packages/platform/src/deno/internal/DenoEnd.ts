import type { NativeEvent, NativeServerSocket } from "../../engine/native/NativeSocket.js"
import { HostEvents } from "../../native/HostEvents.js"

const connectingState = 0
// How long Deno may take to open a WebSocket. It never does so if the client has left in the meantime, and does not say so.
const openMillis = 5000

/** The WebSocket that Deno makes for a request. It is the standard one. */
export interface DenoSocket extends NativeServerSocket {
  readonly readyState: number
  readonly bufferedAmount: number
  binaryType: string
}

/**
 * The server's end of a WebSocket of Deno. Deno opens it after its response has been sent, and cannot send before. So what
 * is sent until then waits here.
 */
export class DenoEnd extends HostEvents implements NativeServerSocket {
  private readonly socket: DenoSocket
  private waiting: Array<string | Uint8Array> | undefined = []
  private waitingBytes = 0
  private closing: (() => void) | undefined = undefined
  private readonly opening: ReturnType<typeof setTimeout>

  constructor(socket: DenoSocket) {
    super()
    this.socket = socket
    socket.binaryType = "arraybuffer"
    socket.addEventListener("open", () => this.open())
    socket.addEventListener("message", (event) => this.emit("message", event))
    socket.addEventListener("error", (event) => this.end("error", event))
    socket.addEventListener("close", (event) => this.end("close", event))
    this.opening = setTimeout(() => this.end("error", {}), openMillis)
  }

  get readyState(): number {
    return this.socket.readyState
  }

  get bufferedAmount(): number {
    return this.socket.bufferedAmount + this.waitingBytes
  }

  send(data: string | Uint8Array): void {
    if (this.waiting === undefined) return this.call(() => this.socket.send(data))
    this.waitingBytes += data.length
    // The caller may change its bytes once they count as sent.
    this.waiting.push(typeof data === "string" ? data : data.slice())
  }

  close(code?: number, reason?: string): void {
    const closeNow = (): void =>
      this.call(() => (code === undefined ? this.socket.close() : this.socket.close(code, reason)))
    if (this.waiting === undefined || this.socket.readyState > connectingState) closeNow()
    else this.closing = closeNow
  }

  private open(): void {
    clearTimeout(this.opening)
    const { waiting = [] } = this
    this.waiting = undefined
    this.waitingBytes = 0
    for (const data of waiting) this.socket.send(data)
    this.closing?.()
  }

  private end(type: "error" | "close", event: NativeEvent): void {
    clearTimeout(this.opening)
    this.emit(type, event)
  }
}
