import type { ConnectionError } from "@effect-websocket/protocol/Errors"
import type { Frame, FrameReceived } from "@effect-websocket/protocol/Frame"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { FrameSender } from "../engine/connection/FrameSender.js"
import type { Link } from "../engine/connection/Link.js"
import { BaseWebSocket } from "./BaseWebSocket.js"
import type { Handled, HandledContext, HandledError } from "./handled.js"
import { Send } from "./sending.js"
import { frameWebSocket, tag } from "./typeId.js"

/** Delivers frames, and sends them. */
export class FrameWebSocketImpl<Request = undefined> extends BaseWebSocket<FrameReceived, Request> {
  declare readonly [frameWebSocket]: typeof frameWebSocket
  readonly sender: FrameSender
  private receiveFrame: Effect.Effect<Frame, ConnectionError> | undefined = undefined

  constructor(link: Link<FrameReceived>, request: Request) {
    super(link, request)
    this.sender = new FrameSender(link)
    link.sender = this.sender
  }

  get receive(): Effect.Effect<Frame, ConnectionError> {
    return (this.receiveFrame ??= this.readingItem(({ frame }) => frame))
  }

  get receiveOption(): Effect.Effect<Option.Option<Frame>, ConnectionError> {
    return this.readingOption(() => this.takeItem().frame)
  }

  get frames(): Stream.Stream<Frame, ConnectionError> {
    return Stream.map(this.items, ({ frame }) => frame)
  }

  run<X extends Handled>(
    handler: (frame: Frame) => X
  ): Effect.Effect<void, HandledError<X> | ConnectionError, HandledContext<X>> {
    // As in `MessageWebSocketImpl`.
    const handle = handler as (frame: Frame) => Effect.Effect<unknown, HandledError<X>, HandledContext<X>> | void
    return this.runItems(({ frame }) => handle(frame))
  }

  send(frame: Frame): Effect.Effect<void, ConnectionError> {
    return new Send(this.sender, frame, undefined)
  }
}

tag(FrameWebSocketImpl, frameWebSocket)
