/** U: the module for the upgrade handshake, an OCaml `Websocket`. */
import { Errors, Extension, Handshake, type HeaderField, Subprotocol } from "@effect-websocket/protocol"
import { Headers as EffectHeaders } from "@effect/platform"
import * as Assert from "node:assert/strict"
import { item, type Seed } from "./Item.js"

const key = "dGhlIHNhbXBsZSBub25jZQ=="
const accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
const offered = "permessage-deflate; client_max_window_bits"
const extensions = Errors.getOrThrow(Extension.parse(offered))
const answer = { Upgrade: "websocket", Connection: "Upgrade", "Sec-WebSocket-Accept": accept }

/** The reason for which an answer is refused. */
const refusal = (status: number, headers: HeaderField.Input, offer: Handshake.Offer = { key }): string => {
  const checked = Handshake.checkResponse({ status, headers }, offer)
  Assert.ok(Errors.isProtocolError(checked), "The answer was not refused")
  Assert.equal(checked.origin, "remote")
  return checked.description
}

export const upgradeHandshake: Seed = {
  name: "Websocket",
  about: "OCaml, the upgrade handshake",
  items: [
    item("generate_key ()", "a random Sec-WebSocket-Key, another one each time", () => {
      const keys = Array.from({ length: 100 }, () => Handshake.generateKey(globalThis.crypto))
      Assert.equal(new Set(keys).size, 100)
    }),
    item("generate_key ()", "16 bytes in base64", () => {
      const made = Handshake.generateKey(globalThis.crypto)
      Assert.equal(Buffer.from(made, "base64").length, 16)
      Assert.equal(Buffer.from(made, "base64").toString("base64"), made)
      Assert.ok(Handshake.isKey(made))
    }),
    item("generate_key ()", "the nonce is that of the source of randomness, all of it", () => {
      const nonce = Uint8Array.from({ length: 16 }, (_, i) => i * 11)
      const source = { getRandomValues: (bytes: Uint8Array) => bytes.set(nonce) }
      Assert.equal(Handshake.generateKey(source), Buffer.from(nonce).toString("base64"))
      Assert.equal(Handshake.makeKey(nonce), Buffer.from(nonce).toString("base64"))
    }),
    item("compute_accept ~key", "base64(SHA-1(key + guid)): the example of RFC 6455 §1.3", () => {
      Assert.equal(Handshake.acceptValue(key), accept)
    }),
    item("validate_accept ~key ~accept", "true for the answer to the key only", () => {
      Assert.equal(Handshake.isAcceptValue(key, accept), true)
      Assert.equal(Handshake.isAcceptValue(key, accept.toLowerCase()), false)
      Assert.equal(Handshake.isAcceptValue(Handshake.generateKey(globalThis.crypto), accept), false)
    }),
    item("parse_protocols s", "the names in a header value, in order", () => {
      Assert.deepEqual(Subprotocol.parse("graphql-ws, graphql-transport-ws"), ["graphql-ws", "graphql-transport-ws"])
    }),
    item("parse_protocols s", "white space and empty elements do not matter; what is not a token is an error", () => {
      Assert.deepEqual(Subprotocol.parse("a ,,\tb,"), ["a", "b"])
      Assert.deepEqual(Subprotocol.parse(["a", "b, c"]), ["a", "b", "c"])
      Assert.deepEqual(Subprotocol.parse(""), [])
      Assert.ok(Errors.isProtocolError(Subprotocol.parse("a b")))
    }),
    item("protocols_to_string protocols", "a header value, which parses back", () => {
      Assert.equal(Subprotocol.format(["chat.v2", "chat.v1"]), "chat.v2, chat.v1")
      Assert.deepEqual(Subprotocol.parse(Errors.getOrThrow(Subprotocol.format(["a", "b"]))), ["a", "b"])
    }),
    item("select_protocol ~offered ~supported", "one that both have, or none", () => {
      Assert.equal(Subprotocol.select(["chat.v2", "chat.v1"], ["chat.v1", "chat.v2"]), "chat.v2")
      Assert.equal(Subprotocol.select(["chat.v2"], ["chat.v1"]), undefined)
      Assert.equal(Subprotocol.select(["chat.v2"], []), undefined)
    }),
    item("type extension", "a name with parameters, which may have no value", () => {
      Assert.deepEqual(extensions, [Extension.make("permessage-deflate", [["client_max_window_bits", true]])])
    }),
    item("parse_extensions s", "the extensions in a header value, in order, with their parameters", () => {
      Assert.deepEqual(Extension.parse('a; x=1; y, b; z="quoted"'), [
        Extension.make("a", [
          ["x", "1"],
          ["y", true]
        ]),
        Extension.make("b", [["z", "quoted"]])
      ])
      Assert.ok(Errors.isProtocolError(Extension.parse("a; =1")))
    }),
    item("extensions_to_string extensions", "a header value, which parses back", () => {
      Assert.equal(Extension.format(extensions), offered)
      Assert.equal(Extension.format([Extension.make("a", [["x", "1"]]), Extension.make("b")]), "a; x=1, b")
    }),
    item("has_extension ~name extensions", "whether it is in the list", () => {
      Assert.equal(Extension.includes(extensions, "permessage-deflate"), true)
      Assert.equal(Extension.includes(extensions, "x-webkit-deflate-frame"), false)
      Assert.equal(Extension.includes([], "permessage-deflate"), false)
    }),
    item("get_extension_params ~name extensions", "its parameters if it is there, nothing if it is not", () => {
      const list = Errors.getOrThrow(Extension.parse("a; server_max_window_bits=10; b, c"))
      Assert.deepEqual(Extension.find(list, "a")?.parameters, [
        ["server_max_window_bits", "10"],
        ["b", true]
      ])
      Assert.deepEqual(Extension.find(list, "c")?.parameters, [])
      Assert.equal(Extension.find(list, "b"), undefined)
    }),
    item("make_upgrade_headers ~key ()", "Upgrade, Connection, the key and version 13, and no other header", () => {
      Assert.deepEqual(Handshake.requestHeaders({ key }), {
        Upgrade: "websocket",
        Connection: "Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13"
      })
    }),
    item("make_upgrade_headers ?protocols", "Sec-WebSocket-Protocol, if there are protocols", () => {
      const headers = Errors.getOrThrow(Handshake.requestHeaders({ key, protocols: ["graphql-ws", "b"] }))
      Assert.equal(headers["Sec-WebSocket-Protocol"], "graphql-ws, b")
      const none = Errors.getOrThrow(Handshake.requestHeaders({ key, protocols: [] }))
      Assert.equal("Sec-WebSocket-Protocol" in none, false)
    }),
    item("make_upgrade_headers ?extensions", "Sec-WebSocket-Extensions, if there are extensions", () => {
      const headers = Errors.getOrThrow(Handshake.requestHeaders({ key, extensions }))
      Assert.equal(headers["Sec-WebSocket-Extensions"], offered)
    }),
    item("make_upgrade_headers ?origin", "Origin, if there is one", () => {
      const headers = Errors.getOrThrow(Handshake.requestHeaders({ key, origin: "https://example.com" }))
      Assert.equal(headers["Origin"], "https://example.com")
    }),
    item("make_upgrade_headers", "what no header may have is an error, before anything is sent", () => {
      for (const offer of [{ key: "short" }, { key, protocols: ["a b"] }, { key, origin: "https://a\r\nX: y" }]) {
        const refused = Handshake.requestHeaders(offer)
        Assert.ok(Errors.isProtocolError(refused))
        Assert.equal(refused.origin, "local")
      }
    }),
    item("validate_upgrade_response", "Ok for the answer of a server, ours or another's", () => {
      const agreed = { protocol: undefined, extensions: [] }
      Assert.deepEqual(Handshake.checkResponse({ status: 101, headers: answer }, { key }), agreed)
      const ours = Errors.getOrThrow(Handshake.responseHeaders({ key }))
      Assert.deepEqual(Handshake.checkResponse({ status: 101, headers: ours }, { key }), agreed)
    }),
    item("validate_upgrade_response ~key", "an accept value that answers another key is refused", () => {
      const other = { ...answer, "Sec-WebSocket-Accept": Handshake.acceptValue(Handshake.makeKey(new Uint8Array(16))) }
      Assert.match(refusal(101, other), /Sec-WebSocket-Accept/)
      Assert.match(refusal(101, { ...answer, "Sec-WebSocket-Accept": undefined }), /Sec-WebSocket-Accept/)
    }),
    item("validate_upgrade_response ~status", "any status but 101 is refused", () => {
      for (const status of [200, 301, 403, 426, 500]) Assert.match(refusal(status, answer), /not 101/)
    }),
    item("validate_upgrade_response ~headers", "Upgrade and Connection must be there", () => {
      Assert.match(refusal(101, { ...answer, Upgrade: undefined }), /upgrade/i)
      Assert.match(refusal(101, { ...answer, Upgrade: "h2c" }), /upgrade/i)
      Assert.match(refusal(101, { ...answer, Connection: "keep-alive" }), /connection/i)
    }),
    item("validate_upgrade_response ~headers", "any kind of headers, names in any case", () => {
      const lower = Object.entries(answer).map(([name, value]) => [name.toLowerCase(), value] as const)
      const kinds: ReadonlyArray<HeaderField.Input> = [
        answer,
        Object.fromEntries(lower),
        new Headers(answer),
        new Map(lower),
        lower,
        EffectHeaders.fromInput(answer)
      ]
      for (const headers of kinds) {
        const checked = Handshake.checkResponse({ status: 101, headers }, { key })
        Assert.equal(Errors.isProtocolError(checked), false)
      }
    }),
    item("validate_upgrade_response", "what was not offered is refused, what was is reported", () => {
      Assert.match(refusal(101, { ...answer, "Sec-WebSocket-Protocol": "chat" }), /chat/)
      Assert.match(refusal(101, { ...answer, "Sec-WebSocket-Extensions": offered }), /permessage-deflate/)
      const headers = { ...answer, "Sec-WebSocket-Protocol": "chat", "Sec-WebSocket-Extensions": offered }
      Assert.deepEqual(Handshake.checkResponse({ status: 101, headers }, { key, protocols: ["chat"], extensions }), {
        protocol: "chat",
        extensions
      })
    }),
    item("Ok () / Error reason", "the result is a value, and an error says why", () => {
      const checked = Handshake.checkResponse({ status: 403, headers: {} }, { key })
      Assert.ok(Errors.isProtocolError(checked))
      Assert.equal(checked.message, "The status is 403, not 101 (RFC 6455 §4.1)")
    })
  ]
}
