/** Frames to bytes and back. */
import { Frame, FrameDecoder, FrameEncoder, Mask } from "@effect-websocket/protocol"

const nextKey = Mask.keys(globalThis.crypto)

/** The frames of a client. Each one is masked with its own key. */
export const sentByClient = [Frame.text("hel", { fin: false }), Frame.ping(), Frame.continuation("lo")].map((frame) =>
  FrameEncoder.encode(frame, nextKey())
)

/** The frames that the server reads. The bytes may be split anywhere. */
export const readByServer = (chunks: Iterable<Uint8Array>): ReadonlyArray<string> => {
  const decode = FrameDecoder.frames({ role: "server", maxFrameBytes: 64 * 1024 })
  const lines: Array<string> = []
  for (const chunk of chunks) {
    const { frames, violation } = decode(chunk)
    lines.push(...frames.map(Frame.format))
    // Frames before the violation are complete. Nothing is read after it.
    if (violation !== undefined) return [...lines, violation.message]
  }
  return lines
}
