import * as Data from "effect/Data"

/** See `DurableObjectWebSockets.InvalidState`. */
export class InvalidState extends Data.TaggedError("Invalid_state")<{
  readonly operation: "decode" | "encode"
  readonly reason: "json" | "schema" | "size"
  readonly size: number | undefined
}> {
  override get message(): string {
    const { operation, reason, size } = this
    if (reason === "size") {
      return `The state of the connection takes ${size} bytes, with the subprotocol; ${maxAttachmentBytes} are allowed`
    }
    if (operation === "decode") {
      return reason === "json"
        ? "The connection has an attachment that this library did not make"
        : "The state that the connection had does not match the schema"
    }
    return reason === "json"
      ? "The state cannot be encoded as JSON"
      : "The state does not match the schema, or not after it was encoded as JSON"
  }
}

/** What Cloudflare's documentation allows for the attachment of a WebSocket. */
export const maxAttachmentBytes = 2048
