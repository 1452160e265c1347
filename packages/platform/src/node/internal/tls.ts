import * as Tls from "node:tls"

/** Throws a `RangeError` for what no TLS can be spoken with, as for every other option that makes no sense. */
export const checkTls = (options: Tls.SecureContextOptions | undefined): void => {
  try {
    if (options !== undefined) Tls.createSecureContext(options)
  } catch (cause) {
    throw new RangeError(`tls cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}
