import { abnormalClosure } from "../../engine/connection/closeCodes.js"
import type { NativeServerSocket } from "../../engine/native/NativeSocket.js"
import { HostEvents } from "../../native/HostEvents.js"
import type { BunSocket } from "../BunHost.js"

const openState = 1
// What Bun says if a message is larger than `maxPayloadLength`.
const tooLarge = "Received too big message"

/** The server's end of a WebSocket of Bun. Bun has callbacks for all of its WebSockets, which find theirs by its `data`. */
export class BunEnd extends HostEvents implements NativeServerSocket {
  readonly emitsDrain = true
  readonly endsWithoutPeer = true
  private socket: BunSocket | undefined = undefined
  private closeNow: (() => void) | undefined = undefined

  /** Whether Bun has opened it, which it does in the step of the upgrade. */
  get isOpen(): boolean {
    return this.socket !== undefined
  }

  get readyState(): number {
    return this.socket?.readyState ?? openState
  }

  get bufferedAmount(): number {
    return this.socket?.getBufferedAmount() ?? 0
  }

  send(data: string | Uint8Array): void {
    this.call(() => this.socket?.send(data))
  }

  ping(data: Uint8Array): void {
    this.call(() => this.socket?.ping(data))
  }

  pong(data: Uint8Array): void {
    this.call(() => this.socket?.pong(data))
  }

  pause(): void {
    this.call(() => this.socket?.pause?.())
  }

  resume(): void {
    this.call(() => this.socket?.resume?.())
  }

  /** Closes behind everything that was sent. Bun ends the connection with its Close, and could not drop it then. */
  close(code?: number, reason?: string): void {
    const closeNow = (): void => this.call(() => this.socket?.close(code, reason))
    if (this.bufferedAmount === 0) closeNow()
    else this.closeNow = closeNow
  }

  terminate(): void {
    this.closeNow = undefined
    this.call(() => this.socket?.terminate())
  }

  // From Bun

  opened(socket: BunSocket): void {
    this.socket = socket
  }

  message(data: string | Uint8Array): void {
    this.emit("message", { data })
  }

  drained(): void {
    if (this.bufferedAmount === 0) this.closeNow?.()
    this.emit("drain", {})
  }

  control(type: "ping" | "pong", data: Uint8Array): void {
    this.emit(type, { data })
  }

  closed(code: number, reason: string): void {
    this.closeNow = undefined
    if (code === abnormalClosure && reason === tooLarge) this.emit("toolarge", {})
    this.emit("close", { code, reason, wasClean: code !== abnormalClosure })
  }
}
