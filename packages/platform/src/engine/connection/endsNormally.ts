import type { ConnectionError } from "@effect-websocket/protocol/Errors"

/** Whether reading ends normally after this error, instead of failing with it. */
export const endsNormally = (error: ConnectionError): boolean =>
  error._tag === "Connection_closed" &&
  error.clean &&
  (error.initiator === "local" || error.code === 1000 || error.code === 1001 || error.code === 1005)
