import * as Connection from "@effect-websocket/protocol/Connection"
import * as Mask from "@effect-websocket/protocol/Mask"
import { randomMaskKey } from "../random.js"
import type { Settings } from "../Settings.js"
import type { Mode, Negotiated } from "./Link.js"

/** Makes the state machine of a connection whose handshake is complete. */
export const makeConnection = (
  role: "client" | "server",
  settings: Settings,
  { deflate }: Pick<Negotiated, "deflate">,
  mode: Mode
): Connection.Connection => {
  const options = {
    compression: settings.compression && deflate && { ...settings.compression, agreement: deflate },
    delivery: mode.delivery,
    answerPings: mode.answerPings,
    answerClose: mode.answerClose,
    recordFrames: mode.recordFrames,
    rsv: mode.rsv,
    opcodes: mode.opcodes,
    limits: settings.limits,
    maxFrameSize: settings.maxFrameSize,
    maxSendBytes: settings.maxSendBytes,
    // The bytes may be used without a copy only if `send` waits until they are out.
    maxCopiedBytes: settings.sendStrategy === "suspend" ? settings.sendMarks.high : Number.MAX_SAFE_INTEGER
  }
  if (role === "server") return Connection.make({ ...options, role })
  return Connection.make({
    ...options,
    role,
    maskKey: settings.random === undefined ? randomMaskKey : Mask.keys(settings.random)
  })
}
