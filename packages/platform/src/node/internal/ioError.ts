import { IoError, type IoErrorReason } from "@effect-websocket/protocol/Errors"
import { tlsReason } from "./tls.js"

/** How far an attempt has come. */
export type Stage = "connect" | "proxy" | "tls" | "handshake"

const otherwise: Readonly<Record<Stage, IoErrorReason>> = {
  connect: "Connect",
  proxy: "Proxy",
  tls: "Tls",
  handshake: "Reset"
}

export const toIoError = (stage: Stage, cause: Error): IoError => {
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : ""
  // Of several addresses none could be connected to.
  const syscall = cause instanceof AggregateError ? "connect" : "syscall" in cause ? cause.syscall : undefined
  const tls = tlsReason(code)
  if (tls !== undefined) return new IoError({ reason: tls, operation: stage === "handshake" ? "tls" : stage, cause })
  const reason =
    syscall === "getaddrinfo"
      ? "Resolve"
      : syscall === "connect"
        ? "Connect"
        : stage === "handshake" && code === "HPE_HEADER_OVERFLOW"
          ? "HeadersTooLarge"
          : stage === "handshake" && code.startsWith("HPE_")
            ? "InvalidResponse"
            : otherwise[stage]
  return new IoError({ reason, operation: stage, cause })
}
