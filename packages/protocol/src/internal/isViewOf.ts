import type { FrameReceived } from "../Frame.js"
import type { Message } from "../Message.js"
import type { MessagePart } from "../MessagePart.js"

/** Whether the payload of an item is a view of the chunk in which it arrived. */
export const isViewOf = (item: Message | MessagePart | FrameReceived, chunk: Uint8Array): boolean => {
  const data = item._tag === "Frame" ? item.frame.payload : item.data
  return typeof data !== "string" && data.buffer === chunk.buffer
}
