import type * as CloseCode from "@effect-websocket/protocol/CloseCode"
import type * as Connection from "@effect-websocket/protocol/Connection"
import type { ConnectionError, PayloadTooLarge, ProtocolError } from "@effect-websocket/protocol/Errors"
import type { Extension } from "@effect-websocket/protocol/Extension"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { constVoid } from "effect/Function"
import type * as Stream from "effect/Stream"
import type { Delivered } from "../engine/connection/Inbox.js"
import type { FinalStatus } from "../engine/connection/FinalStatus.js"
import { makePing, type Link } from "../engine/connection/Link.js"
import { callback, streamOfCallback } from "./effect.js"
import * as closing from "./closing.js"
import { Reader } from "./Reader.js"
import { awaitClosed } from "./scopes.js"
import { sentEffect } from "./sending.js"
import { transportKey } from "./typeId.js"

// The number of newest control frames that are kept for a slow reader of them.
const controlBuffer = 16

/** The members that the three kinds of WebSockets share. They use the link of the connection. */
export abstract class BaseWebSocket<Item extends Delivered, Request> extends Reader<Item> {
  readonly request: Request

  constructor(link: Link<Item>, request: Request) {
    super(link)
    this.request = request
  }

  /** `WebSocketTest.network` uses it. */
  get [transportKey](): Link<Item>["transport"] {
    return this.link.transport
  }

  get role(): "client" | "server" {
    return this.link.connection.role
  }

  get url(): string {
    return this.link.url
  }

  get protocol(): string | undefined {
    return this.link.agreement.protocol
  }

  get extensions(): ReadonlyArray<Extension> {
    return this.link.agreement.extensions
  }

  get limits(): Connection.Limits {
    return this.link.connection.limits
  }

  get maxFrameSize(): number | undefined {
    return this.link.settings.maxFrameSize
  }

  get maxSendBytes(): number | undefined {
    return this.link.settings.maxSendBytes
  }

  get remoteAddress(): string | undefined {
    return this.link.transport.remoteAddress
  }

  get isOpen(): Effect.Effect<boolean> {
    return Effect.sync(() => this.link.connection.phase === "Open")
  }

  get bufferedBytes(): Effect.Effect<number> {
    return Effect.sync(() => this.link.unsentBytes)
  }

  ping(data?: Uint8Array): Effect.Effect<Duration.Duration, ConnectionError> {
    return Effect.suspend(() => {
      const ping = makePing(this.link, data)
      const sent = Effect.suspend(() => sentEffect(this.link.sendPing(ping)))
      const answered = callback<Duration.Duration, ConnectionError>((resume) =>
        ping.whenAnswered((answer) =>
          resume(typeof answer === "number" ? Effect.succeed(Duration.millis(answer)) : Effect.fail(answer))
        )
      )
      return Effect.onInterrupt(Effect.andThen(sent, answered), () => Effect.sync(() => this.link.forgetPing(ping)))
    })
  }

  pong(data?: Uint8Array): Effect.Effect<void, ConnectionError> {
    return Effect.suspend(() => sentEffect(this.link.sendPong(data)))
  }

  get pings(): Stream.Stream<Uint8Array> {
    return this.controlFrames("Ping")
  }

  get pongs(): Stream.Stream<Uint8Array> {
    return this.controlFrames("Pong")
  }

  private controlFrames(tag: "Ping" | "Pong"): Stream.Stream<Uint8Array> {
    return streamOfCallback<Uint8Array>((emit) => {
      if (this.link.connection.error !== undefined) {
        emit.end()
        return constVoid
      }
      return this.link.listen((event) => {
        if (event._tag === "Ended") emit.end()
        else if (event._tag === tag) emit.single(event.data)
      })
    }, controlBuffer)
  }

  close(): Effect.Effect<void>
  close(code: number | CloseCode.Name, reason?: string): Effect.Effect<void, ProtocolError | PayloadTooLarge>
  close(code?: number | CloseCode.Name, reason?: string): Effect.Effect<void, ProtocolError | PayloadTooLarge> {
    return closing.close(this.link, code, reason)
  }

  get abort(): Effect.Effect<void> {
    return closing.abort(this.link)
  }

  get closeStatus(): Effect.Effect<FinalStatus> {
    return Effect.map(awaitClosed(this.link), () => this.link.status)
  }
}
