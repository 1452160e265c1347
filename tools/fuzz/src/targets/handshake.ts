import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import * as Extension from "@effect-websocket/protocol/Extension"
import * as Handshake from "@effect-websocket/protocol/Handshake"
import * as HeaderField from "@effect-websocket/protocol/HeaderField"
import { check, same } from "../check.js"
import { Input } from "../Input.js"

const key = "dGhlIHNhbXBsZSBub25jZQ=="

/** A header as it should be, left out, twice, with something behind it, or anything at all. */
const value = (input: Input, right: string): string | ReadonlyArray<string> | undefined => {
  switch (input.below(8)) {
    case 0:
      return undefined
    case 1:
      return [right, right]
    case 2:
      return right + input.latin1(input.below(8))
    case 3:
      return input.latin1(input.byte())
    case 4:
      return right.toUpperCase()
    default:
      return right
  }
}

const present = (entries: ReadonlyArray<readonly [string, string | ReadonlyArray<string> | undefined]>): HeaderRecord =>
  Object.fromEntries(entries.filter(([, each]) => each !== undefined))

const isError = (u: object): u is { readonly _tag: "Protocol_error" } => "_tag" in u && u._tag === "Protocol_error"

const checkRequest = (input: Input): void => {
  const request = {
    method: input.pick(["GET", "GET", "GET", "POST", "get"]),
    url: "/",
    httpVersion: input.pick(["1.1", "1.1", "2.0", "1.0", "x", "1.1e1"]),
    headers: present(
      [
        ["host", "a"],
        ["upgrade", "websocket"],
        ["connection", "keep-alive, Upgrade"],
        ["sec-websocket-version", "13"],
        ["sec-websocket-key", key],
        ["sec-websocket-protocol", "v1, v2"],
        ["sec-websocket-extensions", "permessage-deflate; client_max_window_bits, x-other; a=1"],
        ["origin", "http://a"]
      ].map(([name = "", right = ""]) => [name, value(input, right)] as const)
    )
  }
  const checked = Handshake.checkRequest(request)
  if (checked._tag === "RefusedRequest") {
    check(checked.status === 400 || checked.headers["Sec-WebSocket-Version"] === "13", "a 426 names no version")
    return
  }
  check(request.method === "GET", "a method that is not GET is accepted")
  check(request.headers["sec-websocket-version"] === "13", "another version is accepted")
  check(Buffer.from(checked.key, "base64").length === 16, "a key that has not 16 bytes is accepted")
  check(Buffer.from(checked.key, "base64").toString("base64") === checked.key, "a key that is not base64 is accepted")
  const agreement = {
    protocol: checked.protocols[input.below(3)],
    extensions: checked.extensions.filter(() => input.flag())
  }
  const answer = Handshake.responseHeaders(checked, agreement)
  check(!isError(answer), "an agreement on what was offered cannot be answered")
  const { extensions, protocols } = checked
  const offer = { key: checked.key, protocols, extensions }
  same(Handshake.checkResponse({ status: 101, headers: answer }, offer), agreement, "the client refuses the answer")
}

const checkResponse = (input: Input): void => {
  const offer = { key, protocols: ["v1", "v2"], extensions: [Extension.make("permessage-deflate")] }
  const headers = present(
    [
      ["upgrade", "websocket"],
      ["connection", "Upgrade"],
      ["sec-websocket-accept", Handshake.acceptValue(key)],
      ["sec-websocket-protocol", "v2"],
      ["sec-websocket-extensions", "permessage-deflate"]
    ].map(([name = "", right = ""]) => [name, value(input, right)] as const)
  )
  const agreed = Handshake.checkResponse({ status: 101, headers }, offer)
  if (isError(agreed)) return
  const accepts = HeaderField.values(headers, "sec-websocket-accept")
  check(accepts.length === 1 && accepts[0]?.trim() === Handshake.acceptValue(key), "another accept value is accepted")
  const { protocol } = agreed
  check(protocol === undefined || offer.protocols.includes(protocol), "another subprotocol is accepted")
  check(
    agreed.extensions.every(({ name }) => name === "permessage-deflate"),
    "another extension is accepted"
  )
}

const checkOffer = (input: Input): void => {
  const offer = {
    key,
    protocols: Array.from({ length: input.below(3) }, () => input.latin1(input.below(6))),
    extensions: [Extension.make(input.latin1(input.below(6)), [[input.latin1(2), input.latin1(2)]])].slice(
      input.below(2)
    ),
    origin: input.flag() ? input.latin1(input.below(20)) : undefined,
    headers: { [input.latin1(input.below(20))]: input.latin1(input.below(20)) }
  }
  const request = Handshake.requestHeaders(offer)
  if (isError(request)) return
  for (const [name, text] of Object.entries(request)) {
    check(HeaderField.isToken(name), "a name that is no token is sent")
    check(typeof text === "string" && !/[\r\n\0]/.test(text), "a value is sent that ends its line")
  }
  const headers = { ...Handshake.lowerCaseNames(request), host: "a" }
  const checked = Handshake.checkRequest({ method: "GET", url: "/", httpVersion: "1.1", headers })
  check(checked._tag === "UpgradeRequest", "our own request is refused")
  same(checked.protocols, offer.protocols, "subprotocols are lost")
  same(checked.extensions, offer.extensions, "extensions are lost")
}

/** Nothing throws; what is accepted is what the RFC allows; what one side says, the other understands. */
export const handshake = (bytes: Uint8Array): void => {
  const input = new Input(bytes)
  input.pick([checkRequest, checkResponse, checkOffer])(input)
}
