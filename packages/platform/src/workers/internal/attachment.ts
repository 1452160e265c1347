import { InvalidState, maxAttachmentBytes } from "./InvalidState.js"

/** What is attached to a WebSocket, so that it survives hibernation. */
export interface Attachment {
  /** The state of the app, as its schema encodes it. */
  readonly state: unknown
  readonly protocol: string | undefined
  /** The code of the Close that this side has sent. 1005 stands for none. */
  readonly sentCode: number | undefined
}

/** The properties of the JSON. Their names are short, because they count. */
interface Stored {
  readonly s?: unknown
  readonly p?: string | undefined
  readonly c?: number | undefined
}

// How a structured clone of bytes in a buffer of their own begins: header, buffer and view. Measured on workerd.
const cloneOverhead = 11
// A Close may come later, and its code must fit.
const anyCode = 4999

const encoder = new TextEncoder()
// A decoder with `fatal` refuses bytes that are not UTF-8.
const decoder = new TextDecoder("utf-8", { fatal: true })

/** The bytes to attach. They are JSON, because its size is known. That of a structured clone of any value is not. */
export const encodeAttachment = ({ protocol, sentCode, state }: Attachment): Uint8Array | InvalidState => {
  const largest = encode({ s: state, p: protocol, c: anyCode })
  if (largest instanceof InvalidState) return largest
  const size = largest.length + cloneOverhead
  if (size > maxAttachmentBytes) return new InvalidState({ operation: "encode", reason: "size", size })
  return encode({ s: state, p: protocol, c: sentCode })
}

const encode = (stored: Stored): Uint8Array | InvalidState => {
  try {
    // Workers clone the whole buffer of a view.
    return encoder.encode(JSON.stringify(stored)).slice()
  } catch {
    return new InvalidState({ operation: "encode", reason: "json", size: undefined })
  }
}

/** Reads what `deserializeAttachment` returns. It may be of another version of the app. */
export const decodeAttachment = (attached: unknown): Attachment | InvalidState => {
  try {
    if (ArrayBuffer.isView(attached)) {
      const { buffer, byteLength, byteOffset } = attached
      const stored: unknown = JSON.parse(decoder.decode(new Uint8Array(buffer, byteOffset, byteLength)))
      if (isStored(stored)) return { state: stored.s, protocol: stored.p, sentCode: stored.c }
    }
  } catch {
    // It is not JSON.
  }
  return new InvalidState({ operation: "decode", reason: "json", size: undefined })
}

const isStored = (value: unknown): value is Stored => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false
  const { c, p }: { readonly c?: unknown; readonly p?: unknown } = value
  return (p === undefined || typeof p === "string") && (c === undefined || typeof c === "number")
}
