import type * as CloseCode from "@effect-websocket/protocol/CloseCode"
import type { PayloadTooLarge, ProtocolError } from "@effect-websocket/protocol/Errors"
import * as Effect from "effect/Effect"
import type { Closable } from "../engine/connection/Closables.js"
import { toCloseCode } from "../engine/connection/sendable.js"
import { awaitClosed } from "./scopes.js"

/** A connection that can be closed. */
interface Closing extends Closable {
  startClosing(code: number | undefined, reason?: string): ProtocolError | PayloadTooLarge | undefined
  cutShort(): void
}

/** Performs the closing handshake, and waits until the connection is closed. Fails if the code or reason may not be sent. */
export const close = (
  connection: Closing,
  code: number | CloseCode.Name = 1000,
  reason?: string
): Effect.Effect<void, ProtocolError | PayloadTooLarge> =>
  Effect.suspend(() => {
    const refused = connection.startClosing(toCloseCode(code), reason)
    return refused === undefined ? awaitClosed(connection) : Effect.fail(refused)
  })

/** Performs the closing handshake with an empty Close, and waits until the connection is closed. */
export const closeWithoutCode = (connection: Closing): Effect.Effect<void> =>
  Effect.suspend(() => {
    connection.startClosing(undefined)
    return awaitClosed(connection)
  })

/** Drops the connection without a handshake, and waits until it is closed. */
export const abort = (connection: Closing): Effect.Effect<void> =>
  Effect.suspend(() => {
    connection.cutShort()
    return awaitClosed(connection)
  })
