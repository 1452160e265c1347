/** What the run and its programs tell each other. */
import type { TopicBroker, Topics } from "@effect-websocket/platform"

type Position = TopicBroker.Position

/** What a program is to do. `id` names it in the answers. */
export type Command =
  | { readonly do: "subscribe"; readonly id: string; readonly topic: string; readonly begin: Begin }
  | { readonly do: "track"; readonly id: string; readonly topic: string; readonly key: string; readonly meta: string }
  | { readonly do: "watch"; readonly id: string; readonly topic: string }
  | { readonly do: "end"; readonly id: string }
  | {
      readonly do: "publish"
      readonly id: string
      readonly topic: string
      readonly text: string
      readonly key: string
      readonly echo: boolean
    }
  | { readonly do: "list"; readonly id: string; readonly topic: string }
  | { readonly do: "history"; readonly id: string; readonly topic: string }
  /** Only a node can do that. */
  | { readonly do: "remove"; readonly id: string; readonly topic: string }

/** Where a subscription begins: behind a position, or with so many of the newest publications. */
export interface Begin {
  readonly since?: Position | undefined
  readonly last?: number | undefined
}

/** An element of a topic. */
export interface Element {
  readonly tag: Topics.TopicEvent["_tag"]
  readonly position: Position
  readonly text?: string | undefined
}

/** Members by their keys, each with its metas. */
export type Members = Readonly<Record<string, ReadonlyArray<string>>>

export type Told =
  | { readonly tell: "ready"; readonly port: number | undefined }
  /** A subscription begins, or begins again after a failure. */
  | { readonly tell: "begins"; readonly id: string; readonly begin: Begin }
  | { readonly tell: "element"; readonly id: string; readonly element: Element }
  | { readonly tell: "published"; readonly id: string; readonly position: Position }
  | { readonly tell: "failed"; readonly id: string; readonly reason: string }
  | { readonly tell: "members"; readonly id: string; readonly members: Members }
  | {
      readonly tell: "history"
      readonly id: string
      readonly newest: Position
      readonly texts: ReadonlyArray<string>
    }
  | { readonly tell: "removed"; readonly id: string }
  /** The process has ended by itself. */
  | { readonly tell: "crashed"; readonly output: string }

/** What a program is started with, as JSON in its first argument. */
export interface Settings {
  readonly broker: "memory" | "redis" | "nats"
  /** The broker for a node, the server for a client. */
  readonly port: number
}
