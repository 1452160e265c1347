/** What is known to have gone wrong in WebSocket libraries, what stands against it here, and the test that shows it. */
import type { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import { defaultLimits, type Limits } from "@effect-websocket/protocol/Connection"
import * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import * as Duration from "effect/Duration"
import { defaultMaxHandshakes } from "../../../platform/src/internal/serverPolicy.js"
import { defaults } from "../../../platform/src/internal/settings.js"

type ConnectionOption = keyof NodeWebSocketServer.Options | keyof NodeWebSocketClient.Options

/** That it exists, the compiler checks; and what it is by default, the code tells. */
export type Option = ConnectionOption | `limits.${keyof Limits}` | `compression.${keyof PermessageDeflate.Options}`

export interface Threat {
  readonly threat: string
  /** Where it happened. */
  readonly known: ReadonlyArray<string>
  readonly defence: string
  readonly options: ReadonlyArray<Option>
  /** Files under `packages`, and names in them. */
  readonly tests: ReadonlyArray<readonly [file: string, name: string]>
}

export interface Hostility {
  readonly attack: string
  readonly memory: string
  readonly time: string
  readonly options: ReadonlyArray<Option>
  readonly tests: Threat["tests"]
}

const work = (name: string) => ["conformance/test/security/work.test.ts", name] as const
const memory = (name: string) => ["conformance/test/security/memory.test.ts", name] as const
const hostile = (name: string) => ["conformance/test/security/hostile.test.ts", name] as const
const clause = (name: string) => ["conformance/src/clauses", name] as const

const compression = PermessageDeflate.resolve()

const bytes = (count: number): string =>
  count >= 1024 * 1024 && count % (1024 * 1024) === 0
    ? `${count / 1024 / 1024} MiB`
    : count >= 1024 && count % 1024 === 0
      ? `${count / 1024} KiB`
      : String(count)

const seconds = (duration: Duration.Duration): string => `${Duration.toSeconds(duration)} s`

/** The default of an option, as people read it. */
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
        ? "that of messages"
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
    case "maxRedirects":
      return "0"
    case "origin":
      return "same origin"
    case "admission":
      return `maxHandshakes: ${defaultMaxHandshakes.toLocaleString("en")}`
    case "tls":
      return "Node's: certificates are verified"
    default:
      return "none"
  }
}

