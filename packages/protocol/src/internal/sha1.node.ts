/** SHA-1 with Node's own hash, which takes a tenth of the time. The same function as `sha1.ts`. */
import { hash } from "node:crypto"

/** See `sha1.ts`. */
export const sha1Base64 = (text: string): string => hash("sha1", text, "base64")
