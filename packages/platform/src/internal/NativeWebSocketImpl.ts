import type * as CloseCode from "@effect-websocket/protocol/CloseCode"
import type { PayloadTooLarge, ProtocolError } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import { toCloseCode } from "../engine/connection/sendable.js"
import { cannot } from "../engine/native/NativeConnection.js"
import { isNativeCloseCode } from "../engine/native/nativeCloseCode.js"
import { MessageWebSocketImpl } from "./MessageWebSocketImpl.js"

/** A WebSocket over that of a platform. */
export class NativeWebSocketImpl extends MessageWebSocketImpl {
  override close(): Effect.Effect<void>
  override close(code: number | CloseCode.Name, reason?: string): Effect.Effect<void, ProtocolError | PayloadTooLarge>
  override close(
    code: number | CloseCode.Name = 1000,
    reason?: string
  ): Effect.Effect<void, ProtocolError | PayloadTooLarge> {
    return Effect.suspend(() => {
      const number = toCloseCode(code)
      return isNativeCloseCode(number)
        ? super.close(number, reason)
        : Effect.fail(cannot(`send the close code ${number}; it sends 1000 and 3000 to 4999`))
    })
  }
}
