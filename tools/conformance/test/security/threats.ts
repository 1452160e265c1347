/**
 * Known vulnerabilities of WebSocket libraries, the defence of this library against each, and the tests that check it.
 */
import type { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { defaultLimits, type Limits } from "@effect-websocket/protocol/Connection"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import * as Duration from "effect/Duration"
import { defaults } from "../../../../packages/platform/src/internal/settings.js"

type ConnectionOption = keyof NodeWebSocketServer.Options | keyof NodeWebSocketClient.Options

/** The compiler checks that the option exists. `defaultOf` reads its default from the code. */
export type Option = ConnectionOption | `limits.${keyof Limits}` | `compression.${keyof PermessageDeflate.Options}`

export interface Threat {
  readonly threat: string
  /** The known cases. */
  readonly known: ReadonlyArray<string>
  readonly defence: string
  readonly options: ReadonlyArray<Option>
  /** Files under `packages`, and names of tests in them. */
  readonly tests: ReadonlyArray<readonly [file: string, name: string]>
}

export interface Hostility {
  readonly attack: string
  readonly memory: string
  readonly time: string
  readonly options: ReadonlyArray<Option>
  readonly tests: Threat["tests"]
}

const work = (name: string) => ["../tools/conformance/test/security/work.test.ts", name] as const
const memory = (name: string) => ["../tools/conformance/test/security/boundedMemory.test.ts", name] as const
const hostile = (name: string) => ["../tools/conformance/test/security/hostile.test.ts", name] as const
const http2 = (name: string) => ["platform/test/node/http2Hostile.test.ts", name] as const
const clause = (name: string) => ["../tools/conformance/src/clauses", name] as const

const compression = PermessageDeflate.resolve()

const bytes = (count: number): string =>
  count >= 1024 * 1024 && count % (1024 * 1024) === 0
    ? `${count / 1024 / 1024} MiB`
    : count >= 1024 && count % 1024 === 0
      ? `${count / 1024} KiB`
      : String(count)

const seconds = (duration: Duration.Duration): string => `${Duration.toSeconds(duration)} s`

/** The default of an option, as text for the docs. */
export const defaultOf = (option: Option): string => {
  switch (option) {
    case "limits.maxMessageBytes":
      return bytes(defaultLimits.maxMessageBytes)
    case "limits.maxFragments":
      return defaultLimits.maxFragments.toLocaleString("en")
    case "limits.maxBufferedControlFrames":
      return String(defaultLimits.maxBufferedControlFrames)
    case "limits.maxFrameBytes":
      return defaultLimits.maxFrameBytes === Number.MAX_SAFE_INTEGER
        ? "as for messages"
        : bytes(defaultLimits.maxFrameBytes)
    case "handshakeTimeout":
    case "openTimeout":
      return seconds(defaults.openTimeout)
    case "closeTimeout":
      return seconds(defaults.closeTimeout)
    case "heartbeatInterval":
      return seconds(defaults.heartbeatInterval)
    case "heartbeatTimeout":
      return seconds(defaults.heartbeatTimeout)
    case "sendHighWaterMark":
      return bytes(defaults.sendHighWaterMark)
    case "receiveHighWaterMark":
      return bytes(defaults.receiveHighWaterMark)
    case "compression.maxRatio":
      return Number.isFinite(compression.maxRatio) ? String(compression.maxRatio) : "none"
    case "compression.serverMaxWindowBits":
      return String(compression.serverMaxWindowBits)
    case "compression.clientMaxWindowBits":
      return String(compression.clientMaxWindowBits)
    case "compression":
      return "off"
    case "http2":
      return "off"
    case "maxRedirects":
      return "0"
    case "origin":
      return "same origin"
    case "admission":
      return `maxHandshakes: ${defaults.maxHandshakes.toLocaleString("en")}`
    case "tls":
      return "Node's: certificates are verified"
    default:
      return "none"
  }
}

export const threats: ReadonlyArray<Threat> = [
  {
    threat: "Headers that make a tokenizer take more than linear time",
    known: ["ws CVE-2021-32640", "websocket-extensions CVE-2020-7662, CVE-2020-7663"],
    defence:
      "Every header is parsed in one pass, without regular expressions. Node parses HTTP, and limits a head to 16 KiB.",
    options: [],
    tests: [
      work("a request with %s"),
      work("the parsers, with %s"),
      work("headers on many lines"),
      ["protocol/test/HeaderField.test.ts", "the number of steps grows only with the length"]
    ]
  },
  {
    threat: "Headers that are truncated because there are too many",
    known: ["ws CVE-2024-37890"],
    defence:
      "A server that the library creates makes Node keep all headers within 16 KiB. On a server that the app creates, a request with more headers than Node keeps gets 431.",
    options: [],
    tests: [hostile("sends more headers than Node keeps by default: none is lost, and the server goes on")]
  },
  {
    threat: "Names of extensions, parameters and headers that are properties of every JavaScript object",
    known: ["ws 3.3.0, a crash by the extension `constructor`"],
    defence: "A name that a peer sends is only used as a key of a `Map`, or of an object without a prototype.",
    options: [],
    tests: [
      clause("unknown: properties of every object"),
      clause("unknown: a property of every object"),
      ["protocol/test/Handshake.test.ts", "lowers the case of names that plain objects inherit"],
      [
        "platform/test/node/internal/headerRecord.test.ts",
        "has the names of properties of every object only if they were sent"
      ]
    ]
  },
  {
    threat: "Uninitialised memory, or memory of another user, in a ping or a Close",
    known: ["ws CVE-2026-45736", "ws CVE-2016-10518"],
    defence:
      "Sizes come from the bytes that are copied, and a reason is always text. Only the written part of an output block is sent.",
    options: [],
    tests: [
      memory("writes only the given bytes of a ping, a pong and a Close, and no memory beside them"),
      memory("answers pings and Closes with their payload, and no memory behind it"),
      [
        "protocol/test/Connection.test.ts",
        "output that was taken never changes, and all output is correct, however connections interleave and recycle"
      ]
    ]
  },
  {
    threat: "Many tiny fragments or chunks, each held as an object",
    known: ["ws CVE-2026-48779", "undici CVE-2026-12151"],
    defence: "Fragments and chunks are joined in one buffer as they arrive, and counted.",
    options: ["limits.maxFragments", "limits.maxMessageBytes"],
    tests: [
      memory("holds little more than the bytes of tiny fragments that never end a message"),
      memory("holds nothing of empty fragments, and ends them at the limit"),
      work("fragments of one byte"),
      hostile("floods with empty fragments: it is closed with 1009 at the limit")
    ]
  },
  {
    threat: "Messages that never end",
    known: ["Bandit CVE-2026-42786", "ws GHSA-96hv-2xvq-fx4p"],
    defence:
      "The limit of a message counts the lengths that its frame headers announce. A deadline runs from its first byte.",
    options: ["limits.maxMessageBytes", "messageTimeout", "budget"],
    tests: [
      hostile("never ends a message: it is closed after messageTimeout"),
      memory("never holds more than twice the received bytes of a message, above 1 MiB"),
      [
        "platform/test/ByteBudget.test.ts",
        "closes the connections with the largest unfinished messages with 1013 if these do not end"
      ]
    ]
  },
  {
    threat:
      "Work that grows with the square of the input, because data is parsed, joined or measured again with every chunk",
    known: ["tungstenite CVE-2023-43669", "Bandit CVE-2026-42786, CVE-2026-65623"],
    defence:
      "Each header is read once. Each byte is copied and validated a constant number of times. Sizes are running sums.",
    options: [],
    tests: [
      work("a message of text"),
      work("fragments of text that cut every character"),
      work("messages of one byte"),
      work("fragments that are delivered as streams and as frames"),
      work("detects quadratic work")
    ]
  },
  {
    threat: "Pings of a peer that does not read the pongs, which then pile up",
    known: ["ws before 8.23.0"],
    defence:
      "The unread output holds a limited number of pongs. Beyond that, it keeps only the pong for the newest ping (RFC 6455 §5.5.3).",
    options: ["limits.maxBufferedControlFrames", "writeTimeout"],
    tests: [
      hostile("floods with pings and reads nothing: one pong waits for many pings"),
      ["protocol/test/Connection.test.ts", "holds a bounded output under a flood"],
      [
        "platform/test/WebSocket.test.ts",
        "holds few bytes while a peer floods with pings: unread pongs coalesce to the newest"
      ]
    ]
  },
  {
    threat: "Messages that inflate to many times their size",
    known: [
      "undici CVE-2026-1526",
      "Bandit CVE-2026-39804",
      "Python websockets CVE-2018-1000518",
      "uWebSockets CVE-2016-10544"
    ],
    defence:
      "zlib stops at the number of bytes that the limit of the message leaves. A compressed message may have at most 1,024 final blocks.",
    options: ["compression", "limits.maxMessageBytes", "compression.maxRatio"],
    tests: [
      memory("inflates at most the rest of the message's limit"),
      memory("inflates no more than the ratio allows"),
      work("inflates at most once for each final block of a message, of which there are at most 1,024"),
      clause("2 MiB of zeros in 2 KiB"),
      hostile("offers compression to a server without it: the offer is declined")
    ]
  },
  {
    threat: "64-bit lengths that overflow, or that are trusted",
    known: ["undici CVE-2026-1528", "gorilla CVE-2020-27813", "Tomcat CVE-2020-13935", "ws CVE-2016-10542"],
    defence:
      "The two 32-bit halves of a length are compared with the limit when the header arrives, before anything is allocated.",
    options: ["limits.maxFrameBytes", "limits.maxMessageBytes"],
    tests: [
      ["protocol/test/Connection.test.ts", "refuses lengths whose upper 32 bits alone are too large"],
      memory("allocates nothing for an announced length, and at most 1 MiB after the first byte"),
      clause("2^63 and above: "),
      clause("announced, but no byte of it sent: ")
    ]
  },
  {
    threat: "Window bits that are out of range, or that cost memory",
    known: ["undici CVE-2026-2229"],
    defence:
      "Only 8 to 15 in plain decimals is valid. Otherwise an offer is declined, and an answer fails. The connection keeps the window, not a zlib stream.",
    options: ["compression.serverMaxWindowBits", "compression.clientMaxWindowBits"],
    tests: [clause("a window of "), memory("keeps at most the negotiated window")]
  },
  {
    threat: "Pages of other sites that connect to a server on localhost or in an intranet, with the user's cookies",
    known: ["Vite CVE-2025-24010", "webpack-dev-server CVE-2018-14732, CVE-2025-30360"],
    defence:
      "If a request has an `Origin`, it must match the `Host`; otherwise the server answers 403. A page whose own domain name points to the server's address passes this check (DNS rebinding). So a server for one site, or on localhost, should list its origins.",
    options: ["origin"],
    tests: [
      hostile("is a page of another site: it is refused with 403"),
      hostile("is a page whose domain name points to this address: a list of origins refuses it")
    ]
  },
  {
    threat: "Certificates that are not verified",
    known: ["faye-websocket CVE-2020-15133", "Tomcat's client CVE-2018-8034"],
    defence:
      "Node verifies the certificate for the name of the host, for every route and environment. Only `tls.dangerouslySkipCertificateVerification` turns this off.",
    options: ["tls"],
    tests: [
      ["platform/test/node/NodeWebSocketClient.test.ts", "fails for a certificate that is not trusted"],
      ["platform/test/node/clientTls.test.ts", "is verified although the environment switches it off"],
      ["platform/test/node/clientTls.test.ts", "is verified over a stream of the app's"],
      ["platform/test/node/clientRoutes.test.ts", "does not replace the check of the server's certificate"]
    ]
  },
  {
    threat: "Line breaks in user input that an app puts into headers",
    known: ["CWE-113, request splitting"],
    defence:
      "Names, values, subprotocols and the origin are checked. An invalid one is a typed error, before anything is sent.",
    options: [],
    tests: [["protocol/test/Handshake.test.ts", "refuses %j in any header"]]
  },
  {
    threat: "Requests that are smuggled behind a refused upgrade, through a proxy that believes the upgrade succeeded",
    known: ["h2c and WebSocket smuggling"],
    defence: "A connection ends if its upgrade is refused. Bytes behind the request are not read.",
    options: [],
    tests: [hostile("sends another request behind a refused one: it is not read")]
  },
  {
    threat: "Bytes that an attacker chooses in a client, and that a proxy reads as HTTP",
    known: ["Huang et al. 2011; RFC 6455 §10.3"],
    defence: "Every frame of a client is masked with a new key from the secure random source of the runtime.",
    options: [],
    tests: [
      ["platform/test/engine/random.test.ts", "comes from the runtime's secure source and from nowhere else"],
      ["platform/test/node/NodeWebSocketClient.test.ts", "masks every frame with another key"]
    ]
  },
  {
    threat: "Secrets that can be guessed from the size of compressed data",
    known: ["CRIME, BREACH"],
    defence:
      "Compression is off by default. If it is on, a filter can decide for each message, and compression.md has a warning.",
    options: ["compression", "compression.filter"],
    tests: [hostile("offers compression to a server without it: the offer is declined")]
  },
  {
    threat: "Connections that stay after their Close",
    known: ["Tomcat CVE-2024-23672"],
    defence: "A deadline starts with the closing. When it passes, TCP is dropped.",
    options: ["closeTimeout"],
    tests: [
      [
        "platform/test/node/NodeWebSocketServer.test.ts",
        "drops a peer that never answers the Close, also for an interrupted fiber"
      ],
      ["platform/test/node/NodeWebSocketServer.test.ts", "drops a peer that never reads"]
    ]
  },
  {
    threat: "Credentials that are sent to the target of a redirect",
    known: ["CWE-601"],
    defence:
      "By default a client follows no redirect: `HandshakeRejected` has its headers. If it follows redirects, another origin gets no credentials, no cookies and none of the app's headers, and a redirect from `wss:` to `ws:` is refused.",
    options: ["maxRedirects"],
    tests: [
      hostile("redirects the client: it does not follow"),
      ["platform/test/WebSocketClient.request.test.ts", "take no secret to another origin: from "],
      ["platform/test/WebSocketClient.request.test.ts", "from wss: to ws:"]
    ]
  },
  {
    threat: "Secrets of a client in errors, logs and spans",
    known: ["CWE-532"],
    defence:
      "Credentials are `Redacted`, and credentials in a URL are removed from it. An error says what is wrong, but not the value. No cause contains the options of a library.",
    options: ["auth"],
    tests: [
      [
        "platform/test/node/clientSecrets.test.ts",
        "no secret is in an error, a log, a span or any output, whatever happens"
      ]
    ]
  },
  {
    threat: "Text that is not UTF-8, and that another program reads differently",
    known: ["RFC 3629 §10, overlong forms"],
    defence: "Text is validated as it arrives, by the rules of RFC 3629. Invalid text fails the connection with 1007.",
    options: [],
    tests: [
      ["protocol/test/Connection.utf8.test.ts", "agrees with the grammar of RFC 3629, octet by octet"],
      clause("overlong slash")
    ]
  }
]

export const hostilities: ReadonlyArray<Hostility> = [
  {
    attack: "A request that arrives byte by byte and never ends",
    memory: "16 KiB, Node's limit for a head",
    time: "`handshakeTimeout`, and up to 1 s until Node's next check",
    options: ["handshakeTimeout"],
    tests: [
      hostile("sends an endless handshake byte by byte: it is dropped"),
      ["platform/test/node/NodeWebSocketServer.test.ts", "gives up on a request that does not arrive: %j"],
      ["platform/test/node/NodeWebSocketServer.test.ts", "answers 431 to endless header bytes"]
    ]
  },
  {
    attack: "Thousands of half-open handshakes",
    memory:
      "`admission.maxHandshakes` sockets (1,024), each with at most 16 KiB, as above. On a server that the app creates, the app has to set this bound",
    time: "`handshakeTimeout`. If there are more sockets, the oldest is dropped, so the server still serves others",
    options: ["admission", "handshakeTimeout"],
    tests: [
      hostile(
        "leaves 2,000 handshakes half open: the oldest are dropped first, others are served, and finally all are dropped"
      )
    ]
  },
  {
    attack: "Thousands of refused handshakes of clients that stay and read nothing",
    memory: "They count among the 1,024 sockets above",
    time: "5 s to send the answer, then the socket is dropped. A refused handshake runs no check",
    options: ["admission"],
    tests: [
      hostile("stays after 300 refused handshakes: the oldest sockets are dropped, and accepted connections stay")
    ]
  },
  {
    attack: "More connections than the server has memory for, of one client or many",
    memory: "`admission.maxConnections`, and `maxConnectionsPerKey` for one client. Both are off by default",
    time: "`handshakeRate` and `handshakeRatePerKey` limit the rate of handshakes. Both are off by default. Above a limit, the server answers 503 or 429 with `Retry-After`",
    options: ["admission", "proxies"],
    tests: [
      ["platform/test/node/attaching.test.ts", "refuses more than the limit, with 503, until there is room again"],
      ["platform/test/engine/server/Gate.test.ts", "counts by key"],
      ["platform/test/engine/server/Gate.test.ts", "admits at a rate, and says when to come back"]
    ]
  },
  {
    attack: "Forged client addresses in the headers of a proxy",
    memory: "No growth: of the keys without connections, the newest 65,536 are remembered",
    time: "The list is read from its end, only as far as the proxies are trusted. By default it is not read",
    options: ["proxies"],
    tests: [
      ["platform/test/engine/server/forwarded.test.ts", "reads the list as far as its proxies are trusted"],
      ["platform/test/engine/server/Gate.test.ts", "forgets the oldest of many keys, and none that has connections"]
    ]
  },
  {
    attack: "Clients that connect and never identify themselves",
    memory: "An idle connection",
    time: "`firstMessageTimeout`, off by default. When it passes, the connection is closed with 1008",
    options: ["firstMessageTimeout"],
    tests: [
      [
        "platform/test/WebSocketServer.routes.test.ts",
        "closes a connection with 1008 if its first message does not arrive in time"
      ]
    ]
  },
  {
    attack: "An endless flow of small messages",
    memory: "`receiveHighWaterMark`",
    time: "`receiveRate`, off by default. Above the rate, reading waits, or the connection is closed with 1008",
    options: ["receiveRate"],
    tests: [
      ["platform/test/receiveRate.test.ts", "suspends reading until the rate is kept, and loses nothing"],
      ["platform/test/receiveRate.test.ts", "closes with 1008, behind the messages that were sent before"]
    ]
  },
  {
    attack: "Requests that no `accept` takes",
    memory: "A request and a socket that is not read, for each",
    time: "`handshakeTimeout`, then the server answers 503",
    options: ["handshakeTimeout"],
    tests: [["platform/test/node/NodeWebSocketServer.test.ts", "answers 503 if no accept takes the request in time"]]
  },
  {
    attack: "An answer to a client that never ends: byte by byte, endless headers, or endless interim responses",
    memory: "16 KiB",
    time: "`openTimeout`",
    options: ["openTimeout"],
    tests: [
      hostile("answers byte by byte and never ends: the client gives up"),
      hostile("answers with endless headers: the client gives up"),
      hostile("sends interim responses forever: the client gives up")
    ]
  },
  {
    attack: "A rejection with an endless body",
    memory: "64 KiB and one read of the socket",
    time: "2 s, or the rest of `openTimeout` if that is less",
    options: ["openTimeout"],
    tests: [
      hostile("refuses with an endless body: the client keeps 64 KiB of it"),
      ["platform/test/node/clientInterruption.test.ts", "may refuse with a body that never ends, or hardly begins"]
    ]
  },
  {
    attack: "A flood of pings",
    memory: "`sendHighWaterMark`, and 33 pongs of at most 131 bytes",
    time: "Linear in the input. `writeTimeout` bounds a peer that reads nothing",
    options: ["limits.maxBufferedControlFrames", "sendHighWaterMark", "writeTimeout"],
    tests: [
      hostile("floods with pings and reads nothing: one pong waits for many pings"),
      work("pings"),
      work("pings inside a fragmented message")
    ]
  },
  {
    attack: "A flood of Closes",
    memory: "One Close in answer",
    time: "Everything behind the first Close is ignored. TCP ends within `closeTimeout`",
    options: ["closeTimeout"],
    tests: [
      hostile("floods with Closes: it gets one Close and the end of TCP"),
      memory("answers a flood of Closes once"),
      work("Closes")
    ]
  },
  {
    attack: "Messages of empty fragments",
    memory: "256 bytes",
    time: "Linear; a message has at most `maxFragments`",
    options: ["limits.maxFragments"],
    tests: [
      hostile("floods with empty fragments: it is closed with 1009 at the limit"),
      memory("holds nothing of empty fragments, and ends them at the limit"),
      work("empty fragments")
    ]
  },
  {
    attack: "Messages that arrive slowly, or never end",
    memory:
      "The limit of a message. For an announced length at most 1 MiB is allocated; above that, at most twice the bytes that have arrived",
    time: "`messageTimeout`, off by default. For the heartbeat, every byte is a sign of life",
    options: ["limits.maxMessageBytes", "messageTimeout"],
    tests: [
      hostile("never ends a message: it is closed after messageTimeout"),
      memory("allocates nothing for an announced length, and at most 1 MiB after the first byte")
    ]
  },
  {
    attack: "More messages than the app processes",
    memory: "`receiveHighWaterMark`, plus one message or one read. Then TCP holds the peer back",
    time: "As long as the app needs",
    options: ["receiveHighWaterMark"],
    tests: [
      ["platform/test/node/NodeWebSocketServer.test.ts", "pauses the transport while nobody reads, and loses nothing"]
    ]
  },
  {
    attack: "A peer that reads slowly, or not at all",
    memory:
      "At most twice `sendHighWaterMark` plus one message, and a block of 64 KiB. `sendStrategy` decides whether `send` waits, drops the message, or ends the connection",
    time: "`writeTimeout`, off by default; `closeTimeout` while this side closes",
    options: ["sendHighWaterMark", "sendStrategy", "writeTimeout", "closeTimeout"],
    tests: [
      hostile("never reads: it is dropped after writeTimeout, and others go on"),
      [
        "platform/test/node/NodeWebSocketServer.test.ts",
        "suspends send while the peer does not read, within bounded memory"
      ],
      [
        "platform/test/internal/BaseWebSocket.test.ts",
        "of ten peers that do not read, of a thousand, is at most a block and twice the waiting bytes each"
      ]
    ]
  },
  {
    attack: "A peer that vanished without a Close",
    memory: "An idle connection",
    time: "`heartbeatInterval` and `heartbeatTimeout`",
    options: ["heartbeatInterval", "heartbeatTimeout"],
    tests: [["platform/test/deadlines.test.ts", "pings after 25 seconds without a frame, and fails 20 seconds later"]]
  },
  {
    attack: "HTTP/2: streams that are opened and reset at once (CVE-2023-44487)",
    memory: "A session has at most 100 streams. A reset interrupts the check of its request at once",
    time: "Node ends a session beyond a rate of resets: its default is 1,000, and 33 a second. `handshakeRatePerKey` counts each request",
    options: ["http2", "admission"],
    tests: [
      http2("opens streams and resets them at once"),
      ["platform/test/node/http2Server.test.ts", "streams that are reset at once leave nothing"]
    ]
  },
  {
    attack: "HTTP/2: a header block that never ends (CVE-2024-27983), or too many headers",
    memory: "64 KiB, and 128 headers: Node's limits",
    time: "Node ends the session, or resets the stream",
    options: ["http2"],
    tests: [
      http2("sends CONTINUATION frames that never end"),
      http2("sends CONTINUATION frames without fields that never end"),
      http2("sends headers that are malformed or too many: the stream is reset, and the session goes on")
    ]
  },
  {
    attack: "HTTP/2: floods of PING, SETTINGS or empty DATA (CVE-2019-9512, -9515, -9518)",
    memory: "1,000 answers that wait, Node's limit, and `maxSessionMemory` of Node, 10 MB",
    time: "Node ends the session. Node 20 stops reading it, and `handshakeTimeout` or the heartbeat ends it",
    options: ["http2", "handshakeTimeout", "heartbeatTimeout"],
    tests: [
      http2("sends PINGs and does not read the answers"),
      http2("sends SETTINGS and does not read the answers"),
      http2("sends empty DATA frames"),
      http2("breaks HTTP/2 itself: its connections end")
    ]
  },
  {
    attack: "HTTP/2: more streams than the server allows",
    memory: "100 streams for each session",
    time: "Node ends a session that knows the limit and exceeds it",
    options: ["http2"],
    tests: [http2("opens more streams than it may: its session ends, and others are served")]
  },
  {
    attack: "HTTP/2: one session with many WebSockets, to get around limits for each client",
    memory: "Each stream counts as a connection and as a handshake of its client",
    time: "As over HTTP/1.1",
    options: ["http2", "admission"],
    tests: [["platform/test/node/http2Server.test.ts", "each stream counts as a connection"]]
  },
  {
    attack: "HTTP/2: sessions without a request, also once their connections are over",
    memory: "They count among the `admission.maxHandshakes` sockets above",
    time: "`handshakeTimeout`",
    options: ["http2", "admission", "handshakeTimeout"],
    tests: [
      ["platform/test/node/http2Server.test.ts", "a session without a request is dropped in time, also if it had one"],
      [
        "platform/test/node/http2Server.test.ts",
        "beyond `maxHandshakes`, the oldest session without a request is dropped"
      ]
    ]
  },
  {
    attack: "HTTP/2: windows that stay closed (CVE-2019-9511, -9517)",
    memory: "Of each stream as much as of a peer that does not read",
    time: "`writeTimeout`, off by default. Other streams go on",
    options: ["http2", "sendHighWaterMark", "writeTimeout"],
    tests: [
      http2("closes the windows of a hundred streams: each holds a bounded number of bytes until writeTimeout"),
      [
        "platform/test/node/http2Server.test.ts",
        "what the app does not read stays at the client, and other streams go on"
      ]
    ]
  },
  {
    attack: "All of these from many connections together",
    memory: "`budget`, for all connections that use it",
    time: "One half of the budget is for received bytes, the other for bytes to send. If a half is exceeded, connections with unread messages are not read, `send` waits, and new connections get 503, until half of that half is free",
    options: ["budget"],
    tests: [
      [
        "platform/test/ByteBudget.test.ts",
        "above half of it reads only connections without unread messages, until half of that is free"
      ],
      [
        "platform/test/ByteBudget.test.ts",
        "refuses new connections while it is exhausted: a server with 503, a client before it dials"
      ]
    ]
  }
]
