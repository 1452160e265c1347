import { assert } from "vitest"

/** The fields of an error without its description. Tests compare these, because chai compares only names and messages of errors. */
export const facts = (error: unknown): Record<string, unknown> => {
  assert.instanceOf(error, Error)
  const fields: Record<string, unknown> = { ...error }
  delete fields["description"]
  return fields
}

export const localFacts = (section: string) => ({
  _tag: "Protocol_error",
  origin: "local",
  section,
  closeCode: undefined
})

export const remoteFacts = (section: string, closeCode?: number) => ({
  _tag: "Protocol_error",
  origin: "remote",
  section,
  closeCode
})

export const tooLargeFacts = (
  limit: string,
  max: number,
  size: number | undefined,
  direction: "inbound" | "outbound"
) => ({ _tag: "Payload_too_large", limit, max, size, direction })

export const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex")

export const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"))

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

/** The text with U+FFFD in place of every lone surrogate. */
export const wellFormed = (text: string): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(utf8(text))

export const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => Uint8Array.from(Buffer.concat(parts))

/** The text of UTF-8, or `undefined`, by the platform's own decoder. */
export const fatalDecode = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}
