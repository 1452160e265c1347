/** Whether a platform's WebSocket sends this close code for the app (WHATWG WebSockets §3.1, `close`). */
export const isNativeCloseCode = (code: number): boolean => code === 1000 || (code >= 3000 && code <= 4999)

/**
 * The code that a platform's WebSocket sends in place of one that it cannot send: 1000 for 1001, because both are normal
 * ends, and otherwise the code plus 3000, so 4011 for 1011.
 */
export const toNativeCloseCode = (code: number): number =>
  isNativeCloseCode(code) ? code : code === 1001 ? 1000 : code + 3000
