import type { Duplex } from "node:stream"

/** Where a stream has the transport that took it over. */
export const transport: unique symbol = Symbol("transport")

/** Whether a transport has taken a stream over. */
export const isTaken = (duplex: Duplex): boolean => transport in duplex
