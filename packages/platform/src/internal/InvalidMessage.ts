import * as Data from "effect/Data"

/** See `WebSocketChannel.InvalidMessage`. */
export class InvalidMessage extends Data.TaggedError("Invalid_message")<{
  readonly direction: "inbound" | "outbound"
  readonly reason: "kind" | "serialization" | "schema"
  readonly serialization: string
}> {
  override get message(): string {
    const { direction, reason, serialization } = this
    if (reason === "schema") {
      return direction === "inbound"
        ? "The message does not match the schema of the channel"
        : "The value does not match the schema of the channel"
    }
    if (direction === "outbound") return `The value cannot be serialized as ${serialization}`
    return reason === "kind"
      ? `A text message came instead of a binary one, or the other way round; the channel uses ${serialization}`
      : `The message is not ${serialization}`
  }
}
