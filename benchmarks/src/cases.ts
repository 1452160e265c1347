/** The measured cases. */
import type { Shape } from "./load/frames.js"

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
  | { readonly _tag: "Churn"; readonly connections: number; readonly shape: Shape }
  | { readonly _tag: "Client"; readonly shape: Shape }
  /** Runs at half of the baseline's rate in case a. */
  | { readonly _tag: "Latency"; readonly connections: number; readonly shape: Shape }
  | { readonly _tag: "Fairness"; readonly connections: number; readonly inFlight: number; readonly shape: Shape }
  | {
      readonly _tag: "Memory"
      readonly connections: number
      readonly compressed: boolean
      readonly heartbeat: boolean
    }

export interface Case {
  readonly name: string
  readonly title: string
  readonly work: Work
  /** The highest allowed ratio to the baseline, for each of this library's ways to read, on both versions of Effect. */
  readonly targets?: Readonly<Record<string, number>>
  /** The highest allowed ratio to `run` on the same version of Effect. */
  readonly runTargets?: Readonly<Record<string, number>>
  /** The highest allowed ratio to the floor. */
  readonly floorTargets?: Readonly<Record<string, number>>
  /** The lowest allowed ratio of the cost of `@effect/platform` to the cost of this library. */
  readonly platformTargets?: Readonly<Record<string, number>>
  /** The highest number of rounds, for cases that take long or vary little. */
  readonly rounds?: number
  /** Measures only these subjects. Used for sweeps, in which all subjects would take too long. */
  readonly only?: ReadonlyArray<string>
  /** Points of one curve. */
  readonly sweep?: { readonly name: string; readonly x: number; readonly unit: string }
}

const text = (bytes: number): Shape => ({ kind: "text", bytes, fragments: 1, compressed: false })
const binary = (bytes: number, fragments = 1): Shape => ({ kind: "binary", bytes, fragments, compressed: false })
const json = (bytes: number): Shape => ({ kind: "json", bytes, fragments: 1, compressed: true })
const echo = (shape: Shape, connections: number, inFlight: number): Work => ({
  _tag: "Echo",
  shape,
  connections,
  inFlight
})

const kibibyte = 1024
const mebibyte = 1024 * 1024

const few = 3
// The factors for the same app on the sockets of `@effect/platform`.
const platformTargets = { run: 2.5 }

const main: ReadonlyArray<Case> = [
  {
    name: "a",
    title: "125 B text, 64 connections, 1 in flight",
    work: echo(text(125), 64, 1),
    targets: { run: 1, receiveAll: 1.2, "messages on Effect 3": 2.6 },
    runTargets: { messages: 1.2 },
    platformTargets
  },
  {
    name: "b",
    title: "125 B text, 64 connections, 16 in flight",
    work: echo(text(125), 64, 16),
    targets: { run: 0.11, receiveAll: 0.15, messages: 0.32 },
    floorTargets: { run: 1.8 },
    platformTargets: { run: 15 }
  },
  {
    name: "c",
    title: "16 KiB binary, 8 connections, 4 in flight",
    work: echo(binary(16 * kibibyte), 8, 4),
    targets: { run: 0.32, receiveAll: 0.36, messages: 0.48 },
    platformTargets
  },
  {
    name: "d",
    title: "1 MiB binary, 2 connections, 1 in flight",
    work: echo(binary(mebibyte), 2, 1),
    targets: { run: 0.45, receiveAll: 0.48, messages: 0.65 },
    platformTargets
  },
  {
    name: "e",
    title: "permessage-deflate, 1 KiB JSON, 32 connections, 1 in flight",
    work: echo(json(kibibyte), 32, 1),
    targets: { run: 0.55, receiveAll: 0.6, messages: 0.75 },
    platformTargets
  },
  {
    name: "f",
    title: "open, exchange one message, close; 16 at a time",
    work: { _tag: "Churn", connections: 16, shape: text(125) },
    platformTargets
  },
  {
    name: "g",
    title: "broadcast of 125 B to 1,000 connections",
    work: { _tag: "Broadcast", connections: 1000, shape: text(125) },
    targets: { run: 0.82 },
    platformTargets
  },
  {
    name: "h",
    title: "client that receives 125 B text",
    work: { _tag: "Client", shape: text(125) },
    targets: { run: 0.6, receiveAll: 0.75, messages: 1.5 },
    platformTargets
  },
  {
    name: "latency",
    title: "125 B text, 64 connections, at half of the rate that ws can do",
    work: { _tag: "Latency", connections: 64, shape: text(125) }
  },
  {
    name: "fairness",
    title: "a quiet connection beside sixteen with 64 messages of 125 B in flight each",
    work: { _tag: "Fairness", connections: 17, inFlight: 64, shape: text(125) }
  },
  ...[false, true].flatMap((compressed) =>
    [false, true].map((heartbeat): Case => ({
      name: `memory${compressed ? "-compression" : ""}${heartbeat ? "-heartbeat" : ""}`,
      title: `an idle connection${compressed ? ", compression agreed" : ""}${heartbeat ? ", heartbeat" : ""}`,
      work: { _tag: "Memory", connections: 5000, compressed, heartbeat },
      rounds: 2,
      // Only subjects with a built-in heartbeat have this case.
      ...(heartbeat ? { only: ["run", "receive", "messages"] } : {}),
      ...(compressed || heartbeat
        ? {}
        : { targets: { run: 1.5, receive: 2.2, messages: 1.6, "messages on Effect 3": 2.4 } })
    }))
  )
]

/** Cases a to e from the other side: the client echoes. */
const clients = main.flatMap(({ name, title, work }): ReadonlyArray<Case> =>
  work._tag === "Echo"
    ? [{ name: `client-${name}`, title: `client, ${title}`, work: { ...work, _tag: "ClientEcho" }, rounds: few }]
    : []
)

const swept = ["run", "ws", "raw net"]

/** Points of one curve. */
const sweep = (
  name: string,
  unit: string,
  values: ReadonlyArray<number>,
  title: (x: number) => string,
  workOf: (x: number) => Work
): ReadonlyArray<Case> =>
  values.map((x) => ({
    name,
    title: title(x),
    work: workOf(x),
    only: swept,
    rounds: few,
    sweep: { name, x, unit }
  }))

const sweeps = [
  ...sweep(
    "sizes",
    "bytes per message",
    [16, 128, kibibyte, 8 * kibibyte, 64 * kibibyte, 512 * kibibyte, 4 * mebibyte, 16 * mebibyte],
    (bytes) => `binary of ${bytes} B, 4 connections, 1 in flight`,
    (bytes) => echo(binary(bytes), 4, 1)
  ),
  ...sweep(
    "connections",
    "connections",
    [1, 10, 100, 1000, 10_000],
    (count) => `125 B text, ${count} connections, 1 in flight`,
    (count) => echo(text(125), count, 1)
  ),
  ...sweep(
    "fragments",
    "fragments per message",
    [1, 4, 16, 64, 256, 1024],
    (count) => `64 KiB binary in ${count} fragments, 4 connections, 1 in flight`,
    (count) => echo(binary(64 * kibibyte, count), 4, 1)
  ),
  ...sweep(
    "chunks",
    "bytes per chunk",
    [1, 16, 256, 4 * kibibyte, 64 * kibibyte],
    (bytes) => `64 KiB binary written in chunks of ${bytes} B, 2 connections, 1 in flight`,
    (chunkBytes) => ({ _tag: "Echo", shape: binary(64 * kibibyte), connections: 2, inFlight: 1, chunkBytes })
  )
]

export const cases: ReadonlyArray<Case> = [...main, ...clients, ...sweeps]
