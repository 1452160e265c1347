import { toIoError } from "../../../src/node/internal/ioError.js"
import { assert, describe, it } from "@effect/vitest"

const failed = (syscall: string, code: string, address = "") =>
  Object.assign(new Error(`${syscall} ${code} ${address}`.trim()), { syscall, code })

const refused = failed("connect", "ECONNREFUSED", "127.0.0.1:80")
const unreachable = failed("connect", "ENETUNREACH", "::1:80")
const expired = failed("", "CERT_HAS_EXPIRED")

describe("toIoError", () => {
  for (const [name, stage, cause, expected] of [
    ["a name without an address", "connect", failed("getaddrinfo", "ENOTFOUND"), ["Resolve", "connect"]],
    ["an address that refuses", "connect", refused, ["Connect", "connect"]],
    ["a broken connection", "handshake", failed("read", "ECONNRESET"), ["Reset", "handshake"]],
    ["a certificate", "handshake", expired, ["CertificateExpired", "tls"]],
    ["a certificate of the proxy", "proxy", expired, ["CertificateExpired", "proxy"]],
    ["an endless header", "handshake", failed("", "HPE_HEADER_OVERFLOW"), ["HeadersTooLarge", "handshake"]],
    ["no HTTP", "handshake", failed("", "HPE_INVALID_CONSTANT"), ["InvalidResponse", "handshake"]],
    ["several addresses", "connect", new AggregateError([unreachable, refused]), ["Connect", "connect"]],
    ["several addresses of a proxy", "proxy", new AggregateError([unreachable, refused]), ["Connect", "proxy"]],
    ["several with one reason", "connect", new AggregateError([expired, expired]), ["CertificateExpired", "connect"]],
    ["several with several reasons", "tls", new AggregateError([expired, refused]), ["Connect", "tls"]],
    ["several that are no errors", "proxy", new AggregateError(["a", "b"]), ["Proxy", "proxy"]],
    ["none of several", "connect", new AggregateError([]), ["Connect", "connect"]]
  ] as const) {
    it(`${name}: ${expected.join(" during ")}`, () => {
      const error = toIoError(stage, cause)
      assert.deepStrictEqual([error.reason, error.operation], [...expected])
      assert.strictEqual(error.cause, cause)
    })
  }

  it("reports the cause of each address", () => {
    assert.strictEqual(
      toIoError("connect", new AggregateError([unreachable, refused])).message,
      "Connect: connect ENETUNREACH ::1:80; connect ECONNREFUSED 127.0.0.1:80"
    )
  })
})
