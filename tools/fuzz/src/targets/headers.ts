import * as Extension from "@effect-websocket/protocol/Extension"
import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import * as Origin from "@effect-websocket/protocol/Origin"
import * as Subprotocol from "@effect-websocket/protocol/Subprotocol"
import { check, same } from "../check.js"
import { Input } from "../Input.js"

const separators = [",", ", ", ";", "; ", "=", '"', "\\", " ", "\t", "\0", "é", "€"] as const
const words = ["permessage-deflate", "chat", "server_max_window_bits", "10", "x", "null"] as const

/** A header line: words and separators in any order, or any units. */
const line = (input: Input): string => {
  if (input.flag()) return input.latin1(input.byte())
  let text = ""
  for (let count = input.below(24); count > 0; count--) {
    const kind = input.below(4)
    text += kind === 0 ? input.pick(words) : kind === 1 ? input.latin1(input.below(6)) : input.pick(separators)
  }
  return text
}

const hosts = [
  "example.com",
  "localhost:8080",
  "[::1]:80",
  "a.b:443",
  "example.com:80",
  "EXAMPLE.com",
  "user@x"
] as const
const schemes = ["http://", "https://", "chrome-extension://", "http:", "//", ""] as const

const origin = (input: Input): string | undefined => {
  const kind = input.below(4)
  if (kind === 0) return undefined
  if (kind === 1) return input.latin1(input.byte())
  const host = kind === 2 ? input.pick(hosts) : input.latin1(input.below(24))
  return input.pick(schemes) + host + (input.below(4) === 3 ? input.latin1(input.below(6)) : "")
}

const hostOf = (url: string): string | undefined => {
  try {
    return new URL(url).host
  } catch {
    return undefined
  }
}

/** Nothing throws, what was parsed can be written and parsed again, and no origin is allowed that is not the host's own. */
export const headers = (bytes: Uint8Array): void => {
  const input = new Input(bytes)
  const lines = Array.from({ length: input.below(4) }, () => line(input))

  const tokens = HeaderField.parseTokens(lines)
  if (!("_tag" in tokens)) {
    check(tokens.every(HeaderField.isToken), "a token is none")
    same(HeaderField.parseTokens([tokens.join(", ")]), tokens, "tokens do not survive")
    // RFC 9110 §5.3: several lines are one list.
    same(HeaderField.parseTokens([lines.join(",")]), tokens, "lines are not one list")
  }
  const elements = HeaderField.parseElements(lines)
  if (!("_tag" in elements)) {
    same(HeaderField.parseElements([HeaderField.formatElements(elements)]), elements, "elements do not survive")
    same(HeaderField.parseElements([lines.join(",")]), elements, "lines are not one list")
    same(Extension.format(elements), HeaderField.formatElements(elements), "a parsed extension cannot be formatted")
  }
  same(Extension.parse(lines), elements, "extensions are not elements")
  const protocols = Subprotocol.parse(lines)
  if (!("_tag" in protocols)) {
    check(new Set(protocols).size === protocols.length, "a subprotocol comes twice")
    same(Subprotocol.format(protocols), protocols.join(", "), "parsed subprotocols cannot be formatted")
    const supported = lines.flatMap((text) => text.split(/[ ,]/))
    const selected = Subprotocol.byServerPreference(supported)(protocols)
    check(selected === undefined || protocols.includes(selected), "a subprotocol is selected that was not offered")
  }

  const request = { origin: origin(input), host: origin(input) }
  const scheme = input.pick([undefined, "http", "https"] as const)
  const refusal = Origin.sameOrigin(scheme === undefined ? {} : { scheme })(request)
  if (refusal === undefined && request.origin !== undefined) {
    const page = new URL(request.origin)
    check(page.host === hostOf(`${page.protocol}//${request.host}`), "another origin is allowed")
    check(page.pathname.length <= 1 && page.search === "" && page.username === "", "more than an origin is allowed")
    check(scheme === undefined || page.protocol === `${scheme}:`, "another scheme is allowed")
  }
  const allowed = Origin.allowList(["https://example.com", "null"])(request) === undefined
  const listed = [undefined, "null", "https://example.com"].includes(request.origin?.toLowerCase())
  check(allowed === listed, "the list of origins is not kept")
}
