/** The rules of WebSocket over HTTP/2 in docs/http2.md, with the tests that check them. `pnpm docs:write` writes the table. */
import { readFileSync } from "node:fs"
import { assert, describe, it } from "vitest"
import { assertDocumented, table } from "../../../packages/platform/test/documented.js"

/** A file under `packages`, the title of a `describe` in it or `undefined`, and titles of tests there. */
type Tests = readonly [file: string, group: string | undefined, ...titles: ReadonlyArray<string>]

interface Clause {
  readonly section: string
  readonly rule: string
  readonly tests: ReadonlyArray<Tests>
}

const connect = "protocol/test/ExtendedConnect.test.ts"
const client = "platform/test/node/http2Client.test.ts"
const server = "platform/test/node/http2Server.test.ts"
const hostile = "platform/test/node/http2Hostile.test.ts"
const closing = "platform/test/closing/closingOverSockets.test.ts"

const clauses: ReadonlyArray<Clause> = [
  {
    section: "RFC 8441 §3",
    rule: "The server sends the setting with its first SETTINGS, and never takes it back.",
    tests: [
      [
        server,
        "the opening handshake",
        "answers 200 without END_STREAM, without a key, and shows the app the same request"
      ],
      [
        server,
        "attached to an HTTP/2 server of the app",
        "announces WebSockets as long as it lives, and leaves other requests to the app"
      ]
    ]
  },
  {
    section: "RFC 8441 §3",
    rule: "A client waits for the setting, and does not ask without it.",
    tests: [
      [
        client,
        "the setting",
        "must come with the first SETTINGS, and must not be taken back",
        "is waited for until the deadline, or until an interruption, which drops the session"
      ],
      [
        client,
        "a server without WebSockets over HTTP/2",
        "is asked over HTTP/1.1 if HTTP/2 is only preferred",
        "is an error if HTTP/2 is required"
      ]
    ]
  },
  {
    section: "RFC 8441 §4, §5",
    rule: "A request has `:protocol`, `:scheme`, `:path` and `:authority`.",
    tests: [
      [connect, "requestHeaders", "makes the RFC's request of an upgrade request"],
      [connect, "checkRequest", "accepts the RFC's request", "refuses with 400 what breaks the handshake"],
      [client, "sessions", "are shared, and end with their last connection"],
      [
        hostile,
        "a hostile client over HTTP/2",
        "sends headers that are malformed or too many: the stream is reset, and the session goes on"
      ]
    ]
  },
  {
    section: "RFC 8441 §5",
    rule: "There is no `Connection`, `Upgrade`, `Host`, key or accept value.",
    tests: [
      [connect, "requestHeaders", "makes the RFC's request of an upgrade request"],
      [connect, "checkRequest", "ignores a key, as RFC 8441 §5 says"],
      [client, "sessions", "are shared, and end with their last connection"],
      [
        server,
        "the opening handshake",
        "answers 200 without END_STREAM, without a key, and shows the app the same request"
      ]
    ]
  },
  {
    section: "RFC 8441 §5",
    rule: "The version, the origin, subprotocols and extensions mean what they mean in RFC 6455.",
    tests: [
      [connect, "requestHeaders", "is read by checkRequest as Handshake reads the upgrade request, but for the key"],
      [
        connect,
        "responseHeaders",
        "makes the RFC's answer",
        "fails for what was not offered, and for headers that cannot be sent"
      ],
      [
        connect,
        "checkResponse",
        "returns the agreement",
        "fails for another status, and for a choice that was not offered"
      ],
      [server, "the opening handshake", "refuses as HTTP/1.1 does, and the session goes on"]
    ]
  },
  {
    section: "RFC 8441 §5",
    rule: "END_STREAM is an orderly end of TCP, and `RST_STREAM` with `CANCEL` any other end.",
    tests: [
      [closing, "over HTTP/2"],
      [
        client,
        undefined,
        "END_STREAM within a frame is no orderly end",
        "a Close of the peer is answered, and END_STREAM ends both sides"
      ]
    ]
  },
  {
    section: "RFC 9110 §9.3.6",
    rule: "A request has no content, and an answer 2xx opens the stream. This library sends 200, and takes nothing else.",
    tests: [
      [connect, "checkRequest", "refuses with 400 what breaks the handshake"],
      [connect, "checkResponse", "fails for another status, and for a choice that was not offered"],
      [server, "the opening handshake", "drops a request that ends with its headers"]
    ]
  },
  {
    section: "RFC 9113 §6.8, §8.7",
    rule: "A request that the server has not processed may be sent again.",
    tests: [
      [
        client,
        "sessions",
        "that get GOAWAY keep their connections, and the next one has a new session",
        "may refuse a stream once, which is asked for again",
        "that get GOAWAY with the settings are not asked for without end",
        "that end with an error and GOAWAY are replaced once for requests that were not processed",
        "that end with an error and GOAWAY are replaced, and the request succeeds"
      ]
    ]
  },
  {
    section: "RFC 9113 §7",
    rule: "`HTTP_1_1_REQUIRED` asks for HTTP/1.1.",
    tests: [
      [
        client,
        "the answer",
        "may be that the server requires HTTP/1.1, which a client that only prefers HTTP/2 then uses"
      ]
    ]
  },
  {
    section: "RFC 9113 §8.2.2",
    rule: "There are no headers of a connection of HTTP/1.1.",
    tests: [
      [connect, "requestHeaders", "fails for a header that HTTP/2 cannot carry"],
      [connect, "checkRequest", "refuses with 400 what breaks the handshake"],
      [connect, undefined, "knows the headers of HTTP/1.1 connections in any case"],
      [client, "a server without WebSockets over HTTP/2", "carries the headers that HTTP/2 cannot carry"]
    ]
  },
  {
    section: "RFC 9113 §8.2.3",
    rule: "Cookies may come in several fields.",
    tests: [[connect, "checkRequest", "joins the cookies, which may come in several fields"]]
  },
  {
    section: "RFC 9113 §8.3.1",
    rule: "`Host` may repeat `:authority`, and may not differ from it.",
    tests: [
      [
        connect,
        "checkRequest",
        "accepts clear text, headers of the web, and a Host that repeats the authority",
        "refuses with 400 what breaks the handshake"
      ]
    ]
  },
  {
    section: "RFC 9220 §3",
    rule: "A request for another protocol gets 501.",
    tests: [
      [connect, "checkRequest", "refuses another protocol with 501"],
      [server, "the opening handshake", "refuses as HTTP/1.1 does, and the session goes on"]
    ]
  }
]

