import type { FrameHeader, Violation } from "../FrameDecoder.js"

/** Makes of data frames what is delivered: messages, parts of them, or the frames themselves. */
export interface DataReader<A> {
  /** Takes the header of a data frame, and refuses on it what breaks the order of frames or a limit. */
  begin(header: FrameHeader): Violation | undefined
  /**
   * Takes a part of that frame's payload, `chunk[start, end)`; `final` tells that it is the frame's last. Of an `owned`
   * chunk what is returned may be a view.
   */
  payload(chunk: Uint8Array, start: number, end: number, final: boolean, owned: boolean): A | Violation | undefined
  /** Whether a message has begun and has not ended. */
  readonly started: boolean
  /** How many bytes are held of what has not ended. */
  readonly heldBytes: number
}
