/**
 * Memory whose bytes are all written before they are read. `#allocate` resolves to `allocate.node.ts` on Node and to this
 * file elsewhere.
 */
export const allocate = (size: number): Uint8Array<ArrayBuffer> => new Uint8Array(size)
