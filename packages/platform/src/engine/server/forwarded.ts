import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import { canonical, canonicalNode } from "./ipAddress.js"

/** The trusted proxies of a server. */
export interface ProxySettings {
  readonly trusted: (address: string) => boolean
  /** In lower case. */
  readonly header: string
  readonly trustUnixSocket: boolean
}

/**
 * The address of the client. Each proxy appends the address of its own client. So the list is read from its end, and
 * the reading continues while the address so far is that of a trusted proxy. An entry that is not an address ends this:
 * the result is then the address of the proxy that wrote it.
 */
export const clientAddress = (
  remoteAddress: string | undefined,
  headers: HeaderRecord,
  proxies: ProxySettings
): string | undefined => {
  let address = plainAddress(remoteAddress)
  const { header, trustUnixSocket, trusted } = proxies
  const listed = HeaderField.values(headers, header).join(",")
  let end = listed.length
  while (end > 0 && (address === undefined ? trustUnixSocket : trusted(address))) {
    const start = separator(listed, ",", end)
    const entry = listed.slice(start + 1, end).trim()
    end = start
    // RFC 9110 §5.6.1: empty elements of a list are skipped.
    if (entry === "") continue
    const node = header === "forwarded" ? forOf(entry) : entry
    const next = node === undefined ? undefined : canonicalNode(node)
    if (next === undefined) return address
    address = next
  }
  return address
}

/** The address of a socket in one form, such as that of an IPv4 client on a socket for IPv6. */
export const plainAddress = (remoteAddress: string | undefined): string | undefined =>
  remoteAddress === undefined ? undefined : (canonical(remoteAddress) ?? remoteAddress)

/**
 * The last separator before `end` that is not within a quoted string; -1 if there is none. Quotes are paired from the end,
 * so that a quote that a client leaves open does not reach what the proxies append.
 */
const separator = (text: string, separator: string, end: number): number => {
  let quoted = false
  for (let i = end - 1; i >= 0; i--) {
    if (text[i] === '"') {
      const backslashes = quoted ? backslashesBefore(text, i) : 0
      if (backslashes % 2 === 0) quoted = !quoted
      i -= backslashes
    } else if (!quoted && text[i] === separator) return i
  }
  return -1
}

const backslashesBefore = (text: string, end: number): number => {
  let start = end
  while (text[start - 1] === "\\") start--
  return end - start
}

/** The parameter `for` of an element of `Forwarded` (RFC 7239 §4); `undefined` if it is missing, malformed, or there twice. */
const forOf = (element: string): string | undefined => {
  let found: string | undefined
  for (let end = element.length; end >= 0;) {
    const start = separator(element, ";", end)
    const pair = element.slice(start + 1, end)
    const equals = pair.indexOf("=")
    if (pair.slice(0, Math.max(0, equals)).trim().toLowerCase() === "for") {
      if (found !== undefined) return undefined
      found = unquoted(pair.slice(equals + 1).trim())
    }
    end = start
  }
  return found
}

const unquoted = (value: string): string =>
  value.length > 1 && value.startsWith('"') && value.endsWith('"')
    ? value.slice(1, -1).replaceAll(/\\(.)/g, "$1")
    : value
