import { IoError, type IoErrorReason } from "@effect-websocket/protocol/Errors"
import { tlsReason } from "./tls.js"

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
