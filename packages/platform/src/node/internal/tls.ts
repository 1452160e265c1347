import * as Redacted from "effect/Redacted"
import * as Net from "node:net"
import * as Tls from "node:tls"
import type { TlsOptions } from "../NodeOptions.js"

/** Throws a `RangeError` for options with which no TLS is possible. */
export const checkTls = (options: Tls.SecureContextOptions | undefined): void => {
  if (options !== undefined) createContext("tls", options)
}

const createContext = (name: string, options: Tls.SecureContextOptions): Tls.SecureContext => {
  try {
    return Tls.createSecureContext(options)
  } catch (cause) {
    throw new RangeError(`${name} cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

/** A client's options for every TLS connection. Throws a `RangeError` for options with which no TLS is possible. */
export const resolveTls = (
  name: string,
  { dangerouslySkipCertificateVerification, key, passphrase, pfx, ...options }: TlsOptions = {}
): Tls.ConnectionOptions => {
  const secrets = { key: reveal(key), passphrase: reveal(passphrase), pfx: reveal(pfx) }
  const isEmpty = Object.values({ ...options, ...secrets }).every((value) => value === undefined)
  return {
    ...options,
    // The context holds the keys from here on. Without options, Node makes its own context for the first connection.
    ...(isEmpty || options.secureContext !== undefined
      ? {}
      : { secureContext: createContext(name, given({ ...options, ...secrets })) }),
    ALPNProtocols: ["http/1.1"],
    // Always set, because an environment variable of Node changes the default.
    rejectUnauthorized: dangerouslySkipCertificateVerification !== true
  }
}

const given = (options: object): object =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined))

const reveal = <A>(value: A | Redacted.Redacted<A>): A => (Redacted.isRedacted(value) ? Redacted.value(value) : value)

/** The server to connect to, and the name to request. An address is no server name (RFC 6066 §3). */
export const serverName = (host: string): { readonly host: string; readonly servername?: string } =>
  Net.isIP(host) === 0 ? { host, servername: host } : { host }
