/**
 * The code that a platform's WebSocket sends for one of the library or the app. It can send 1000 and 3000 to 4999 (WHATWG
 * WebSockets §3.1, `close`). So 1001 becomes 1000, because both are normal ends, and every other code has 3000 added: 1011
 * becomes 4011.
 */
export const toNativeCloseCode = (code: number): number => {
  if (code === 1000 || code >= 3000) return code
  return code === 1001 ? 1000 : code + 3000
}
