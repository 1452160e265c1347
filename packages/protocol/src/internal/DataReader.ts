import type { FrameHeader, Violation } from "../FrameDecoder.js"

/** Turns data frames into what a connection delivers: messages, parts of messages, or frames. */
export interface DataReader<A> {
  /** Takes the header of a data frame. Returns a violation if the frame is out of order or exceeds a limit. */
  begin(header: FrameHeader): Violation | undefined
  /**
   * Takes a part of that frame's payload, `chunk[start, end)`; `final` marks the last part of the frame. If `owned`
   * is true, the result may be a view of the chunk. If `borrowed` is true, a message may lie in memory that the app
   * gives back.
   */
  payload(
    chunk: Uint8Array,
    start: number,
    end: number,
    final: boolean,
    owned: boolean,
    borrowed: boolean
  ): A | Violation | undefined
  /** Whether a message has begun and has not ended. */
  readonly started: boolean
  /** How many bytes are held for a message or frame that has not ended. */
  readonly heldBytes: number
}
