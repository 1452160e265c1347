/** The measured cases. */
import type { Shape } from "./load/frames.js"
import type { Suite } from "./names.js"

/** How a case runs. The numbers describe the load. */
export type Work =
  | {
      readonly _tag: "Echo"
      readonly connections: number
      readonly inFlight: number
      readonly shape: Shape
      /** The size of each write, if the load does not write whole messages. */
      readonly chunkBytes?: number
    }
  /** The same with exchanged roles. */
  | { readonly _tag: "ClientEcho"; readonly connections: number; readonly inFlight: number; readonly shape: Shape }
  | { readonly _tag: "Broadcast"; readonly connections: number; readonly shape: Shape }
  /** Each connection is a member of one of the topics. Each message is published to all topics. */
  | { readonly _tag: "Publish"; readonly connections: number; readonly topics: number; readonly shape: Shape }
  | { readonly _tag: "Churn"; readonly connections: number; readonly shape: Shape }
  | { readonly _tag: "Client"; readonly shape: Shape }
  /** Echoes at a rate of messages per second, whatever the number of connections. */
  | { readonly _tag: "Paced"; readonly connections: number; readonly rate: number; readonly shape: Shape }
  | { readonly _tag: "Fairness"; readonly connections: number; readonly inFlight: number; readonly shape: Shape }
  | {
      readonly _tag: "Memory"
      readonly connections: number
      readonly compressed: boolean
      readonly heartbeat: boolean
    }
  /** `publishers` connections publish to one process, and a member of the topic is connected to another one, over Redis. */
  | { readonly _tag: "Relay"; readonly publishers: number; readonly shape: Shape }
  /** A member that was away recovers this many publications from Redis. */
  | { readonly _tag: "Recovery"; readonly missed: number; readonly shape: Shape }
  /** Connections that are members of `before` topics join `more` topics. */
  | { readonly _tag: "Membership"; readonly connections: number; readonly before: number; readonly more: number }

export interface Case {
  readonly name: string
  readonly title: string
  readonly work: Work
  /** Whether latency is measured, too: at half of the rate that the baseline can do. */
  readonly halfLoad?: true
  /** Measured only if this suite or the case is asked for. */
  readonly suite?: Suite
  /** Measured on the first of the chosen versions of Node only. */
  readonly detail?: true
  /** The highest number of rounds, for cases that take long or vary little. */
  readonly rounds?: number
  /**
   * The number of processes of each subject that share the rounds. More than one is needed if V8's collector settles
   * differently in each process, and keeps to it.
   */
  readonly processes?: number
  /** Measures only these subjects and ways to read. Used if all subjects would take too long. */
  readonly only?: ReadonlyArray<string>
  /** Points of one curve. */
  readonly sweep?: { readonly name: string; readonly x: number; readonly unit: string }
}

const text = (bytes: number): Shape => ({ kind: "text", bytes, fragments: 1, compressed: false })
const binary = (bytes: number, fragments = 1): Shape => ({ kind: "binary", bytes, fragments, compressed: false })
const json = (bytes: number): Shape => ({ kind: "json", bytes, fragments: 1, compressed: true })
const record = (bytes: number): Shape => ({ kind: "record", bytes, fragments: 1, compressed: false })
const echo = (shape: Shape, connections: number, inFlight: number): Work => ({
  _tag: "Echo",
  shape,
  connections,
  inFlight
})

const kibibyte = 1024
const mebibyte = 1024 * 1024

const few = 5
const several = 2

const main: ReadonlyArray<Case> = [
  { name: "a", title: "125 B text, 64 connections, 1 in flight", work: echo(text(125), 64, 1), halfLoad: true },
  { name: "b", title: "125 B text, 64 connections, 16 in flight", work: echo(text(125), 64, 16), halfLoad: true },
  {
    name: "c",
    title: "16 KiB binary, 8 connections, 4 in flight",
    work: echo(binary(16 * kibibyte), 8, 4),
    halfLoad: true,
    processes: several
  },
  {
    name: "d",
    title: "1 MiB binary, 2 connections, 1 in flight",
    work: echo(binary(mebibyte), 2, 1),
    processes: several
  },
  {
    name: "e",
    title: "permessage-deflate, 1 KiB JSON, 32 connections, 1 in flight",
    work: echo(json(kibibyte), 32, 1)
  },
  {
    name: "f",
    title: "open, exchange one message, close; 16 at a time",
    work: { _tag: "Churn", connections: 16, shape: text(125) }
  },
  {
    name: "g",
    title: "broadcast of 125 B to 1,000 connections",
    work: { _tag: "Broadcast", connections: 1000, shape: text(125) }
  },
  { name: "h", title: "client that receives 125 B text", work: { _tag: "Client", shape: text(125) } },
  {
    name: "memory",
    title: "an idle connection",
    work: { _tag: "Memory", connections: 5000, compressed: false, heartbeat: false },
    rounds: 2
  }
]

