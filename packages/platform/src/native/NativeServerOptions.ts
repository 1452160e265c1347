/** The options of servers over the WebSocket of a host: what it can do, of those of every server. */
import type { Limits } from "@effect-websocket/protocol/Connection"
import type * as Options from "../Options.js"

/** The options that all hosts can follow. */
export interface ServerOptions extends Pick<
  Options.ServerOptions,
  | "maxSendBytes"
  | "closeTimeout"
  | "idleTimeout"
  | "maxLifetime"
  | "origin"
  | "protocols"
  | "handshakeTimeout"
  | "firstMessageTimeout"
  | "firstMessageCloseCode"
  | "admission"
  | "proxies"
  | "drain"
  | "retryAfter"
> {
  /** The largest message that may arrive, in bytes. Default: 1 MiB. A larger one ends the connection with `PayloadTooLarge`. */
  readonly limits?: Partial<Pick<Limits, "maxMessageBytes">> | undefined
}

/** The options for a host that tells how many bytes wait to be sent. */
export interface SendOptions extends Pick<
  Options.ServerOptions,
  "sendHighWaterMark" | "sendLowWaterMark" | "sendStrategy" | "writeTimeout"
> {}

/** The options for a host that cannot stop reading. */
export interface UnreadOptions {
  /**
   * The most bytes of messages that may wait to be read. A message counts its payload (a text its number of UTF-16 units)
   * and 64 bytes more. Default: 16 MiB. The host cannot be told to stop reading. So beyond it the connection ends with
   * `PayloadTooLarge` of the limit `"unread"`; the messages that wait can still be read.
   */
  readonly maxUnreadBytes?: number | undefined
}

/** The options for a host that can stop reading. */
export interface PauseOptions extends Pick<Options.ServerOptions, "receiveHighWaterMark" | "budget"> {}

/** The options for a host that sends pings for the library. */
export interface HeartbeatOptions extends Pick<Options.ServerOptions, "heartbeatInterval" | "heartbeatTimeout"> {}

/** All options that any host has. */
export interface ServerMakeOptions extends ServerOptions, SendOptions, UnreadOptions, PauseOptions, HeartbeatOptions {}
