import { ProtocolError } from "../Errors.js"
import type { FrameHeader } from "../FrameDecoder.js"
import * as Opcode from "../Opcode.js"

/** What a peer did wrong, with the close code to send. */
export const violation = (description: string, section: string, closeCode: number): ProtocolError =>
  new ProtocolError({ origin: "remote", description, section, closeCode })

export const invalidUtf8 = (): ProtocolError => violation("A text message is not UTF-8", "RFC 6455 §8.1", 1007)

/** RSV1, the bit of permessage-deflate, in `Frame.rsv`. */
export const rsv1 = 4

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
