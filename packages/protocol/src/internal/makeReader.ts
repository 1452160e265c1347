import type { FrameReceived } from "../Frame.js"
import type { Role } from "../FrameDecoder.js"
import type { Message } from "../Message.js"
import { MessageAssembler, type Inflate } from "../MessageAssembler.js"
import type { MessagePart } from "../MessagePart.js"
import type { DataReader } from "./DataReader.js"
import { FrameReader } from "./FrameReader.js"
import { FrameRecorder } from "./FrameRecorder.js"
import { PartReader } from "./PartReader.js"

/** The part of `Connection.Options` that decides what a connection delivers. */
export interface Options {
  readonly role: Role
  readonly delivery?: "messages" | "streams" | "frames" | undefined
  readonly recordFrames?: boolean | undefined
}

interface Limits {
  readonly maxMessageBytes: number
  readonly maxFragments: number
}

/** The reader that turns the data frames of a connection into what it delivers. */
export const makeReader = (
  { delivery = "messages", recordFrames = false, role }: Options,
  { maxFragments, maxMessageBytes }: Limits,
  inflate: Inflate | undefined
): DataReader<Message | MessagePart | FrameReceived> => {
  if (recordFrames && delivery !== "messages") {
    throw new RangeError('recordFrames is for the delivery "messages" only')
  }
  const masked = role === "server"
  if (delivery === "frames") return new FrameReader(masked)
  const assembler = new MessageAssembler({ maxFragments, maxMessageBytes, inflate })
  if (delivery === "streams") return new PartReader(assembler)
  return recordFrames ? new FrameRecorder(assembler, masked) : assembler
}
