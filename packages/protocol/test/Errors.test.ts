import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import * as Errors from "@effect-websocket/protocol/Errors"
import { codePoint } from "./codePoint.js"

const coded = (message: string, code: string) => Object.assign(new Error(message), { code })

/** A cause that is its own cause. */
const circular = () => {
  const error = new AggregateError([])
  error.cause = error
  error.errors.push(error)
  return error
}

const closed = { code: 1001, reason: "bye", initiator: "remote", clean: true } as const
const tooLarge = { limit: "message", max: 10, size: 11, direction: "inbound" } as const

const violation = (origin: Errors.Endpoint, closeCode: number | undefined) =>
  new Errors.ProtocolError({ origin, description: "A rule is broken", section: "RFC 6455 §5", closeCode })

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
    message: "The message has 11 bytes; `limits.maxMessageBytes` allows 10"
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
      body: new Uint8Array([110, 111]),
      bodyTruncated: false
    }),
    guard: Errors.isHandshakeRejected,
    message: "The server answered the opening handshake with status 403: no"
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
    "%s is not an error of the library",
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
    [
      new Errors.PayloadTooLarge({ ...tooLarge, max: 1_048_576, size: 2_097_152 }),
      "The message has 2,097,152 bytes; `limits.maxMessageBytes` allows 1,048,576"
    ],
    [
      new Errors.PayloadTooLarge({ ...tooLarge, size: undefined }),
      "The message has more bytes than are allowed; `limits.maxMessageBytes` allows 10"
    ],
    [
      new Errors.PayloadTooLarge({ ...tooLarge, limit: "frame", max: 1000, size: 1001 }),
      "The frame has 1,001 bytes; `limits.maxFrameBytes` or `limits.maxMessageBytes` allows 1,000"
    ],
    [
      new Errors.PayloadTooLarge({ ...tooLarge, direction: "outbound" }),
      "The message has 11 bytes; `maxSendBytes` allows 10"
    ],
    [
      new Errors.PayloadTooLarge({ ...tooLarge, limit: "frame", direction: "outbound" }),
      "The frame has 11 bytes; `maxSendBytes` allows 10"
    ],
    [
      new Errors.PayloadTooLarge({ ...tooLarge, limit: "fragments", max: 2, size: 3 }),
      "The message has 3 frames; `limits.maxFragments` allows 2"
    ],
    [
      new Errors.PayloadTooLarge({ limit: "ratio", max: 100, size: undefined, direction: "inbound" }),
      "The message inflates to more than `compression.maxRatio` allows: 100 times its size"
    ],
    [
      new Errors.PayloadTooLarge({ limit: "budget", max: 10_000, size: undefined, direction: "inbound" }),
      "The connections hold more than their `budget` allows: 10,000 bytes; this one held the most"
    ],
    [
      new Errors.PayloadTooLarge({ limit: "unread", max: 10_000, size: undefined, direction: "inbound" }),
      "More messages wait to be read than `maxUnreadBytes` allows: 10,000 bytes"
    ],
    [
      new Errors.PayloadTooLarge({ limit: "closeReason", max: 123, size: 124, direction: "outbound" }),
      "The close reason has 124 bytes; a Close allows 123"
    ],
    [
      new Errors.PayloadTooLarge({ limit: "controlPayload", max: 125, size: 126, direction: "outbound" }),
      "The payload has 126 bytes; a control frame allows 125"
    ],
    [
      new Errors.IoError({ reason: "Timeout", operation: "handshake" }),
      "Timeout during handshake: the deadline passed"
    ],
    [
      new Errors.IoError({ reason: "Budget", operation: "accept" }),
      "Budget during accept: the byte budget is exhausted"
    ],
    [new Errors.IoError({ reason: "Connect", operation: "connect" }), "Connect: no connection could be made"],
    [new Errors.IoError({ reason: "Reset", operation: "read", cause: "gone" }), "Reset during read: gone"],
    [
      new Errors.IoError({ reason: "Reset", operation: "read", cause: new Error() }),
      "Reset during read: the connection broke"
    ],
    [new Errors.IoError({ reason: "Reset", operation: "read", cause: 1 }), "Reset during read: the connection broke"],
    [
      new Errors.IoError({
        reason: "Tls",
        operation: "tls",
        cause: Object.assign(
          new Error("C08:error:0A00045C:SSL routines:tlsv13 alert certificate required:../ssl.c:1599\n"),
          {
            library: "SSL routines",
            reason: "tlsv13 alert certificate required"
          }
        )
      }),
      "Tls: tlsv13 alert certificate required"
    ],
    [
      new Errors.IoError({ reason: "Reset", operation: "write", cause: coded("", "EPIPE") }),
      "Reset during write: EPIPE"
    ],
    [
      new Errors.IoError({ reason: "Reset", operation: "write", cause: new Error("", { cause: coded("", "EPIPE") }) }),
      "Reset during write: EPIPE"
    ],
    [
      new Errors.IoError({
        reason: "Connect",
        operation: "connect",
        cause: new AggregateError([coded("connect ECONNREFUSED ::1:80", "ECONNREFUSED"), coded("", "ENETUNREACH"), {}])
      }),
      "Connect: connect ECONNREFUSED ::1:80; ENETUNREACH"
    ],
    [
      new Errors.IoError({
        reason: "Connect",
        operation: "proxy",
        cause: new AggregateError(
          Array.from({ length: 10 }, (_, i) => new Error(`no ${i}`)),
          "all failed"
        )
      }),
      "Connect during proxy: all failed: no 0; no 1; no 2; no 3; no 4; no 5; no 6; no 7; 2 more"
    ],
    [
      new Errors.IoError({ reason: "Connect", operation: "connect", cause: new AggregateError([]) }),
      "Connect: no connection could be made"
    ],
    [
      new Errors.IoError({ reason: "Reset", operation: "read", cause: circular() }),
      "Reset during read: the connection broke"
    ]
  ])("%s", (error, message) => {
    assert.strictEqual(error.message, message)
  })
})

