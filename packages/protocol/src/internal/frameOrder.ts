import type { ProtocolError } from "../Errors.js"
import { rsv1 } from "../Frame.js"
import type { FrameHeader } from "../FrameDecoder.js"
import * as Opcode from "../Opcode.js"
import { violation } from "./violations.js"

/** The order of data frames. `underWay`: a message has begun and has not ended. */
export const checkOrder = ({ opcode }: FrameHeader, underWay: boolean): ProtocolError | undefined => {
  if (opcode !== Opcode.Continuation) {
    return underWay ? violation("A new message begins inside a fragmented one", "RFC 6455 §5.4", 1002) : undefined
  }
  return underWay ? undefined : violation("A continuation frame has no message to continue", "RFC 6455 §5.4", 1002)
}

/** The order of data frames, where RSV1 is the bit of permessage-deflate. */
export const checkSequence = (header: FrameHeader, underWay: boolean): ProtocolError | undefined => {
  const refused = checkOrder(header, underWay)
  if (refused !== undefined || header.opcode !== Opcode.Continuation) return refused
  return (header.rsv & rsv1) === 0 ? undefined : violation("A continuation frame has RSV1 set", "RFC 7692 §6.1", 1002)
}
