/** The tables of docs/observability.md: what a run has seen, with the words of the lists below. */
import type { RefusalReason } from "../../src/engine/server/ObservedAttempt.js"
import type { AttributeName, AttributeValues, Attributes, Instrument } from "../../src/internal/instruments.js"
import { table } from "../documented.js"
import type { Tracer } from "../effect/index.js"
import { assert } from "../effect/vitest.js"

/** Why a server refuses a request. */
const refusals: Readonly<Record<RefusalReason, string>> = {
  handshake: "breaks the handshake, or has more headers than Node takes",
  origin: "comes from an origin that is not allowed",
  budget: "comes while the `budget` is exhausted",
  max_connections: "exceeds `maxConnections` of `admission`",
  max_handshakes: "exceeds `maxHandshakes` of `admission`",
  max_connections_per_key: "exceeds `maxConnectionsPerKey` of `admission`",
  rate: "exceeds `handshakeRate` or `handshakeRatePerKey` of `admission`",
  no_route: "has a path that no route takes",
  check: "was rejected by the check of its route",
  timeout: "was not accepted within `handshakeTimeout`",
  stopping: "comes while the server or the route stops or drains",
  replaced: "got another answer from middleware in place of the 101",
  gone: "was given up by its client before there was an answer",
  error: "met an error of the app, in a check, a policy or a transport"
}

type Listed = Exclude<AttributeName, "error.type" | "websocket.close.code">

/** All values of the attributes that have a list of them. */
const values: { readonly [A in Listed]: Readonly<Record<AttributeValues[A], string>> } = {
  "websocket.role": { client: "", server: "" },
  "network.io.direction": { receive: "", transmit: "" },
  "websocket.handshake.outcome": { accepted: "", refused: "a client also if it could not connect" },
  "websocket.close.initiator": { local: "", remote: "", none: "the connection broke" },
  "websocket.close.clean": { true: "after a complete closing handshake", false: "" },
  "websocket.pause.reason": {
    inbox: "more than `receiveHighWaterMark` is unread",
    budget: "a `ByteBudget` is exceeded",
    rate: "the peer sends more than `receiveRate`"
  },
  "websocket.budget.part": {
    unread: "messages that wait for the app",
    unfinished: "messages that have not ended yet",
    unsent: "data that waits to be sent"
  },
  "websocket.outbox.outcome": {
    delivered: "",
    dropped: "",
    unknown: "see [reconnecting](reconnecting.md)",
    refused: "no connection can send the message"
  },
  "websocket.topic.start": { new: "", recovered: "from the history", gap: "publications are missing" }
}

/** The rules of the attributes whose values are not listed here. Their values are those that the run has seen. */
const rules = {
  "`error.type` of a server": "[why it refused](#why-a-server-refuses)",
  "`error.type` of a client":
    "the status of the answer, the `reason` of an `IoError`, `Protocol_error`, `interrupted`, or `defect`. A status that HTTP " +
    "does not define is named by its class, or `_OTHER`",
  "`error.type` of a publish": "the `reason` of a `TopicError`, `interrupted`, or `defect`",
  "`websocket.close.code`":
    "the code of the side that closed first, `1005` for none and `1006` for an end without a Close. Codes from 3000 on are `3xxx` " +
    "and `4xxx`, because a peer can send 2,000 of them"
}

/** A series that a run has recorded. */
export type Series = readonly [instrument: Instrument, attributes: Attributes]

/** The values that a run has seen of each attribute of the metrics, by the name of its row. */
export const seenValues = (all: Iterable<Series>): ReadonlyMap<string, ReadonlySet<string>> => {
  const seen = new Map<string, Set<string>>()
  for (const [{ name }, attributes] of all) {
    const owner = name.startsWith("websocket.topic.publish") ? "publish" : attributes["websocket.role"]
    for (const [attribute, value] of Object.entries(attributes)) {
      const row = attribute === "error.type" ? `\`error.type\` of a ${owner}` : `\`${attribute}\``
      seen.set(row, (seen.get(row) ?? new Set()).add(value))
    }
  }
  return seen
}

const coded = (names: Iterable<string>): string => [...names].map((name) => `\`${name}\``).join(", ")

/** The attributes of the metrics. Fails if the run has not seen each value of the lists, or another one. */
export const attributesTable = (seen: ReturnType<typeof seenValues>): string => {
  const listed = Object.entries(values).map(([attribute, meanings]) => {
    const row = `\`${attribute}\``
    assert.sameMembers([...(seen.get(row) ?? [])], Object.keys(meanings), `the values of ${attribute}`)
    const cells = Object.entries(meanings).map(([value, words]) => `\`${value}\`${words === "" ? "" : ` (${words})`}`)
    return [row, cells.join(", ")]
  })
  const ruled = Object.entries(rules).map(([row, rule]) => {
    const found = [...(seen.get(row) ?? [])].sort()
    assert.isNotEmpty(found, `the values of ${row}`)
    return [row, row.endsWith("a server") ? rule : `${rule}. Seen: ${coded(found)}`]
  })
  const rows = [...listed, ...ruled]
  assert.sameMembers(
    [...seen.keys()],
    rows.map(([row]) => row!)
  )
  return table(["attribute", "values"], rows)
}

