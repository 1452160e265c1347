/** What the exit status of the command means. A status that curl has, too, means the same as there. */
import type { IoError, IoErrorReason, WebSocketError } from "@effect-websocket/protocol/Errors"
import type { Failure } from "./Failure.js"

/** The statuses. A signal adds 128 to its number. */
export const exitCodes = {
  success: 0,
  unexpected: 1,
  usage: 2,
  proxy: 5,
  resolve: 6,
  connect: 7,
  protocol: 8,
  rejected: 22,
  write: 23,
  timeout: 28,
  tls: 35,
  noReply: 52,
  lost: 56,
  certificate: 60,
  tooLarge: 63,
  listen: 110,
  closed: 111,
  data: 112
} as const

/** What each status says. `pnpm docs:write` makes the table of docs/command-line.md of it. */
export const meanings: Readonly<Record<keyof typeof exitCodes, string>> = {
  success: "the connection was closed normally, by either side: with 1000, 1001, or no code from the peer",
  unexpected: "something unexpected; please report it",
  usage: "the command line is wrong, a URL or close code is invalid, or a file cannot be read",
  proxy: "the proxy refused, or could not be reached",
  resolve: "the host name has no address",
  connect: "no connection could be made",
  protocol: "the peer broke the protocol, or does not speak HTTP",
  rejected: "the server refused the handshake, with a status other than 101",
  write: "stdout cannot be written",
  timeout: "a deadline passed: of connecting, of the heartbeat, or of the replies to `send`",
  tls: "the TLS handshake failed",
  noReply: "`send`: the peer closed before all messages were sent and all replies were there",
  lost: "the connection was lost, or the peer did not answer a Close",
  certificate: "the certificate of the server is not valid",
  tooLarge: "a message is larger than `--max-message-bytes`",
  listen: "`listen`: the address cannot be used",
  closed: "the peer closed with another code, such as 1008 or 4000",
  data: "the input or a message is not in the `--format`"
}

const reasons: Readonly<Record<IoErrorReason, number>> = {
  Resolve: exitCodes.resolve,
  Connect: exitCodes.connect,
  CertificateExpired: exitCodes.certificate,
  CertificateSelfSigned: exitCodes.certificate,
  CertificateNameMismatch: exitCodes.certificate,
  CertificateUnknownAuthority: exitCodes.certificate,
  Tls: exitCodes.tls,
  Proxy: exitCodes.proxy,
  Listen: exitCodes.listen,
  Reset: exitCodes.lost,
  Timeout: exitCodes.timeout,
  HeadersTooLarge: exitCodes.protocol,
  InvalidResponse: exitCodes.protocol,
  Budget: exitCodes.unexpected
}

const ofIoError = ({ operation, reason }: IoError): number =>
  operation === "proxy" && (reason === "Resolve" || reason === "Connect") ? exitCodes.proxy : reasons[reason]

/** A Close says that all is well with 1000 (normal closure), 1001 (going away), or without a code, which 1005 stands for. */
const normal: ReadonlySet<number> = new Set([1000, 1001, 1005])

/** The status for an error that ended the command. */
export const ofError = (error: WebSocketError | Failure): number => {
  switch (error._tag) {
    case "Cli_failure":
      return error.exitCode
    case "Connection_closed":
      // Nothing was wrong, but something was still to be sent.
      if (normal.has(error.code)) return exitCodes.noReply
      // 1006 is no code that a peer sends: the connection ended without a Close.
      return error.code === 1006 ? exitCodes.lost : exitCodes.closed
    case "Protocol_error":
      // A URL, a header or a close code that was given.
      return error.origin === "local" ? exitCodes.usage : exitCodes.protocol
    case "Payload_too_large":
      return exitCodes.tooLarge
    case "Handshake_rejected":
      return exitCodes.rejected
    case "Io_error":
      return ofIoError(error)
  }
}

/** The signals that end the command, with their numbers. */
export const signals = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const

/** The status after a signal, as shells have it. */
export const ofSignal = (signal: keyof typeof signals): number => 128 + signals[signal]
