/**
 * SHA-1 with the APIs that every runtime has. `#sha1` resolves to `sha1.node.ts` on Node and to this file elsewhere. Both
 * export the same function.
 */
import { sha1 } from "@noble/hashes/legacy.js"
import * as Base64 from "./base64.js"

/** The base64 of the digest of `text`, which has only ASCII characters. */
export const sha1Base64 = (text: string): string =>
  Base64.encode(sha1(Uint8Array.from(text, (character) => character.charCodeAt(0))))