export const threats: ReadonlyArray<Threat> = [
  {
    threat: "Headers whose tokenizer takes more than linear time",
    known: ["ws CVE-2021-32640", "websocket-extensions CVE-2020-7662, CVE-2020-7663"],
    defence:
      "One pass over every header, without regular expressions; HTTP itself is Node's, which bounds a head to 16 KiB.",
    options: [],
    tests: [
      work("a request with %s"),
      work("the parsers, with %s"),
      work("headers on many lines"),
      ["protocol/test/HeaderField.test.ts", "takes a number of steps that grows with the length alone"]
    ]
  },
  {
    threat: "Headers that are truncated because there are too many",
    known: ["ws CVE-2024-37890"],
    defence:
      "A server of our own has Node keep all headers within 16 KiB; on a server of the app's a request with more than Node keeps gets 431.",
    options: [],
    tests: [hostile("sends more headers than Node keeps by itself: none is lost, and the server goes on")]
  },
  {
    threat: "Names of extensions, parameters and headers that every object has",
    known: ["ws 3.3.0, a crash by the extension `constructor`"],
    defence: "What a peer names is a key of a `Map`, or of an object that inherits nothing.",
    options: [],
    tests: [
      clause("unknown: names of every object"),
      clause("unknown: a name of every object"),
      ["protocol/test/Handshake.test.ts", "lowers the case of names that every object has"],
      [
        "platform/test/node/internal/headerRecord.test.ts",
        "has the names that all objects have only where they were sent"
      ]
    ]
  },
  {
    threat: "Memory that was never written, or somebody else's, in a ping or a Close",
    known: ["ws CVE-2026-45736", "ws CVE-2016-10518"],
    defence:
      "Sizes come from the bytes that are copied, and a reason is text. Blocks of output go out only as far as they are written.",
    options: [],
    tests: [
      memory("writes of a ping, a pong and a Close what it was given, and nothing that lies beside it in memory"),
      memory("answers pings and Closes with their payload, and nothing that lies behind it in memory"),
      [
        "protocol/test/Connection.test.ts",
        "what was taken stays as it is, and what is sent is right, however connections interleave and recycle"
      ]
    ]
  },
  {
    threat: "Many tiny fragments or chunks, each held as an object",
    known: ["ws CVE-2026-48779", "undici CVE-2026-12151"],
    defence: "Fragments and chunks are joined in one buffer as they come, and counted.",
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
    defence: "The limit of a message counts what its headers announce; a deadline runs from its first byte.",
    options: ["limits.maxMessageBytes", "messageTimeout", "budget"],
    tests: [
      hostile("never ends a message: it is closed after messageTimeout"),
      memory("never holds more than twice what has arrived of a message, above that 1 MiB"),
      [
        "platform/test/ByteBudget.test.ts",
        "closes those that hold most of unfinished messages with 1013, if they do not end"
      ]
    ]
  },
  {
    threat: "Work that grows with the square of what arrives: parsed, joined or measured again with every chunk",
    known: ["tungstenite CVE-2023-43669", "Bandit CVE-2026-42786, CVE-2026-65623"],
    defence: "A header is read once, a byte is copied and validated a constant number of times, and sizes are sums.",
    options: [],
    tests: [
      work("a message of text"),
      work("fragments of text that cut every character"),
      work("messages of one byte"),
      work("fragments that are delivered as streams and as frames"),
      work("finds work that grows with the square")
    ]
  },
  {
    threat: "Pings whose pongs pile up where they are not read",
    known: ["ws before 8.23.0"],
    defence:
      "What is not read yet holds a number of pongs, and beyond that only the one to the newest ping (RFC 6455 §5.5.3).",
    options: ["limits.maxBufferedControlFrames", "writeTimeout"],
    tests: [
      hostile("floods with pings and reads nothing: one pong waits for many of them"),
      ["protocol/test/Connection.test.ts", "holds a bounded output under a flood"],
      [
        "platform/test/WebSocket.test.ts",
        "is refused nothing by a peer's ping flood: pongs that it does not read coalesce to the newest"
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
      "zlib is told how much is left of the message, and stops there. A compressed message may have 1,024 final blocks.",
    options: ["compression", "limits.maxMessageBytes", "compression.maxRatio"],
    tests: [
      memory("inflates no more than what is left of a message"),
      memory("inflates no more than the ratio allows"),
      work("inflates at most once for each final block of a message, of which there are at most 1,024"),
      clause("2 MiB of zeros in 2 KiB"),
      hostile("offers compression, which nobody asked for: it is declined")
    ]
  },
  {
    threat: "Lengths of 64 bits that overflow, or are believed",
    known: ["undici CVE-2026-1528", "gorilla CVE-2020-27813", "Tomcat CVE-2020-13935", "ws CVE-2016-10542"],
    defence: "Compared as two halves of 32 bits on the header, before anything is allocated.",
    options: ["limits.maxFrameBytes", "limits.maxMessageBytes"],
    tests: [
      ["protocol/test/Connection.test.ts", "refuses lengths of which only the upper half is too large"],
      memory("allocates nothing for a length that is only announced, and at most 1 MiB for the first byte behind it"),
      clause("2^63 and above: "),
      clause("announced, and no byte of it sent: ")
    ]
  },
  {
    threat: "Window bits that are out of range, or take memory",
    known: ["undici CVE-2026-2229"],
    defence:
      "8 to 15 in plain decimals, else an offer is declined and an answer fails. What is kept is the window, not a stream of zlib.",
    options: ["compression.serverMaxWindowBits", "compression.clientMaxWindowBits"],
    tests: [clause("a window of "), memory("keeps no more than the window that was agreed on")]
  },
  {
    threat: "Pages of other sites that connect to a server of localhost or of an intranet, with the cookies of a user",
    known: ["Vite CVE-2025-24010", "webpack-dev-server CVE-2018-14732, CVE-2025-30360"],
    defence:
      "Requests with an `Origin` must have that of their `Host`, else 403. A page whose own name is bound to the address of the server passes that: servers that are meant for one site, and those on localhost, should list its origins.",
    options: ["origin"],
    tests: [
      hostile("is a page of another site: it is refused with 403"),
      hostile("is a page whose name was bound to this address: a list of origins refuses it")
    ]
  },
  {
    threat: "Certificates that are not verified",
    known: ["faye-websocket CVE-2020-15133", "Tomcat's client CVE-2018-8034"],
    defence:
      "TLS is Node's, with the name of the host, whatever the route and the environment; only `tls.dangerouslySkipCertificateVerification` turns it off.",
    options: ["tls"],
    tests: [
      ["platform/test/node/NodeWebSocketClient.test.ts", "fails for a certificate that is not"],
      ["platform/test/node/clientTls.test.ts", "is verified also where the environment says otherwise"],
      ["platform/test/node/clientTls.test.ts", "is verified over a stream of the app's"],
      ["platform/test/node/clientRoutes.test.ts", "does not stand for the server's certificate"]
    ]
  },
  {
    threat: "Line breaks in what an app puts into headers, from its users",
    known: ["CWE-113, request splitting"],
    defence: "Names, values, subprotocols and the origin are checked, and fail typed before anything is sent.",
    options: [],
    tests: [["protocol/test/Handshake.test.ts", "refuses %j wherever it stands"]]
  },
  {
    threat: "Requests smuggled behind an upgrade that is refused, through a proxy that thinks it was not",
    known: ["h2c and WebSocket smuggling"],
    defence: "A connection whose upgrade is refused ends; nothing behind the request is read.",
    options: [],
    tests: [hostile("sends another request behind one that is refused: it is not read")]
  },
  {
    threat: "Bytes that a client chooses and a proxy takes for HTTP",
    known: ["Huang et al. 2011; RFC 6455 §10.3"],
    defence: "Every frame of a client is masked with a key of its own, from the secure source of the runtime.",
    options: [],
    tests: [
      ["platform/test/engine/random.test.ts", "comes from the runtime's secure source and from nowhere else"],
      ["platform/test/node/NodeWebSocketClient.test.ts", "masks every frame with another key"]
    ]
  },
  {
    threat: "Secrets that show in the size of what is compressed with them",
    known: ["CRIME, BREACH"],
    defence:
      "Nothing is compressed unless asked for; then a filter decides for each message, and compression.md warns.",
    options: ["compression", "compression.filter"],
    tests: [hostile("offers compression, which nobody asked for: it is declined")]
  },
  {
    threat: "Connections that are kept after their Close",
    known: ["Tomcat CVE-2024-23672"],
    defence: "A deadline from the start of the closing, after which TCP is dropped.",
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
    threat: "Credentials sent on to where a redirection points",
    known: ["CWE-601"],
    defence:
      "By default a client follows no redirection: `HandshakeRejected` has its headers. Where it does, another origin gets no credentials, no cookies and none of the app's headers, and `wss:` does not lead to `ws:`.",
    options: ["maxRedirects"],
    tests: [
      hostile("sends the client elsewhere: it does not follow"),
      ["platform/test/WebSocketClient.request.test.ts", "take no secret to another origin: from "],
      ["platform/test/WebSocketClient.request.test.ts", "from wss: to ws:"]
    ]
  },
  {
    threat: "Secrets of a client in errors, logs and spans",
    known: ["CWE-532"],
    defence:
      "Credentials are `Redacted`; those of a URL are taken out of it. Errors tell what is wrong, not the value, and no cause has options of a library in it.",
    options: ["auth"],
    tests: [
      [
        "platform/test/node/clientSecrets.test.ts",
        "no secret is in an error, a log, a span or any output, whatever happens"
      ]
    ]
  },
  {
    threat: "Text that is not UTF-8 and is taken for something else",
    known: ["RFC 3629 §10, overlong forms"],
    defence: "Validated as it comes, by the rules of RFC 3629; the connection fails with 1007.",
    options: [],
    tests: [
      ["protocol/test/conformance/utf8.test.ts", "judges as the grammar of RFC 3629, octet by octet"],
      clause("overlong slash")
    ]
  }
]

export const hostilities: ReadonlyArray<Hostility> = [
  {
    attack: "A request that comes octet by octet and never ends",
    memory: "16 KiB, Node's limit of a head",
    time: "`handshakeTimeout`, and up to 1 s until Node looks",
    options: ["handshakeTimeout"],
    tests: [
      hostile("sends a handshake octet by octet that never ends: it is dropped"),
      ["platform/test/node/NodeWebSocketServer.test.ts", "gives up on a request that does not arrive: %j"],
      ["platform/test/node/NodeWebSocketServer.test.ts", "answers 431 to endless header bytes"]
    ]
  },
  {
    attack: "Thousands of handshakes that are left half open",
    memory:
      "`admission.maxHandshakes` sockets (1,024), each with at most the 16 KiB above. On a server of the app's, that is the app's",
    time: "`handshakeTimeout`; of more than that the oldest is dropped, so others are served meanwhile",
    options: ["admission", "handshakeTimeout"],
    tests: [
      hostile("leaves 2,000 handshakes half open: the oldest give way, others are served, and all of them dropped")
    ]
  },
  {
    attack: "Thousands of handshakes that are refused, by clients that stay and read nothing",
    memory: "Among the 1,024 sockets above",
    time: "5 s for the answer, then the socket is dropped. A refused handshake starts no check",
    options: ["admission"],
    tests: [hostile("has 300 handshakes refused and stays: the oldest give way, and who was accepted is not touched")]
  },
  {
    attack: "More connections than a server has memory for, of one client or of many",
    memory: "`admission.maxConnections`, and of one client `maxConnectionsPerKey`; both are off by default",
    time: "Handshakes at `handshakeRate` and `handshakeRatePerKey`, which are off by default; then 503 or 429 with `Retry-After`",
    options: ["admission", "proxies"],
    tests: [
      ["platform/test/node/attaching.test.ts", "refuses more than the limit, with 503, until there is room again"],
      ["platform/test/engine/server/Gate.test.ts", "counts by key"],
      ["platform/test/engine/server/Gate.test.ts", "admits at a rate, and says when to come back"]
    ]
  },
  {
    attack: "Addresses that a client invents in the headers of a proxy",
    memory: "None: 65,536 keys without connections are remembered, the newest",
    time: "Read from the end of the list, and no further than proxies that are trusted; by default not at all",
    options: ["proxies"],
    tests: [
      ["platform/test/engine/server/forwarded.test.ts", "believes proxies that are trusted, and as far as they are"],
      ["platform/test/engine/server/Gate.test.ts", "forgets the oldest of many keys, and none that has connections"]
    ]
  },
  {
    attack: "Clients that connect and never say who they are",
    memory: "An idle connection",
    time: "`firstMessageTimeout`, which is off by default, then 1008",
    options: ["firstMessageTimeout"],
    tests: [["platform/test/WebSocketServer.routes.test.ts", "closes with 1008 who says nothing in time"]]
  },
  {
    attack: "Small messages without end",
    memory: "`receiveHighWaterMark`",
    time: "`receiveRate`, which is off by default: then reading waits, or 1008",
    options: ["receiveRate"],
    tests: [
      ["platform/test/receiveRate.test.ts", "suspends reading until the rate is kept, and loses nothing"],
      ["platform/test/receiveRate.test.ts", "closes with 1008, after what was sent before"]
    ]
  },
  {
    attack: "Requests that no `accept` takes",
    memory: "Each a request and a socket that is not read",
    time: "`handshakeTimeout`, then 503",
    options: ["handshakeTimeout"],
    tests: [["platform/test/node/NodeWebSocketServer.test.ts", "answers 503 where no accept takes the request in time"]]
  },
  {
    attack: "An answer to a client that never ends: octets, headers, interim answers",
    memory: "16 KiB",
    time: "`openTimeout`",
    options: ["openTimeout"],
    tests: [
      hostile("answers octet by octet and never ends: the client gives up"),
      hostile("answers with endless headers: the client gives up"),
      hostile("answers with interim answers for ever: the client gives up")
    ]
  },
  {
    attack: "A refusal with an endless body",
    memory: "64 KiB and one read of the socket",
    time: "2 s, or the rest of `openTimeout` where that is less",
    options: ["openTimeout"],
    tests: [
      hostile("refuses with an endless body: the client keeps 64 KiB of it"),
      ["platform/test/node/clientInterruption.test.ts", "may refuse with a body that never ends, or hardly begins"]
    ]
  },
  {
    attack: "A flood of pings",
    memory: "`sendHighWaterMark`, and 33 pongs of at most 131 bytes",
    time: "Linear in what arrives. A peer that reads nothing: `writeTimeout`",
    options: ["limits.maxBufferedControlFrames", "sendHighWaterMark", "writeTimeout"],
    tests: [
      hostile("floods with pings and reads nothing: one pong waits for many of them"),
      work("pings"),
      work("pings inside a fragmented message")
    ]
  },
  {
    attack: "A flood of Closes",
    memory: "One answer",
    time: "Nothing behind the first one is looked at; `closeTimeout` until TCP ends",
    options: ["closeTimeout"],
    tests: [
      hostile("floods with Closes: it gets one, and the end"),
      memory("answers a flood of Closes once"),
      work("Closes")
    ]
  },
  {
    attack: "Messages of empty fragments",
    memory: "256 bytes",
    time: "Linear, and `maxFragments` of them for a message",
    options: ["limits.maxFragments"],
    tests: [
      hostile("floods with empty fragments: it is closed with 1009 at the limit"),
      memory("holds nothing of empty fragments, and ends them at the limit"),
      work("empty fragments")
    ]
  },
  {
    attack: "Messages that arrive slowly, or never end",
    memory: "The limit of a message: 1 MiB on the word of a header, above that twice what has arrived",
    time: "`messageTimeout`, which is off by default; the heartbeat counts any byte as life",
    options: ["limits.maxMessageBytes", "messageTimeout"],
    tests: [
      hostile("never ends a message: it is closed after messageTimeout"),
      memory("allocates nothing for a length that is only announced, and at most 1 MiB for the first byte behind it")
    ]
  },
  {
    attack: "More messages than the app takes",
    memory: "`receiveHighWaterMark`, one message or read above it, then TCP holds the peer back",
    time: "As long as the app takes",
    options: ["receiveHighWaterMark"],
    tests: [
      ["platform/test/node/NodeWebSocketServer.test.ts", "pauses the transport while nobody reads, and loses nothing"]
    ]
  },
  {
    attack: "A peer that reads slowly, or not at all",
    memory:
      "At most twice `sendHighWaterMark` and one message, and a block of 64 KiB; `send` waits, drops, or ends the connection, as `sendStrategy` says",
    time: "`writeTimeout`, which is off by default; `closeTimeout` where we close",
    options: ["sendHighWaterMark", "sendStrategy", "writeTimeout", "closeTimeout"],
    tests: [
      hostile("never reads what is sent: it is dropped after writeTimeout, and others go on"),
      [
        "platform/test/node/NodeWebSocketServer.test.ts",
        "suspends send while the peer does not read, within bounded memory"
      ],
      [
        "platform/test/internal/driver.test.ts",
        "of ten peers that do not read, among a thousand, is at most twice what waits and a block for each"
      ]
    ]
  },
  {
    attack: "A peer that is gone and never said so",
    memory: "An idle connection",
    time: "`heartbeatInterval` and `heartbeatTimeout`",
    options: ["heartbeatInterval", "heartbeatTimeout"],
    tests: [
      [
        "platform/test/engine/time/Deadlines.test.ts",
        "pings after 25 seconds without a frame, and fails 20 seconds later"
      ]
    ]
  },
  {
    attack: "All of these from many connections together",
    memory: "`budget`, for all that is given it",
    time: "A connection is not read until it has nothing unread, `send` waits, and newcomers get 503 until half of what was exceeded is free",
    options: ["budget"],
    tests: [
      [
        "platform/test/ByteBudget.test.ts",
        "above half of it reads those only that have nothing unread, until half of that is free"
      ],
      [
        "platform/test/ByteBudget.test.ts",
        "refuses new connections while it is exhausted: a server with 503, a client before it dials"
      ]
    ]
  }
]
