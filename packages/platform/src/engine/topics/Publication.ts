import type { Message } from "@effect-websocket/protocol/Message"

/** A position in a topic. Within an epoch the offsets of publications are consecutive and begin at 1. */
export interface Position {
  /** Names one life of the topic. A topic that is made again has another epoch. */
  readonly epoch: string
  /** The offset of the last publication before this position. 0 before the first one. */
  readonly offset: number
}

/** A message that was published to a topic. */
export interface Publication {
  readonly _tag: "Publication"
  /** The position behind the publication, which has the offset of the publication itself. */
  readonly position: Position
  readonly message: Message
  /** The connection that does not get it, as the hub that published it names that connection. */
  readonly publisher: string | undefined
}

/** Part of the history of a topic. */
export interface HistoryPage {
  /** Whether nothing is missing between the position that was asked for and `publications`. */
  readonly isComplete: boolean
  /** Consecutive publications, oldest first. Empty if something is missing. */
  readonly publications: ReadonlyArray<Publication>
  /** The position behind the newest publication of the topic. */
  readonly newest: Position
}

/** The broker may have missed publications of a topic, for example because its link broke. */
export interface Interrupted {
  readonly _tag: "Interrupted"
}

export const interrupted: Interrupted = { _tag: "Interrupted" }

export type Listener = (event: Publication | Interrupted) => void

export const isSame = (one: Position, other: Position): boolean =>
  one.offset === other.offset && one.epoch === other.epoch