const escaped = (title: string): string => title.replaceAll(/[$()*+.?[\\\]^{|}]/g, "\\$&")

/** Where a `describe` or a test with a title begins, which is not skipped. */
const beginOf = (kind: "describe" | "it", title: string): RegExp =>
  new RegExp(`^( *)${kind}(?:\\.(?:effect|live|only))?\\(\\s*["'\`]${escaped(title)}["'\`]`, "m")

/** The text of a `describe`, or of the whole file. */
const groupOf = (text: string, group: string | undefined): string | undefined => {
  if (group === undefined) return text
  const found = beginOf("describe", group).exec(text)
  if (found === null) return undefined
  const rest = text.slice(found.index)
  return rest.slice(0, rest.indexOf(`\n${found[1]}})`))
}

const textOf = (file: string): string => readFileSync(new URL(`../../../packages/${file}`, import.meta.url), "utf8")
const fileName = (file: string): string => file.slice(file.lastIndexOf("/") + 1, -".test.ts".length)
const cellOf = ([file, group, ...titles]: Tests): ReadonlyArray<string> => {
  const name = `${fileName(file)}: ${group ?? ""}`.trimEnd()
  return titles.length === 0 ? [name] : titles.map((title) => `${name} ${title}`)
}

describe("the clauses of docs/http2.md", () => {
  const all = clauses.flatMap(({ tests }) => tests)
  it.each(all.map((tests) => ({ tests, name: cellOf(tests).join("; ") })))("name tests: $name", ({ tests }) => {
    const [file, group, ...titles] = tests
    const text = groupOf(textOf(file), group)
    assert.isDefined(text, `${file} has no group ${group}`)
    for (const title of titles) assert.match(text!, beginOf("it", title), `${file} has no test ${title}`)
  })

  it("are in the page", () => {
    const rows = clauses.map(({ rule, section, tests }) => [section, rule, tests.flatMap(cellOf).join("<br>")])
    assertDocumented("http2.md", "clauses", table(["RFC", "rule", "tests"], rows))
  })
})
