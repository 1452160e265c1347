import { assert, describe, it } from "vitest"
import * as Errors from "@effect-websocket/protocol/Errors"

const closed = { code: 1001, reason: "bye", initiator: "remote", clean: true } as const
const tooLarge = { limit: "message", max: 10, size: 11, direction: "inbound" } as const

const cases: ReadonlyArray<{
  readonly tag: string
  readonly error: Errors.WebSocketError
  readonly guard: (u: unknown) => boolean
  readonly message: string
}> = [
  {
    tag: "Connection_closed",
    error: new Errors.ConnectionClosed(closed),
    guard: Errors.isConnectionClosed,
    message: "The connection was closed by the remote endpoint with code 1001 (bye)"
  },
  {
    tag: "Protocol_error",
    error: new Errors.ProtocolError({
      origin: "remote",
      description: "A control frame is fragmented",
      section: "RFC 6455 §5.5",
      closeCode: 1002
    }),
    guard: Errors.isProtocolError,
    message: "A control frame is fragmented (RFC 6455 §5.5)"
  },
  {
    tag: "Payload_too_large",
    error: new Errors.PayloadTooLarge(tooLarge),
    guard: Errors.isPayloadTooLarge,
    message: "The inbound message limit of 10 bytes is exceeded with 11 bytes"
  },
  {
    tag: "Io_error",
    error: new Errors.IoError({ reason: "Connect", operation: "connect", cause: new Error("ECONNREFUSED") }),
    guard: Errors.isIoError,
    message: "Connect: ECONNREFUSED"
  },
  {
    tag: "Handshake_rejected",
    error: new Errors.HandshakeRejected({
      status: 403,
      headers: { "set-cookie": ["a=1", "b=2"] },
      body: new Uint8Array([1]),
      bodyTruncated: false
    }),
    guard: Errors.isHandshakeRejected,
    message: "The server answered the opening handshake with status 403"
  }
]

describe("Errors", () => {
  it.each(cases)("$tag", ({ error, guard, message, tag }) => {
    assert.instanceOf(error, Error)
    assert.strictEqual(error._tag, tag)
    assert.strictEqual(error.message, message)
    assert.isTrue(Errors.isWebSocketError(error))
    // A guard goes by the tag: an error of another copy of the package is one too.
    assert.deepStrictEqual(
      cases.map((other) => guard({ ...other.error })),
      cases.map((other) => other.tag === tag)
    )
  })

  it.each([undefined, null, "Protocol_error", 1002, {}, { _tag: "Protocol_Error" }, new Error("Io_error"), () => {}])(
    "%s is none",
    (value) => {
      assert.isFalse(Errors.isWebSocketError(value))
      for (const { guard } of cases) assert.isFalse(guard(value))
    }
  )

  it.each<[Error, string]>([
    [
      new Errors.ConnectionClosed({ ...closed, reason: "", initiator: "local" }),
      "The connection was closed by the local endpoint with code 1001"
    ],
    [
      new Errors.ConnectionClosed({ ...closed, code: 1006, reason: "", clean: false }),
      "The connection was closed by the remote endpoint with code 1006, not clean"
    ],
    [new Errors.PayloadTooLarge({ ...tooLarge, size: undefined }), "The inbound message limit of 10 bytes is exceeded"],
    [
      new Errors.PayloadTooLarge({ limit: "fragments", max: 2, size: 3, direction: "outbound" }),
      "The outbound fragments limit of 2 frames is exceeded with 3 frames"
    ],
    [
      new Errors.PayloadTooLarge({ limit: "ratio", max: 100, size: undefined, direction: "inbound" }),
      "The inbound ratio limit of 100 to 1 is exceeded"
    ],
    [new Errors.IoError({ reason: "Timeout", operation: "handshake" }), "Timeout during handshake"],
    [new Errors.IoError({ reason: "Reset", operation: "read", cause: "gone" }), "Reset during read"]
  ])("%s", (error, message) => {
    assert.strictEqual(error.message, message)
  })
})

describe("HandshakeRejected", () => {
  const rejected = (status: number, body: ReadonlyArray<number> = []) =>
    new Errors.HandshakeRejected({ status, headers: {}, body: Uint8Array.from(body), bodyTruncated: false })

  it.each<readonly [number, Errors.RejectionReason]>([
    [200, "Other"],
    [300, "Other"],
    [301, "Redirect"],
    [302, "Redirect"],
    [303, "Redirect"],
    [304, "Other"],
    [307, "Redirect"],
    [308, "Redirect"],
    [401, "Unauthorized"],
    [403, "Forbidden"],
    [404, "NotFound"],
    [426, "UpgradeRequired"],
    [429, "TooManyRequests"],
    [500, "Other"],
    [503, "ServiceUnavailable"]
  ])("with status %d is %s", (status, reason) => {
    assert.strictEqual(rejected(status).reason, reason)
  })

  it("has its body as text, also where that is none", () => {
    assert.strictEqual(rejected(403, [0xe2, 0x9c, 0x97]).text, "✗")
    assert.strictEqual(rejected(403, [0x61, 0xff]).text, "a\ufffd")
    assert.strictEqual(rejected(403).text, "")
  })
})
