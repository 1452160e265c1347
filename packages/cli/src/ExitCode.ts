/** What the exit status of the command means. A status that curl has, too, means the same as there. */
import type { IoError, IoErrorReason, WebSocketError } from "@effect-websocket/protocol/Errors"
import type { Failure } from "./Failure.js"

/** The statuses, as in the table of docs/command-line.md. A signal adds 128 to its number. */
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
