/**
 * Counts memory that payloads take outside of the heap, and that the app will drop soon. `#countOutside` resolves to
 * `countOutside.node.ts` on Node and to this file elsewhere.
 */
export const countOutside = (_bytes: number): void => {}
