import type { CloseStatus, Event } from "@effect-websocket/protocol/Connection"
import { IoError, type ConnectionError } from "@effect-websocket/protocol/Errors"
import { NativeConnection, type NativeLimits } from "./NativeConnection.js"
import type { NativeServerSocket } from "./NativeSocket.js"

/** The state of a server's connection over the WebSocket of its host. */
export class NativeServerConnection extends NativeConnection {
  override readonly role = "server"
  private readonly host: NativeServerSocket

  constructor(socket: NativeServerSocket, limits: NativeLimits) {
    super(socket, limits)
    this.host = socket
  }

  /** The host has refused a message that is larger than `limits.maxMessageBytes`, before it was whole. */
  arriveTooLarge(): void {
    this.violate("message", this.limits.maxMessageBytes, undefined)
  }

  /** A control frame of the peer arrived. */
  arriveControl(event: Event & { readonly _tag: "Ping" | "Pong" }): void {
    if (this.phase !== "Closed") this.take(event)
  }

  override ping(data: Uint8Array = new Uint8Array(0)): ConnectionError | undefined {
    const { host } = this
    if (host.ping === undefined) return super.ping()
    return this.refusal ?? this.write(() => host.ping?.(data))
  }

  override pong(data: Uint8Array = new Uint8Array(0)): ConnectionError | undefined {
    const { host } = this
    if (host.pong === undefined) return super.pong()
    return this.refusal ?? this.write(() => host.pong?.(data))
  }

  private write(send: () => void): ConnectionError | undefined {
    try {
      send()
    } catch (cause) {
      return new IoError({ reason: "Reset", operation: "write", cause })
    }
    return undefined
  }

  protected override nativeCode(code: number): number {
    return this.host.closeCode?.(code) ?? code
  }

  override get closeStatus(): CloseStatus {
    const status = super.closeStatus
    if (this.host.endsWithoutPeer !== true || status.initiator !== "local") return status
    // The host has repeated our own code. Whether the peer answered is not known, but one that is silent did not.
    return { ...status, received: undefined, clean: status.clean && this.error?._tag !== "Io_error" }
  }
}
