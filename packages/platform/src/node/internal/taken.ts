import type { Duplex } from "node:stream"

/** The property of a stream that holds the transport that took the stream over. */
export const transport: unique symbol = Symbol("transport")

/** Whether a transport has taken over a stream. */
export const isTaken = (duplex: Duplex): boolean => transport in duplex
