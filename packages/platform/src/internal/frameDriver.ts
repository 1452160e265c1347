import { PayloadTooLarge, type ConnectionError } from "@effect-websocket/protocol/Errors"
import type { Frame, FrameReceived } from "@effect-websocket/protocol/Frame"
import * as Opcode from "@effect-websocket/protocol/Opcode"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { FrameWebSocket } from "../FrameWebSocket.js"
import type { Handled, HandledContext, HandledError } from "../WebSocket.js"
import { Driver, Send, type Sender } from "./driver.js"
import { toFrame } from "./sendable.js"
import { frameWebSocket, tag } from "./typeId.js"

/** Delivers frames, and sends them. */
export class FrameDriver<Request = undefined>
  extends Driver<FrameReceived, Request>
  implements FrameWebSocket, Sender<Frame>
{
  declare readonly [frameWebSocket]: typeof frameWebSocket
  private receiveFrame: Effect.Effect<Frame, ConnectionError> | undefined = undefined

  get receive(): Effect.Effect<Frame, ConnectionError> {
    return (this.receiveFrame ??= this.readingItem(({ frame }) => frame))
  }

  get receiveOption(): Effect.Effect<Option.Option<Frame>, ConnectionError> {
    return this.readingOption(
      () => this.isReadable,
      () => this.takeItem().frame
    )
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

  sendNow(given: Frame): Effect.Effect<void, ConnectionError> {
    const frame = toFrame(given)
    const control = Opcode.isControl(frame.opcode)
    const encode = () => {
      const refused = this.connection.sendFrame(frame)
      if (!control) this.messageSent(refused, frame.fin)
      // It was a Close.
      if (this.connection.phase !== "Open") this.closing()
      return refused
    }
    const waits = control ? !this.writable && frame.opcode !== Opcode.Close : this.roomAwaited || !this.hasRoom()
    if (!waits || this.connection.phase !== "Open") return this.sent(encode(), true, control)
    const max = this.connection.maxSendBytes
    const size = frame.payload.length
    // It does not wait to be refused.
    return !control && size > max
      ? Effect.fail(new PayloadTooLarge({ limit: "frame", max, size, direction: "outbound" }))
      : this.awaitRoom(encode, control)
  }
}

tag(FrameDriver, frameWebSocket)
