/** Base64 (RFC 4648 §4) of any size. */

// More arguments at once could exceed the stack.
const partBytes = 8192

const pattern = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/

export const encode = (bytes: Uint8Array): string => {
  let binary = ""
  for (let start = 0; start < bytes.length; start += partBytes) {
    binary += String.fromCharCode(...bytes.subarray(start, start + partBytes))
  }
  return btoa(binary)
}

/** `undefined` for a text that is not base64, with its padding and nothing else. */
export const decode = (text: string): Uint8Array | undefined =>
  pattern.test(text) ? Uint8Array.from(atob(text), (character) => character.charCodeAt(0)) : undefined
