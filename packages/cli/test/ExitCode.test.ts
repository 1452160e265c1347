import {
  ConnectionClosed,
  HandshakeRejected,
  IoError,
  localProtocolError,
  PayloadTooLarge,
  remoteProtocolError
} from "@effect-websocket/protocol/Errors"
import { assert, describe, it } from "@effect/vitest"
import { exitCodes, ofError, ofSignal } from "../src/ExitCode.js"
import { Failure } from "../src/Failure.js"

const closed = (code: number) => new ConnectionClosed({ code, reason: "", initiator: "remote", clean: code !== 1006 })
const io = (reason: IoError["reason"], operation = "connect") => new IoError({ reason, operation })
const tooLarge = new PayloadTooLarge({ limit: "message", max: 1, size: 2, direction: "inbound" })
const rejected = new HandshakeRejected({ status: 403, headers: {}, body: new Uint8Array(), bodyTruncated: false })

describe("ExitCode", () => {
  it("has a status for each error", () => {
    const cases = [
      [new Failure({ exitCode: 112, message: "" }), exitCodes.data],
      [closed(1008), exitCodes.closed],
      [closed(1000), exitCodes.noReply],
      [closed(1001), exitCodes.noReply],
      [closed(1005), exitCodes.noReply],
      [closed(1006), exitCodes.lost],
      [localProtocolError("a URL", "RFC"), exitCodes.usage],
      [remoteProtocolError("a frame", "RFC"), exitCodes.protocol],
      [tooLarge, exitCodes.tooLarge],
      [rejected, exitCodes.rejected],
      [io("Resolve"), exitCodes.resolve],
      [io("Connect"), exitCodes.connect],
      [io("CertificateExpired"), exitCodes.certificate],
      [io("CertificateSelfSigned"), exitCodes.certificate],
      [io("CertificateNameMismatch"), exitCodes.certificate],
      [io("CertificateUnknownAuthority"), exitCodes.certificate],
      [io("Tls"), exitCodes.tls],
      [io("Proxy"), exitCodes.proxy],
      [io("Resolve", "proxy"), exitCodes.proxy],
      [io("Connect", "proxy"), exitCodes.proxy],
      [io("Listen"), exitCodes.listen],
      [io("Reset"), exitCodes.lost],
      [io("Timeout"), exitCodes.timeout],
      [io("HeadersTooLarge"), exitCodes.protocol],
      [io("InvalidResponse"), exitCodes.protocol],
      [io("Budget"), exitCodes.unexpected]
    ] as const
    for (const [error, status] of cases) assert.strictEqual(ofError(error), status, error.message)
  })

  it("adds 128 to the number of a signal", () => {
    assert.deepStrictEqual([ofSignal("SIGHUP"), ofSignal("SIGINT"), ofSignal("SIGTERM")], [129, 130, 143])
  })
})
