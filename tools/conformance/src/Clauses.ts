/** Every clause, in the order of the RFCs' subjects; and those that no bytes can show to be kept. */
import type { Clause, Untested } from "./Clause.js"
import { closingHandshake } from "./clauses/closingHandshake.js"
import { compression } from "./clauses/compression.js"
import { frames } from "./clauses/frames.js"
import { openingHandshake } from "./clauses/openingHandshake.js"

export const clauses: ReadonlyArray<Clause> = [...openingHandshake, ...frames, ...closingHandshake, ...compression]

export const untested: ReadonlyArray<Untested> = [
  {
    section: "RFC 6455 §3",
    rule: "A fragment identifier MUST NOT be used in a WebSocket URI.",
    reason: "Nothing is sent: `connect` fails with a local `Protocol_error`, which the client's own tests show."
  },
  {
    section: "RFC 6455 §4.1",
    rule: "A client MUST NOT have more than one connection to an address in the state CONNECTING.",
    reason:
      "Not kept, as by other clients outside of browsers: the rule protects hosts from the pages of strangers, and would make one server that hangs hold up connections that have nothing to do with it."
  },
  {
    section: "RFC 6455 §4.1",
    rule: "A client behind an HTTP proxy SHOULD ask it for a tunnel with CONNECT.",
    reason: "Proxies are not supported yet."
  },
  {
    section: "RFC 6455 §4.1, §10.6",
    rule: "A client MUST perform the TLS handshake, with the name of the host, before it sends anything, and fail where the certificate is not valid.",
    reason: "The cases speak TCP. The tests of the Node client show it over TLS."
  },
  {
    section: "RFC 6455 §4.1",
    rule: "A browser MUST send Origin; where several protocols are possible a client MAY authenticate.",
    reason: "No browser, and optional."
  },
  {
    section: "RFC 6455 §4.2.2, §10.2",
    rule: "A server that does not accept an origin MUST answer 403.",
    reason: "It depends on the policy of the server. docs/security.md names the tests."
  },
  {
    section: "RFC 6455 §4.1, §5.3, §10.3",
    rule: "Keys of the handshake and of masks MUST be unpredictable, from a strong source of entropy.",
    reason:
      "Statistics cannot show where bits come from. Two cases show that keys differ; a test of the platform shows that they come from the runtime's secure source."
  },
  {
    section: "RFC 6455 §5.2, §5.8, §9",
    rule: "Extensions define opcodes and reserved bits, and the order in which they are applied.",
    reason: "There is one extension, of RFC 7692."
  },
  {
    section: "RFC 6455 §5.4",
    rule: "Intermediaries MUST NOT change the fragmentation where an extension or a control frame is in the way.",
    reason: "An endpoint is no intermediary."
  },
  {
    section: "RFC 6455 §6.1",
    rule: "Data is sent in the state OPEN only, and only an endpoint that has data sends frames.",
    reason:
      "Every case would see a frame that comes too early or unasked; that `send` is refused then, the tests of `Connection` show."
  },
  {
    section: "RFC 6455 §7.1.1",
    rule: "The server ends TCP first; a client waits for it, and for a reasonable time only.",
    reason:
      "It is about time, which a case over sockets could only guess. docs/closing.md has every situation, on a test's clock."
  },
  {
    section: "RFC 6455 §7.1.5, §7.1.6",
    rule: "Without a Close the code is 1006, and without a code 1005, to the app.",
    reason: "Neither is ever on the wire. The typed errors of the cases and docs/closing.md show it."
  },
  {
    section: "RFC 6455 §7.2.3",
    rule: "A client that connects again after an abnormal end SHOULD wait, at random and for longer each time.",
    reason: "`ReconnectingWebSocket` does, on a clock that its tests move; a case over sockets would have to wait."
  },
  {
    section: "RFC 6455 §10.1, §10.5",
    rule: "Servers that are not for browsers, and authentication.",
    reason: "Advice to apps."
  },
  {
    section: "RFC 7692 §7.2.1",
    rule: "A compressor refers back no further than its window.",
    reason:
      "A peer with that window inflates what is sent in the tests of `NodeZlib` and of the exchange with `ws` and `undici`; the driver here inflates with the largest one."
  }
]
