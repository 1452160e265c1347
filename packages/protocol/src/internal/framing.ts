import type { Frame } from "../Frame.js"

// Beside the messages, because few ask for it and each would be larger.
const framing = new WeakMap<object, ReadonlyArray<Frame>>()

/** The frames that a message came in, where they were recorded. */
export const framesOf = (message: object): ReadonlyArray<Frame> | undefined => framing.get(message)

export const recordFrames = (message: object, frames: ReadonlyArray<Frame>): void => {
  framing.set(message, frames)
}
