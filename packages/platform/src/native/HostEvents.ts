import type { NativeEvent } from "../engine/native/NativeSocket.js"

type Listener = (event: NativeEvent) => void

/**
 * The listeners of a WebSocket whose host has no events of its own. It has one listener of each type, as the library needs it,
 * and holds what happens before there is one.
 */
export class HostEvents {
  private readonly listeners = new Map<string, Listener>()
  private early: Array<readonly [type: string, event: NativeEvent]> | undefined = []
  // How many methods of the host are being called. What it reports meanwhile comes in a later turn.
  private calls = 0

  addEventListener(type: string, listener: Listener): void {
    this.listeners.set(type, listener)
    // The library adds its listeners in one step.
    if (this.early !== undefined && this.listeners.size === 1) queueMicrotask(() => this.pass())
  }

  removeEventListener(type: string): void {
    this.listeners.delete(type)
  }

  /** Calls a method of the host. */
  protected call<A>(method: () => A): A {
    this.calls++
    try {
      return method()
    } finally {
      this.calls--
    }
  }

  protected emit(type: string, event: NativeEvent): void {
    if (this.early !== undefined) this.early.push([type, event])
    else if (this.calls === 0) this.listeners.get(type)?.(event)
    else {
      this.early = [[type, event]]
      queueMicrotask(() => this.pass())
    }
  }

  private pass(): void {
    const early = this.early ?? []
    this.early = undefined
    for (const [type, event] of early) this.emit(type, event)
  }
}