describe("the message of HandshakeRejected", () => {
  const messageOf = (body: string | Uint8Array, contentType?: string) =>
    new Errors.HandshakeRejected({
      status: 401,
      headers: { "content-type": contentType },
      body: typeof body === "string" ? new TextEncoder().encode(body) : body,
      bodyTruncated: false
    }).message.replace("The server answered the opening handshake with status 401", "")

  it.each([
    ["Log in first\n", ": Log in first"],
    ["\r\n  Log in\tfirst \r\nor not", ": Log in first"],
    ["\u001b[31mred\u0000\u202e\u2028more", ": [31mred"],
    ['{"error":"Über"}', ': {"error":"Über"}'],
    ["", ""],
    ["\n\u0001\n", ""],
    ["x".repeat(200), `: ${"x".repeat(200)}`],
    ["x".repeat(201), `: ${"x".repeat(200)}…`],
    ["\u{1f600}".repeat(100_000), `: ${"\u{1f600}".repeat(200)}…`]
  ])("has the first line of %j", (body, expected) => {
    assert.strictEqual(messageOf(body, "text/plain"), expected)
    assert.strictEqual(messageOf(body), expected)
    assert.strictEqual(messageOf(body, "Text/HTML; charset=utf-8"), "")
  })

  it("has no line break and no unprintable character, whatever the body is", () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.string({ unit: codePoint, maxLength: 600 })), (body) => {
        assert.match(messageOf(body), /^(: [^\p{C}\p{Zl}\p{Zp}]{1,201})?$/u)
      })
    )
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

  it("decodes its body as text, even if it is not UTF-8", () => {
    assert.strictEqual(rejected(403, [0xe2, 0x9c, 0x97]).text, "✗")
    assert.strictEqual(rejected(403, [0x61, 0xff]).text, "a\ufffd")
    assert.strictEqual(rejected(403).text, "")
  })

  it.each<[string, Errors.WebSocketError, number | undefined]>([
    ["a Close", new Errors.ConnectionClosed(closed), 1001],
    ["an inbound limit", new Errors.PayloadTooLarge(tooLarge), 1009],
    ["a byte budget", new Errors.PayloadTooLarge({ ...tooLarge, limit: "budget" }), 1013],
    ["an outbound limit", new Errors.PayloadTooLarge({ ...tooLarge, direction: "outbound" }), undefined],
    ["a broken rule", violation("remote", 1007), 1007],
    ["what the app asked for", violation("local", undefined), undefined],
    ["a slow message", new Errors.IoError({ reason: "Timeout", operation: "message" }), 1008],
    ["a heartbeat", new Errors.IoError({ reason: "Timeout", operation: "heartbeat" }), 1011],
    ["another deadline", new Errors.IoError({ reason: "Timeout", operation: "write" }), undefined],
    ["a broken transport", new Errors.IoError({ reason: "Reset", operation: "read" }), undefined],
    [
      "a refusal",
      new Errors.HandshakeRejected({ status: 403, headers: {}, body: new Uint8Array(0), bodyTruncated: false }),
      undefined
    ]
  ])("closeCodeOf returns the close code of %s", (_, error, code) => {
    assert.strictEqual(Errors.closeCodeOf(error), code)
  })

  it.each([
    ["local", Errors.localProtocolError],
    ["remote", Errors.remoteProtocolError]
  ] as const)("makes a %s ProtocolError, by default without a close code", (origin, make) => {
    const error = make("what", "where")
    assert.instanceOf(error, Errors.ProtocolError)
    assert.deepStrictEqual(
      { ...error },
      { _tag: "Protocol_error", origin, description: "what", section: "where", closeCode: undefined }
    )
    assert.strictEqual(make("what", "where", 1002).closeCode, 1002)
  })

  it("getOrThrow returns values, and throws errors", () => {
    assert.strictEqual(Errors.getOrThrow<string | Errors.ProtocolError>("a"), "a")
    assert.isUndefined(Errors.getOrThrow<undefined | Errors.ProtocolError>(undefined))
    const error = violation("local", undefined)
    assert.throws(() => Errors.getOrThrow<string | Errors.ProtocolError>(error), Errors.ProtocolError)
  })
})
