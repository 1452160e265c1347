/** Every clause, in the order of the RFCs' subjects, and the rules that no exchange of bytes can test. */
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
    reason: "Nothing is sent: `connect` fails with a local `Protocol_error`. The client's own tests check this."
  },
  {
    section: "RFC 6455 §4.1",
    rule: "A client MUST NOT have more than one connection to an address in the state CONNECTING.",
    reason:
      "This library does not follow this rule, like other clients outside of browsers. The rule protects hosts from untrusted pages. Here, one hanging server would hold up unrelated connections."
  },
  {
    section: "RFC 6455 §4.1",
    rule: "A client behind an HTTP proxy SHOULD ask it for a tunnel with CONNECT.",
    reason: "The cases connect directly. The tests of the client's option `proxy` check it."
  },
  {
    section: "RFC 6455 §4.1, §10.6",
    rule: "A client MUST perform the TLS handshake, with the name of the host, before it sends anything. It MUST fail if the certificate is not valid.",
    reason: "The cases use plain TCP. The tests of the Node client check it over TLS."
  },
  {
    section: "RFC 6455 §4.1",
    rule: "A browser MUST send Origin. A client MAY send credentials.",
    reason: "This client is not a browser, and credentials are optional."
  },
  {
    section: "RFC 6455 §4.2.2, §10.2",
    rule: "A server that does not accept an origin MUST answer 403.",
    reason: "The result depends on the policy of the server. docs/security.md names the tests."
  },
  {
    section: "RFC 6455 §4.1, §5.3, §10.3",
    rule: "Handshake keys and mask keys MUST be unpredictable, from a strong source of entropy.",
    reason:
      "Statistics cannot show where bits come from. Two cases check that keys differ. A test of the platform package checks that they come from the runtime's secure source."
  },
  {
    section: "RFC 6455 §5.2, §5.8, §9",
    rule: "Extensions define opcodes and reserved bits, and the order in which they are applied.",
    reason: "There is only one extension, that of RFC 7692."
  },
  {
    section: "RFC 6455 §5.4",
    rule: "Intermediaries MUST NOT change the fragmentation if an extension or a control frame forbids it.",
    reason: "An endpoint is not an intermediary."
  },
  {
    section: "RFC 6455 §6.1",
    rule: "Data is sent in the state OPEN only, and only an endpoint that has data sends frames.",
    reason:
      "Every case would detect an early or unexpected frame. The tests of `Connection` check that `send` is refused in other states."
  },
  {
    section: "RFC 6455 §7.1.1",
    rule: "The server ends TCP first. A client waits for this, but only for a reasonable time.",
    reason:
      "The rule is about time, which a case over sockets cannot control. docs/closing.md has every situation, on a test clock."
  },
  {
    section: "RFC 6455 §7.1.5, §7.1.6",
    rule: "The app sees code 1006 if there was no Close, and 1005 if the Close had no code.",
    reason: "Neither code is ever sent. The typed errors of the cases and docs/closing.md show them."
  },
  {
    section: "RFC 6455 §7.2.3",
    rule: "A client that reconnects after an abnormal end SHOULD wait for a random time, longer each time.",
    reason: "The tests of `ReconnectingWebSocket` check this on a test clock. A case over sockets would have to wait."
  },
  {
    section: "RFC 6455 §10.1, §10.5",
    rule: "Servers that do not serve browsers, and authentication.",
    reason: "This is advice for apps."
  },
  {
    section: "RFC 7692 §7.2.1",
    rule: "A compressor does not refer back further than its window.",
    reason:
      "The driver inflates with the largest window. The tests of `NodeZlib`, and those with `ws` and `undici`, use a peer with the negotiated window."
  }
]