const details: ReadonlyArray<Case> = [
  ...[1, 16].map((inFlight): Case => ({
    name: inFlight === 1 ? "json" : `json-${inFlight}`,
    title: `JSON objects of 125 B that are parsed, 64 connections, ${inFlight} in flight`,
    work: echo(record(125), 64, inFlight),
    only: ["run", "typed", "typed, compiled"]
  })),
  {
    name: "fairness",
    title: "a quiet connection beside sixteen with 64 messages of 125 B in flight each",
    work: { _tag: "Fairness", connections: 17, inFlight: 64, shape: text(125) },
    only: ["run", "messages", "ws", "Effect 4 sockets", "raw net", "Bun"],
    rounds: few
  },
  ...[
    { compressed: false, heartbeat: true },
    { compressed: true, heartbeat: false },
    { compressed: true, heartbeat: true }
  ].map(({ compressed, heartbeat }): Case => ({
    name: `memory${compressed ? "-compression" : ""}${heartbeat ? "-heartbeat" : ""}`,
    title: `an idle connection${compressed ? ", compression agreed" : ""}${heartbeat ? ", heartbeat" : ""}`,
    work: { _tag: "Memory", connections: 5000, compressed, heartbeat },
    rounds: 1,
    // `ws` has no heartbeat of its own.
    only: heartbeat ? ["run", "messages"] : ["run", "messages", "ws"]
  }))
]

/** Cases a to e from the other side: the client echoes. */
const clients = main.flatMap(({ name, title, work }): ReadonlyArray<Case> =>
  work._tag === "Echo"
    ? [
        {
          name: `client-${name}`,
          title: `client, ${title}`,
          work: { ...work, _tag: "ClientEcho" },
          only: ["run", "messages", "ws", "undici", "Bun"],
          rounds: few
        }
      ]
    : []
)

const swept = ["run", "ws", "raw net"]

/** Points of one curve. */
const sweep = (
  name: string,
  unit: string,
  values: ReadonlyArray<number>,
  title: (x: number) => string,
  workOf: (x: number) => Work,
  only: ReadonlyArray<string> = swept
): ReadonlyArray<Case> =>
  values.map((x) => ({
    name,
    title: title(x),
    work: workOf(x),
    only,
    rounds: few,
    sweep: { name, x, unit }
  }))

const sweeps = [
  ...sweep(
    "sizes",
    "bytes per message",
    [16, kibibyte, 16 * kibibyte, 128 * kibibyte, mebibyte, 16 * mebibyte],
    (bytes) => `binary of ${bytes} B, 4 connections, 1 in flight`,
    (bytes) => echo(binary(bytes), 4, 1)
  ),
  ...sweep(
    "connections",
    "connections",
    [100, 1000, 10_000],
    (connections) => `125 B text on ${connections} connections, together 10,000 messages per second`,
    (connections) => ({ _tag: "Paced", shape: text(125), connections, rate: 10_000 })
  ),
  ...sweep(
    "fragments",
    "fragments per message",
    [1, 8, 64, 1024],
    (count) => `64 KiB binary in ${count} fragments, 4 connections, 1 in flight`,
    (count) => echo(binary(64 * kibibyte, count), 4, 1)
  ),
  ...sweep(
    "members",
    "members of a broadcast",
    [10, 100, 1000, 10_000],
    (connections) => `broadcast of 125 B to ${connections} connections`,
    (connections) => ({ _tag: "Broadcast", shape: text(125), connections })
  ),
  ...sweep(
    "chunks",
    "bytes per chunk",
    [16, 256, 4 * kibibyte],
    (bytes) => `64 KiB binary written in chunks of ${bytes} B, 2 connections, 1 in flight`,
    (chunkBytes) => ({ _tag: "Echo", shape: binary(64 * kibibyte), connections: 2, inFlight: 1, chunkBytes })
  )
]

const members = ["topics", "ws", "Bun", "Socket.IO"]
const overRedis = ["topics", "Socket.IO"]
const publishing = ["topics", "run", "ws", "Bun", "Socket.IO", "raw net"]

/** `pnpm bench topics`. */
const topics: ReadonlyArray<Case> = [
  ...[1000, 10_000].map((connections): Case => ({
    name: "topics-publish",
    title: `125 B published to a topic with ${connections.toLocaleString("en")} members`,
    work: { _tag: "Publish", connections, topics: 1, shape: text(125) },
    only: publishing
  })),
  ...sweep(
    "topics-members",
    "members of the topic",
    [10, 100, 1000, 10_000],
    (connections) => `125 B published to a topic with ${connections} members`,
    (connections) => ({ _tag: "Publish", connections, topics: 1, shape: text(125) }),
    members
  ),
  ...sweep(
    "topics-count",
    "topics",
    [1, 10, 100, 1000, 10_000],
    (topics) => `125 B published to each of ${topics} topics, which have 10,000 members together`,
    (topics) => ({ _tag: "Publish", connections: 10_000, topics, shape: text(125) }),
    members
  ),
  ...[
    { name: "topics-first", title: "the first membership of a connection", before: 0, more: 1 },
    { name: "topics-memory", title: "a further membership of a connection with two", before: 2, more: 10 }
  ].map(({ before, more, name, title }): Case => ({
    name,
    title,
    work: { _tag: "Membership", connections: 2000, before, more },
    rounds: 2,
    only: members
  })),
  {
    name: "topics-redis",
    title: "125 B published on one process, received on another one, over Redis, 64 in flight",
    work: { _tag: "Relay", publishers: 64, shape: text(125) },
    only: overRedis
  },
  {
    name: "topics-recovery",
    title: "a client recovers 10,000 publications of 125 B from Redis",
    work: { _tag: "Recovery", missed: 10_000, shape: text(125) },
    rounds: few,
    only: overRedis
  }
]

export const cases: ReadonlyArray<Case> = [
  ...main,
  ...[...sweeps, ...details, ...clients].map((one): Case => ({ ...one, detail: true })),
  ...topics.map((one): Case => ({ ...one, suite: "topics", detail: true }))
]
