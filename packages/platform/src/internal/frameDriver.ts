import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type { Frame, FrameReceived } from "@effect-websocket/protocol/Frame"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import type * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { FrameWebSocket } from "../FrameWebSocket.js"
import type { Handled, HandledContext, HandledError } from "../WebSocket.js"
import { Driver, Send, type Sender } from "./driver.js"

/** Delivers frames, and sends them. */
export class FrameDriver<Request = undefined>
  extends Driver<FrameReceived, Request>
  implements FrameWebSocket, Sender<Frame>
{
  private receiveFrame: Effect.Effect<Frame, ConnectionError> | undefined = undefined

  get receive(): Effect.Effect<Frame, ConnectionError> {
    return (this.receiveFrame ??= this.readingItem(({ frame }) => frame))
  }

  get frames(): Stream.Stream<Frame, ConnectionError> {
    return Stream.map(this.items, ({ frame }) => frame)
  }

  run<X extends Handled>(
    handler: (frame: Frame) => X
  ): Effect.Effect<void, HandledError<X> | ConnectionError, HandledContext<X>> {
    // As in `MessageDriver`.
    const handle = handler as (frame: Frame) => Effect.Effect<unknown, HandledError<X>, HandledContext<X>> | void
    return this.runItems(({ frame }) => handle(frame))
  }

  send(frame: Frame): Effect.Effect<void, ConnectionError> {
    return new Send(this, frame, undefined)
  }

  sendNow(frame: Frame): Effect.Effect<void, ConnectionError> {
    const encode = () => {
      const refused = this.connection.sendFrame(frame)
      if (frame.opcode <= Opcode.Binary) this.messageSent(refused, frame.fin)
      // It was a Close.
      if (this.connection.phase !== "Open") this.closing()
      return refused
    }
    const control = Opcode.isControl(frame.opcode)
    const waits = control ? !this.writable && frame.opcode !== Opcode.Close : this.roomAwaited || !this.hasRoom()
    return waits && this.connection.phase === "Open"
      ? this.awaitRoom(encode, control)
      : this.sent(encode(), true, control)
  }
}
