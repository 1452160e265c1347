import type { Budget } from "./Budget.js"
import type { FinalStatus } from "./FinalStatus.js"

/** What a connection counts, and what it holds. */
export interface ConnectionCounts {
  readonly receivedMessages: number
  readonly receivedBytes: number
  readonly sentMessages: number
  readonly sentBytes: number
  readonly unreadBytes: number
  readonly unsentBytes: number
}

/** A connection as its observer sees it. The numbers are read when they are needed, so that they cost nothing until then. */
export interface ObservedConnection extends ConnectionCounts {
  /** Whether its transport is not read at present. */
  readonly paused: boolean
  readonly settings: { readonly budget: Budget | undefined }
  /** How it ended, once it is closed. */
  readonly status: FinalStatus
}

/** Why the transport of a connection is not read: too many unread bytes, the budget, or the rate of the peer. */
export type PauseReason = "inbox" | "budget" | "rate"

/** Is told what happens to connections. None of its methods throws. Without an observer, a connection does nothing for it. */
export interface ConnectionObserver {
  opened(connection: ObservedConnection): void
  closed(connection: ObservedConnection): void
  paused(reason: PauseReason): void
  /** A ping was answered after so many milliseconds. */
  answered(millis: number): void
}
