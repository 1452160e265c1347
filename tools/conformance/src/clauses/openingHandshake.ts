/** RFC 6455 §4, §9.1 and §11.3: the opening handshake. */
import { headerOf, type Clause, type Head } from "../Clause.js"
import { acceptOfKey, accepts, clause, fails, key, observe, opens, refuses } from "./make.js"

const all = (head: Head, name: string): ReadonlyArray<string> =>
  head.headers.filter(([candidate]) => candidate === name).map(([, value]) => value)

const tokensOf = (head: Head, name: string): ReadonlyArray<string> =>
  all(head, name)
    .join(",")
    .split(",")
    .map((token) => token.trim().toLowerCase())

const one = (name: string, check: (value: string, url: URL | undefined) => boolean) =>
  observe(`the request has one legal ${name}`, ([request], url) => {
    const values = request === undefined ? [] : all(request, name.toLowerCase())
    const [value] = values
    return values.length === 1 && value !== undefined && check(value, url)
      ? undefined
      : `${name} is ${values.join(" | ")}`
  })

const is16Bytes = (value: string): boolean => {
  const bytes = Buffer.from(value, "base64")
  return bytes.length === 16 && bytes.toString("base64") === value
}

const withAccept = (values: ReadonlyArray<string>, protocol: string | undefined): string =>
  [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    ...(protocol === undefined ? [] : [`Sec-WebSocket-Protocol: ${protocol}`]),
    ...values.map((value) => `Sec-WebSocket-Accept: ${value}`),
    "\r\n"
  ].join("\r\n")

const rejected = (status: number) => ({ _tag: "Handshake_rejected", status })

