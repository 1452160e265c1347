import type { TransportSink, WaterMarks } from "../../Transport.js"
import { neverThrows } from "../connection/GuardedTransport.js"
import { makeCore, type FramingTransport } from "../connection/ownCore.js"
import type { Settings } from "../Settings.js"
import { NativeServerConnection } from "./NativeServerConnection.js"
import type { NativeEvent, NativeServerSocket } from "./NativeSocket.js"
import { NativeTransport } from "./NativeTransport.js"

/** The server's end of a WebSocket of a host, as a transport with a state machine of its own. */
export class NativeServerTransport extends NativeTransport implements FramingTransport {
  readonly [neverThrows] = true
  override readonly remoteAddress: string | undefined
  private readonly host: NativeServerSocket
  private server: NativeServerConnection | undefined = undefined
  private awaitsDrain = false

  constructor(socket: NativeServerSocket, remoteAddress: string | undefined) {
    super(socket)
    this.host = socket
    this.remoteAddress = remoteAddress
  }

  [makeCore](settings: Settings): NativeServerConnection {
    const connection = new NativeServerConnection(this.host, {
      ...settings,
      maxUnreadBytes: settings.receiveHighWaterMark
    })
    this.connection = connection
    this.server = connection
    return connection
  }

  override start(sink: TransportSink, marks: WaterMarks): void {
    super.start(sink, marks)
    this.host.addEventListener("drain", this.onHostDrain)
    this.host.addEventListener("ping", this.onPing)
    this.host.addEventListener("pong", this.onPong)
    this.host.addEventListener("toolarge", this.onTooLarge)
  }

  private readonly onHostDrain = (): void => {
    if (!this.awaitsDrain || this.bufferedBytes > this.marks.low) return
    this.awaitsDrain = false
    this.sink?.onDrain()
  }

  private readonly onPing = ({ data }: NativeEvent): void => this.onControl("Ping", data)
  private readonly onPong = ({ data }: NativeEvent): void => this.onControl("Pong", data)

  private onControl(_tag: "Ping" | "Pong", data: unknown): void {
    if (!(data instanceof Uint8Array)) return
    this.server?.arriveControl({ _tag, data })
    this.arrived()
  }

  private readonly onTooLarge = (): void => {
    this.server?.arriveTooLarge()
    this.arrived()
  }

  protected override lookAfter(millis: number): void {
    // With nothing to send, nothing drains.
    if (this.host.emitsDrain === true && this.bufferedBytes > 0) this.awaitsDrain = true
    else super.lookAfter(millis)
  }

  override pause(): void {
    if (this.host.pause === undefined) super.pause()
    else this.host.pause()
  }

  override resume(): void {
    this.host.resume?.()
  }

  protected override stop(): void {
    super.stop()
    this.host.removeEventListener("drain", this.onHostDrain)
    this.host.removeEventListener("ping", this.onPing)
    this.host.removeEventListener("pong", this.onPong)
    this.host.removeEventListener("toolarge", this.onTooLarge)
  }
}
