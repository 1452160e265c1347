import type { NativeEvent } from "../../../src/engine/native/NativeSocket.js"

/** A WebSocket of a platform, whose events a test makes. */
export class FakeSocket {
  binaryType = "blob"
  protocol = ""
  extensions = ""
  bufferedAmount = 0
  readonly sent: Array<string | Uint8Array> = []
  /** The arguments of each `close`. */
  readonly closes: Array<ReadonlyArray<unknown>> = []
  private readonly listeners = new Map<string, Set<(event: NativeEvent) => void>>()

  send(data: string | Uint8Array): void {
    this.sent.push(data)
  }

  close(...args: ReadonlyArray<unknown>): void {
    this.closes.push(args)
  }

  addEventListener(type: string, listener: (event: NativeEvent) => void): void {
    this.listeners.set(type, (this.listeners.get(type) ?? new Set()).add(listener))
  }

  removeEventListener(type: string, listener: (event: NativeEvent) => void): void {
    this.listeners.get(type)?.delete(listener)
  }

  emit(type: string, event: NativeEvent = {}): void {
    for (const listener of this.listeners.get(type) ?? []) listener(event)
  }

  receive(...data: ReadonlyArray<unknown>): void {
    for (const each of data) this.emit("message", { data: each })
  }

  /** How many listeners are left for the events that can still tell something. */
  get listening(): number {
    return ["open", "message", "close"].reduce((count, type) => count + (this.listeners.get(type)?.size ?? 0), 0)
  }
}
