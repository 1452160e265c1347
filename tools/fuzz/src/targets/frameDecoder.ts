import * as Frame from "@effect-websocket/protocol/Frame"
import { frames, type Role } from "@effect-websocket/protocol/FrameDecoder"
import { encode } from "@effect-websocket/protocol/FrameEncoder"
import { check, facts, same } from "../check.js"
import { cuts, Input } from "../Input.js"
import { anyStream, concat } from "../stream.js"

/**
 * However the bytes are cut, the same frames come out and the same violation; what came out, encoded again, is what went
 * in; and no frame exceeds the limit.
 */
export const frameDecoder = (bytes: Uint8Array): void => {
  const input = new Input(bytes)
  const role = input.pick<Role>(["client", "server"])
  const maxFrameBytes = input.pick([undefined, 1, 125, 126, 65535])
  const options = { role, rsv: input.below(8), maxFrameBytes }
  const cut = cuts(input)
  const sent = anyStream(input, role)

  const whole = frames(options)(sent)
  const decode = frames(options)
  const pieces = cut(sent).map((piece) => decode(piece))
  same(
    pieces.flatMap((piece) => piece.frames),
    whole.frames,
    "cutting changes the frames"
  )
  const violations = pieces.flatMap(({ violation }) => (violation === undefined ? [] : [facts(violation)]))
  same(violations, whole.violation === undefined ? [] : [facts(whole.violation)], "cutting changes the violation")

  for (const frame of whole.frames) {
    check(frame.payload.length <= (maxFrameBytes ?? Infinity), "a frame exceeds the limit")
    check(Frame.format(frame).length > 0, "a frame cannot be shown")
  }
  if (role === "client") {
    const again = concat(whole.frames.map((frame) => encode(frame)))
    same(again, sent.slice(0, again.length), "encoding does not invert decoding")
  } else {
    const again = frames({ role, rsv: 7 })(concat(whole.frames.map((frame) => encode(frame, 0x9f00b3c1))))
    same(again, { frames: whole.frames, violation: undefined }, "decoding does not invert encoding")
  }
}
