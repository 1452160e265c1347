// C0, DEL and C1; line and paragraph separators; halves of surrogate pairs; marks, embeddings, overrides and isolates of
// bidirectional text; interlinear annotations; tags.
const unsafe =
  /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu

const names: Readonly<Record<string, string>> = { "\t": "\\t", "\n": "\\n", "\r": "\\r", "\u001b": "\\e" }

const escapeOne = (character: string): string => {
  const code = character.codePointAt(0)!
  return names[character] ?? (code < 0x100 ? `\\x${hex(code, 2)}` : `\\u{${hex(code, 4)}}`)
}

const hex = (code: number, digits: number): string => code.toString(16).padStart(digits, "0")

/**
 * A text for a terminal, on one line: what could move the cursor, change colors, write into the clipboard, or show the text in
 * another order is visible instead. All text that comes from a peer goes through this function.
 */
export const escape = (text: string): string => text.replaceAll(unsafe, escapeOne)