export const openingHandshake: ReadonlyArray<Clause> = [
  clause("RFC 6455 §4.1", "A client MUST send a GET request of HTTP/1.1 or later, for the path and query of the URI.", [
    observe("the request line", ([request], url) =>
      (
        url === undefined
          ? /^GET \S+ HTTP\/1\.1$/.test(request?.line ?? "")
          : request?.line === `GET ${url.pathname}${url.search} HTTP/1.1`
      )
        ? undefined
        : `the line is ${request?.line}`
    )
  ]),
  clause("RFC 6455 §4.1", "A client's request MUST have a Host header, with the port if it is not the default.", [
    one("Host", (value, url) => value !== "" && (url === undefined || value === url.host))
  ]),
  clause(
    "RFC 6455 §4.1",
    "A client's request MUST have the token websocket in Upgrade, and the token Upgrade in Connection.",
    [
      observe("the request has both tokens", ([request]) =>
        request !== undefined &&
        tokensOf(request, "upgrade").includes("websocket") &&
        tokensOf(request, "connection").includes("upgrade")
          ? undefined
          : "a token is missing"
      )
    ]
  ),
  clause(
    "RFC 6455 §4.1",
    "A client's request MUST have a Sec-WebSocket-Key of 16 bytes in base64. Each connection has a new key.",
    [
      one("Sec-WebSocket-Key", is16Bytes),
      observe(
        "keys of five connections differ",
        (requests) => {
          const keys = new Set(requests.map((request) => headerOf(request, "sec-websocket-key")))
          return keys.size === 5 ? undefined : `${keys.size} different keys`
        },
        { connections: 5 }
      )
    ]
  ),
  clause("RFC 6455 §4.1", "A client's request MUST have Sec-WebSocket-Version 13.", [
    one("Sec-WebSocket-Version", (value) => value === "13")
  ]),
  clause("RFC 6455 §4.1", "The subprotocols that a client offers MUST be tokens. Each appears once.", [
    observe("the subprotocols of the request", ([request]) => {
      const protocols = request === undefined ? [] : tokensOf(request, "sec-websocket-protocol")
      const legal = protocols.every((protocol) => /^[!#$%&'*+.^_`|~\w-]*$/.test(protocol))
      return legal && new Set(protocols).size === protocols.length ? undefined : `they are ${protocols.join(", ")}`
    })
  ]),
  clause("RFC 6455 §4.1", "A client MUST NOT treat a connection as open if the status is not 101.", [
    ...[200, 204, 400, 401, 403, 404, 426, 500, 503].map((status) =>
      fails(`another status: ${status}`, {}, rejected(status), {
        head: () => `HTTP/1.1 ${status} Status\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`
      })
    ),
    fails("another status, with all headers of a 101", {}, rejected(200), {
      line: "HTTP/1.1 200 OK\r\nContent-Length: 0"
    }),
    fails("a redirection", {}, rejected(302), {
      head: () => "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    }),
    fails(
      "an answer that is not HTTP",
      {},
      { _tag: "Io_error", reason: "InvalidResponse", operation: "handshake" },
      {
        head: () => "SSH-2.0-OpenSSH_9.6\r\n\r\n"
      }
    )
  ]),
  clause(
    "RFC 6455 §4.1",
    "A client MUST fail the connection if Upgrade is missing or is not websocket. Case does not matter.",
    [
      opens("WebSocket in mixed case", { Upgrade: "WebSocket" }),
      fails("no Upgrade", { Upgrade: undefined }, "RFC 6455 §4.1"),
      fails("Upgrade: another protocol", { Upgrade: "h2c" }, "RFC 6455 §4.1"),
      fails("Upgrade: websocket as a part of a token", { Upgrade: "websocket2" }, "RFC 6455 §4.1")
    ]
  ),
  clause(
    "RFC 6455 §4.1",
    "A client MUST fail the connection if Connection is missing or has no token Upgrade. Case does not matter.",
    [
      opens("UPGRADE in capitals", { Connection: "UPGRADE" }),
      opens("Upgrade among others", { Connection: "keep-alive, Upgrade" }),
      fails("no Connection", { Connection: undefined }, "RFC 6455 §4.1"),
      fails("Connection: keep-alive", { Connection: "keep-alive" }, "RFC 6455 §4.1")
    ]
  ),
  clause("RFC 6455 §4.1", "A client MUST fail the connection if Sec-WebSocket-Accept does not match its key.", [
    opens("the right value"),
    opens(
      "the right value, with white space around it",
      {},
      { head: (accept, protocol) => withAccept([`  ${accept}\t `], protocol) }
    ),
    fails("none", { "Sec-WebSocket-Accept": undefined }, "RFC 6455 §4.1"),
    fails("wrong: empty", { "Sec-WebSocket-Accept": "" }, "RFC 6455 §4.1"),
    fails("wrong: of another key", { "Sec-WebSocket-Accept": acceptOfKey }, "RFC 6455 §4.1"),
    fails("wrong: the key itself", { "Sec-WebSocket-Accept": key }, "RFC 6455 §4.1"),
    fails("in lower case", {}, "RFC 6455 §4.1", {
      head: (accept, protocol) => withAccept([accept.toLowerCase()], protocol)
    })
  ]),
  clause("RFC 6455 §11.3.3", "Sec-WebSocket-Accept MUST NOT appear more than once in an answer.", [
    fails("twice", {}, "RFC 6455 §4.1", {
      head: (accept, protocol) => withAccept([accept, accept], protocol)
    })
  ]),
  clause("RFC 6455 §4.1", "A client MUST fail the connection if the answer has an extension that it did not offer.", [
    fails("not offered: permessage-deflate", { "Sec-WebSocket-Extensions": "permessage-deflate" }, "RFC 6455 §4.1"),
    fails("not offered: another", { "Sec-WebSocket-Extensions": "x-unknown" }, "RFC 6455 §4.1"),
    fails("not offered: a property of every object", { "Sec-WebSocket-Extensions": "constructor" }, "RFC 6455 §4.1"),
    fails(
      "not offered: another, beside an offered one",
      { "Sec-WebSocket-Extensions": "permessage-deflate, x-unknown" },
      "RFC 6455 §4.1",
      { deflate: true }
    )
  ]),
  clause("RFC 6455 §4.1", "A client MUST fail the connection if the answer has a subprotocol that it did not offer.", [
    opens("none", { "Sec-WebSocket-Protocol": undefined }),
    opens("an offered one", { "Sec-WebSocket-Protocol": "superchat" }),
    fails("not offered: another", { "Sec-WebSocket-Protocol": "other" }, "RFC 6455 §4.1"),
    fails("not offered: in another case", { "Sec-WebSocket-Protocol": "SUPERCHAT" }, "RFC 6455 §4.1"),
    fails("not offered: a list of two offered ones", { "Sec-WebSocket-Protocol": "chat, superchat" }, "RFC 6455 §4.1")
  ]),
  clause("RFC 6455 §11.3.4", "Sec-WebSocket-Protocol MUST NOT appear more than once in an answer.", [
    fails("twice", { "Sec-WebSocket-Protocol": ["chat", "superchat"] }, "RFC 6455 §4.1")
  ]),
  clause(
    "RFC 6455 §9.1",
    "A client MUST fail the connection if Sec-WebSocket-Extensions breaks its grammar.",
    ["permessage-deflate;", ";", "=", 'permessage-deflate; x="', "permessage deflate", "permessage-deflate; x=é"].map(
      (value) =>
        fails(`malformed: ${value.replace(":", "")}`, { "Sec-WebSocket-Extensions": value }, "RFC 6455 §9.1", {
          deflate: true
        })
    )
  ),
  clause("RFC 6455 §4.1", "The case of header names does not matter, and unknown headers are ignored.", [
    opens("lower case, among other headers", {
      Upgrade: undefined,
      Connection: undefined,
      upgrade: "websocket",
      CONNECTION: "Upgrade",
      "X-Constructor": "x",
      constructor: "x"
    })
  ]),

  clause("RFC 6455 §4.2.2", "A server MUST answer 101 with Upgrade, Connection and the accept value of the key.", [
    accepts("the smallest request"),
    accepts("a request with a query", {}, { line: "GET /chat?room=1&x=%20 HTTP/1.1" }),
    accepts("names in lower case, among other headers", {
      Host: undefined,
      Upgrade: undefined,
      host: "127.0.0.1",
      upgrade: "websocket",
      "User-Agent": "raw",
      Cookie: "a=b",
      constructor: "x"
    })
  ]),
  clause("RFC 6455 §4.2.1", "A server MUST refuse a request that is not a GET of HTTP/1.1 or later.", [
    ...["POST", "PUT", "HEAD", "OPTIONS", "DELETE"].map((method) =>
      refuses(`another method: ${method}`, {}, "4.2.1", { line: `${method} /chat HTTP/1.1` })
    ),
    refuses("HTTP/1.0", {}, "4.2.1", { line: "GET /chat HTTP/1.0" })
  ]),
  clause("RFC 6455 §4.2.1", "A server MUST refuse a request that does not have exactly one Host.", [
    refuses("none", { Host: undefined }, "4.2.1"),
    refuses("twice", { Host: ["127.0.0.1", "example.com"] }, "4.1")
  ]),
  clause("RFC 6455 §4.2.1", "A server MUST refuse a request if Upgrade has no token websocket. Case does not matter.", [
    accepts("WebSocket in mixed case", { Upgrade: "WebSocket" }),
    refuses("none", { Upgrade: undefined }, "4.1"),
    refuses("another", { Upgrade: "h2c" }, "4.1"),
    refuses("websocket as a part of a token", { Upgrade: "websockets" }, "4.1")
  ]),
  clause(
    "RFC 6455 §4.2.1",
    "A server MUST refuse a request if Connection has no token Upgrade. Case does not matter.",
    [
      accepts("upgrade among others", { Connection: "keep-alive, UPGRADE" }),
      accepts("on two lines", { Connection: ["keep-alive", "Upgrade"] }),
      refuses("none", { Connection: undefined }, "4.1"),
      refuses("keep-alive", { Connection: "keep-alive" }, "4.1")
    ]
  ),
  clause("RFC 6455 §4.2.1", "A server MUST refuse a key that is missing or is not 16 bytes in base64.", [
    refuses("none", { "Sec-WebSocket-Key": undefined }, "4.2.1"),
    ...["", "dGhlIHNhbXBsZQ==", "dGhlIHNhbXBsZSBub25jZXh4", "not base64 at all!!!!!!", "dGhlIHNhbXBsZSBub25jZQ"].map(
      (value) => refuses(`malformed: ${JSON.stringify(value)}`, { "Sec-WebSocket-Key": value }, "4.2.1")
    )
  ]),
  clause("RFC 6455 §11.3.1", "Sec-WebSocket-Key MUST NOT appear more than once in a request.", [
    refuses("the same key twice", { "Sec-WebSocket-Key": [key, key] }, "4.1"),
    refuses("two keys in one", { "Sec-WebSocket-Key": `${key}, ${key}` }, "4.2.1")
  ]),
  clause(
    "RFC 6455 §4.4",
    "A server MUST refuse another version, for example with 426, and name the version that it supports.",
    ["0", "12", "14", "13.0", "+13", "0013", "1313", "13, 8", "x"].map((value) =>
      refuses(`another version: ${value}`, { "Sec-WebSocket-Version": value }, "4.4", {
        status: 426,
        headers: {
          "sec-websocket-version": (value) =>
            value?.split(/, ?/).includes("13") === true ? undefined : `Sec-WebSocket-Version is ${value}`
        }
      })
    )
  ),
  clause("RFC 6455 §4.2.1", "A server MUST refuse a request without a version.", [
    refuses("none", { "Sec-WebSocket-Version": undefined }, "4.2.1")
  ]),
  clause("RFC 6455 §11.3.5", "Sec-WebSocket-Version MUST NOT appear more than once in a request.", [
    refuses("twice", { "Sec-WebSocket-Version": ["13", "13"] }, "4.1")
  ]),
  clause("RFC 6455 §4.2.2", "A server MUST NOT answer with a subprotocol that the client did not offer.", [
    accepts("none was offered", {}, { headers: { "sec-websocket-protocol": undefined } }),
    accepts(
      "one that the server supports",
      { "Sec-WebSocket-Protocol": "superchat" },
      { headers: { "sec-websocket-protocol": "superchat" } }
    ),
    accepts(
      "one that the server supports, on the second of two lines",
      { "Sec-WebSocket-Protocol": ["x, y", "z, superchat"] },
      {
        headers: { "sec-websocket-protocol": "superchat" }
      }
    ),
    accepts(
      "none that the server supports",
      { "Sec-WebSocket-Protocol": "other, SUPERCHAT" },
      { headers: { "sec-websocket-protocol": undefined } }
    )
  ]),
  clause(
    "RFC 6455 §11.3.4",
    "A server MUST refuse subprotocols that break their grammar.",
    ["chat superchat", "chat;superchat", "chat/2", "(chat)", "ch\tat"].map((value) =>
      refuses(`malformed: ${JSON.stringify(value)}`, { "Sec-WebSocket-Protocol": value }, "9.1")
    )
  ),
  clause("RFC 6455 §4.2.2", "A server MUST NOT answer with an extension that the client did not offer.", [
    accepts(
      "none was offered, to a server that compresses",
      {},
      { headers: { "sec-websocket-extensions": undefined }, deflate: true }
    ),
    accepts(
      "unknown: one",
      { "Sec-WebSocket-Extensions": "x-unknown" },
      { headers: { "sec-websocket-extensions": undefined } }
    ),
    accepts(
      "unknown: properties of every object",
      { "Sec-WebSocket-Extensions": "constructor, __proto__; toString" },
      {
        headers: { "sec-websocket-extensions": undefined },
        deflate: true
      }
    )
  ]),
  clause(
    "RFC 6455 §9.1",
    "A server MUST refuse Sec-WebSocket-Extensions that break their grammar.",
    ["permessage-deflate;", ";", "a; b=", 'a; b="', 'a; b="c', "a b", "a; b=c d", 'a; b=""', 'a; b="c d"', "a; =b"].map(
      (value) => refuses(`malformed: ${value}`, { "Sec-WebSocket-Extensions": value }, "9.1", { deflate: true })
    )
  )
]
