import type { Frame } from "../Frame.js"

// Kept outside the messages, because few apps record frames and a field would make every message larger.
const framing = new WeakMap<object, ReadonlyArray<Frame>>()

/** The recorded frames of a message; `undefined` if they were not recorded. */
export const framesOf = (message: object): ReadonlyArray<Frame> | undefined => framing.get(message)

export const recordFrames = (message: object, frames: ReadonlyArray<Frame>): void => {
  framing.set(message, frames)
}