/** Why a server refuses, and its answers. Fails if the run has not seen each reason. */
export const refusalsTable = (seen: ReturnType<typeof seenValues>, spans: ReadonlyArray<Tracer.Recorded>): string => {
  assert.sameMembers([...(seen.get("`error.type` of a server") ?? [])], Object.keys(refusals))
  const rows = Object.entries(refusals).map(([reason, words]) => {
    const answers = spans
      .filter(({ attributes }) => attributes["error.type"] === reason)
      .map(({ attributes }) => String(attributes["http.response.status_code"] ?? "none"))
    assert.isNotEmpty(answers, `a span of ${reason}`)
    return [`\`${reason}\``, words, [...new Set(answers)].sort().join(", ")]
  })
  return table(["`error.type`", "the request", "answers that the run has seen"], rows)
}

/** The spans that a run has seen. `platform`: those of clients over the WebSocket of a platform. */
export interface SeenSpans {
  readonly client: ReadonlyArray<Tracer.Recorded>
  readonly platform: ReadonlyArray<Tracer.Recorded>
  readonly server: ReadonlyArray<Tracer.Recorded>
}

const spans = {
  "websocket.client.handshake": ["with `connect`", "with the connection, or with the error of `connect`"],
  "websocket.server.handshake": [
    "when a server gets a request to upgrade",
    "with the 101, with the refusal, or when the client has gone"
  ]
}

/** The spans, with their kind and how they ended. */
export const spansTable = ({ client, platform, server }: SeenSpans): string => {
  const all = [...client, ...platform, ...server]
  const distinct = (texts: ReadonlyArray<string | undefined>) => [...new Set(texts)].sort().join(", ")
  assert.sameMembers([...new Set(all.map(({ name }) => name))], Object.keys(spans))
  const rows = Object.entries(spans).map(([name, words]) => {
    const found = all.filter((span) => span.name === name)
    return [`\`${name}\``, distinct(found.map(({ kind }) => kind)), ...words, distinct(found.map(({ ended }) => ended))]
  })
  return table(["span", "kind", "begins", "ends", "ended in the run as"], rows)
}

/** The attributes of spans. Of those with few values, the values that the run has seen come first. */
const spanAttributes: Readonly<Record<string, readonly [words: string, lists?: "lists its values"]>> = {
  "http.request.method": [
    "`_OTHER` for one that HTTP does not define. A server does not know it if the headers are too large for Node",
    "lists its values"
  ],
  "network.protocol.name": ["", "lists its values"],
  "network.protocol.version": ["A client knows it once it has an answer", "lists its values"],
  "network.peer.address": [
    "the address of the other end of TCP, which may be a proxy; a client knows it once it is connected"
  ],
  "server.address": ["the host of the first URL; of `Host` or `:authority` in a server"],
  "server.port": ["the port of the same; missing in a server if the header has none"],
  "url.full": ["the first URL without user, password and query; a server behind a proxy does not know it"],
  "url.scheme": ["That of the first URL", "lists its values"],
  "url.path": ["the path without the query. A server does not know it if the headers are too large for Node"],
  "http.response.status_code": ["the last status: `101`, or `200` over HTTP/2, after a success"],
  "error.type": ["as in the metrics"]
}

const frequency = (spans: ReadonlyArray<Tracer.Recorded>, attribute: string): string => {
  const count = spans.filter(({ attributes }) => attribute in attributes).length
  return count === 0 ? "never" : count === spans.length ? "always" : "sometimes"
}

/** The attributes of spans: which of them have each one. Fails for one without words, and for words that no span needs. */
export const spanAttributesTable = ({ client, platform, server }: SeenSpans): string => {
  const all = [...client, ...platform, ...server]
  const names = new Set(all.flatMap(({ attributes }) => Object.keys(attributes)))
  assert.sameMembers([...names], Object.keys(spanAttributes))
  const rows = Object.entries(spanAttributes).map(([name, [words, lists]]) => {
    const found = all.flatMap(({ attributes }) => (name in attributes ? [String(attributes[name])] : []))
    const value = [...(lists === undefined ? [] : [coded([...new Set(found)].sort())]), words]
    return [
      `\`${name}\``,
      ...[client, platform, server].map((group) => frequency(group, name)),
      value.filter((part) => part !== "").join(". ")
    ]
  })
  return table(["attribute", "client on Node", "client of a platform", "server", "value"], rows)
}

const events: Readonly<Record<string, string>> = {
  "websocket.redirect": "an answer leads to another URL, which the attributes name",
  "websocket.tunnel": "a proxy has opened the way to the server"
}

/** The events of spans of clients, with their attributes. */
export const eventsTable = ({ client, platform, server }: SeenSpans): string => {
  for (const span of [...platform, ...server]) assert.deepStrictEqual(span.events, [])
  const seen = new Map<string, Set<string>>()
  for (const [name, attributes = {}] of client.flatMap(({ events }) => events)) {
    const names = seen.get(name) ?? new Set()
    for (const attribute of Object.keys(attributes)) names.add(attribute)
    seen.set(name, names)
  }
  assert.sameMembers([...seen.keys()], Object.keys(events))
  const rows = Object.entries(events).map(([name, words]) => [`\`${name}\``, words, coded([...seen.get(name)!].sort())])
  return table(["event", "when", "attributes"], rows)
}
