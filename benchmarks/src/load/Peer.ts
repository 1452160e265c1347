/** The other end of a measured connection. */
export interface Peer {
  /** Called with the number of messages that a chunk completed. */
  onMessages: (count: number) => void
  readonly closed: Promise<void>
  readonly write: (bytes: Uint8Array, written?: () => void) => void
  /** Ends it at once. */
  readonly end: () => void
}
