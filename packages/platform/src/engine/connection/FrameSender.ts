import { PayloadTooLarge } from "@effect-websocket/protocol/Errors"
import type { Frame } from "@effect-websocket/protocol/Frame"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import { toFrame } from "./sendable.js"
import { Sender } from "./Sender.js"
import type { Sent } from "./Wait.js"

/** Sends frames unchanged. */
export class FrameSender extends Sender {
  /** Throws if `given` is not a frame. */
  sendNow(given: Frame): Sent {
    const { connection, flusher } = this.host
    const frame = toFrame(given)
    const control = Opcode.isControl(frame.opcode)
    const encode = () => {
      const refused = connection.sendFrame(frame)
      if (!control) this.messageSent(refused, frame.fin)
      // The frame was a Close.
      if (connection.phase !== "Open") this.host.settle()
      return refused
    }
    const waits = control ? !flusher.writable && frame.opcode !== Opcode.Close : this.roomAwaited || !flusher.hasRoom()
    if (!waits || connection.phase !== "Open") return this.sent(encode(), true, control)
    const max = connection.maxSendBytes
    const size = frame.payload.length
    // A frame that is too large is refused at once, without waiting for room.
    return !control && size > max
      ? new PayloadTooLarge({ limit: "frame", max, size, direction: "outbound" })
      : this.awaitRoom(encode, control)
  }
}
