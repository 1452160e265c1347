import { assert, describe, it } from "vitest"
import * as node from "../../src/internal/sha1.node.js"
import * as portable from "../../src/internal/sha1.js"

describe.each([
  ["sha1.ts", portable],
  ["sha1.node.ts", node]
] as const)("%s", (_, { sha1Base64 }) => {
  // RFC 3174 §7.3, and the example of RFC 6455 §1.3.
  it.each<[text: string, digest: string]>([
    ["", "2jmj7l5rSw0yVb/vlWAYkK/YBwk="],
    ["abc", "qZk+NkcGgWq6PiVxeFDCbJzQ2J0="],
    ["abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "hJg+RBw70m66rkqh+VEp5eVGcPE="],
    ["dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]
  ])("hashes %j", (text, digest) => assert.strictEqual(sha1Base64(text), digest))
})
