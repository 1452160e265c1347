/** Base64 (RFC 4648 §4) for the 16 and 20 octets of the opening handshake. It needs no API of a runtime. */
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

export const encode = (bytes: Uint8Array): string => {
  let text = ""
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i
    const group = (bytes[i]! << 16) | ((left > 1 ? bytes[i + 1]! : 0) << 8) | (left > 2 ? bytes[i + 2]! : 0)
    text += alphabet[group >>> 18]! + alphabet[(group >>> 12) & 63]!
    text += (left > 1 ? alphabet[(group >>> 6) & 63]! : "=") + (left > 2 ? alphabet[group & 63]! : "=")
  }
  return text
}

/** Whether `text` is the base64 of exactly 16 octets: 22 characters and `==`. */
export const isBase64Of16 = (text: string): boolean => {
  if (text.length !== 24 || text[22] !== "=" || text[23] !== "=") return false
  for (let i = 0; i < 22; i++) {
    if (!isDigit(text.charCodeAt(i))) return false
  }
  return true
}

/** Whether a UTF-16 unit is a digit of base64: `A` to `Z`, `a` to `z`, `0` to `9`, `+` or `/`. */
const isDigit = (unit: number): boolean => {
  const letter = unit | 0x20
  return (letter >= 0x61 && letter <= 0x7a) || (unit >= 0x2f && unit <= 0x39) || unit === 0x2b
}
