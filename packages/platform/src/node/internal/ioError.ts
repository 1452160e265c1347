import { IoError, type IoErrorReason } from "@effect-websocket/protocol/Errors"

/** How far the way to an open connection has come. */
export type Stage = "connect" | "proxy" | "tls" | "handshake"

const otherwise: Readonly<Record<Stage, IoErrorReason>> = {
  connect: "Connect",
  proxy: "Proxy",
  tls: "Tls",
  handshake: "Reset"
}

export const toIoError = (stage: Stage, cause: Error): IoError => {
  const reason = reasonOf(stage, cause)
  const isTls = stage === "handshake" && tlsReason(codeOf(cause)) !== undefined
  return new IoError({ reason, operation: isTls ? "tls" : stage, cause })
}

const codeOf = (cause: Error): string => ("code" in cause && typeof cause.code === "string" ? cause.code : "")

const reasonOf = (stage: Stage, cause: Error): IoErrorReason => {
  // One error for each address that was tried.
  if (cause instanceof AggregateError) {
    const reasons = new Set(
      cause.errors.map((each) => (each instanceof Error ? reasonOf(stage, each) : otherwise[stage]))
    )
    const [common = otherwise[stage]] = reasons
    return reasons.size > 1 ? "Connect" : common
  }
  const code = codeOf(cause)
  const tls = tlsReason(code)
  if (tls !== undefined) return tls
  const syscall = "syscall" in cause ? cause.syscall : undefined
  if (syscall === "getaddrinfo") return "Resolve"
  if (syscall === "connect") return "Connect"
  if (stage !== "handshake") return otherwise[stage]
  return code === "HPE_HEADER_OVERFLOW"
    ? "HeadersTooLarge"
    : code.startsWith("HPE_")
      ? "InvalidResponse"
      : otherwise[stage]
}

/** The reason of an error code of TLS; `undefined` for other codes. */
const tlsReason = (code: string): IoErrorReason | undefined => {
  switch (code) {
    case "CERT_HAS_EXPIRED":
    case "CERT_NOT_YET_VALID":
      return "CertificateExpired"
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
      return "CertificateSelfSigned"
    case "ERR_TLS_CERT_ALTNAME_INVALID":
    case "HOSTNAME_MISMATCH":
      return "CertificateNameMismatch"
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "CERT_UNTRUSTED":
      return "CertificateUnknownAuthority"
    default:
      return code.startsWith("ERR_SSL_") || code.startsWith("ERR_TLS_") ? "Tls" : undefined
  }
}
