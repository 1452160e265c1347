import * as Message from "@effect-websocket/protocol/Message"
import type { Position, Publication } from "../../../src/engine/topics/Publication.js"

export const publication = (epoch: string, offset: number, text = `${epoch}${offset}`): Publication => ({
  _tag: "Publication",
  position: { epoch, offset },
  message: Message.text(text),
  publisher: undefined
})

export const at = (epoch: string, offset: number): Position => ({ epoch, offset })

export const show = ({ position }: { readonly position: Position }): string => `${position.epoch}${position.offset}`
