import { remoteProtocolError, type ProtocolError } from "../Errors.js"
import { rsv1 } from "../Frame.js"
import type { FrameHeader } from "../FrameDecoder.js"
import * as Opcode from "../Opcode.js"

/** Checks the order of data frames (RFC 6455 §5.4). `underWay`: a message has begun and has not ended. */
export const checkOrder = ({ opcode }: FrameHeader, underWay: boolean): ProtocolError | undefined => {
  if (opcode !== Opcode.Continuation)
    return underWay ? outOfOrder("A new message begins inside a fragmented one") : undefined
  return underWay ? undefined : outOfOrder("A continuation frame has no message to continue")
}

/** Checks the order of data frames if RSV1 is the bit of permessage-deflate (RFC 7692 §6.1). */
export const checkSequence = (header: FrameHeader, underWay: boolean): ProtocolError | undefined => {
  const refused = checkOrder(header, underWay)
  if (refused !== undefined || header.opcode !== Opcode.Continuation) return refused
  return (header.rsv & rsv1) === 0
    ? undefined
    : remoteProtocolError("A continuation frame has RSV1 set", "RFC 7692 §6.1", 1002)
}

const outOfOrder = (description: string): ProtocolError => remoteProtocolError(description, "RFC 6455 §5.4", 1002)
