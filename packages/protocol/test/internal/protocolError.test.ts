import { assert, describe, it } from "vitest"
import { ProtocolError } from "@effect-websocket/protocol/Errors"
import { localError, remoteError } from "../../src/internal/protocolError.js"

describe("protocolError", () => {
  it.each([
    ["local", localError],
    ["remote", remoteError]
  ] as const)("makes a %s one, for which no Close was sent", (origin, make) => {
    const error = make("what", "where")
    assert.instanceOf(error, ProtocolError)
    assert.deepStrictEqual(
      { ...error },
      { _tag: "Protocol_error", origin, description: "what", section: "where", closeCode: undefined }
    )
  })
})
