import { createHash } from "node:crypto"

/** A Lua script, and the digest by which the server knows it. */
export interface Script {
  readonly source: string
  readonly sha: string
}

export const script = (source: string): Script => ({ source, sha: createHash("sha1").update(source).digest("hex") })
