import { countOutside } from "#countOutside"
import { Buffer } from "node:buffer"

// Below this, Node takes about as long as V8, which fills the memory with zeros.
const minUninitialised = 4096

/** See `allocate.ts`. */
export const allocate = (size: number): Uint8Array<ArrayBuffer> => {
  const bytes =
    size < minUninitialised ? new Uint8Array(size) : new Uint8Array(Buffer.allocUnsafeSlow(size).buffer, 0, size)
  // After the allocation. Otherwise the collection would free memory at the same time as this allocates.
  countOutside(size)
  return bytes
}
