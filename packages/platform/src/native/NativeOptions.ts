/** The options of clients over the WebSocket of a platform: what it can do, of those of every client. */
import type { Limits } from "@effect-websocket/protocol/Connection"
import type * as Redacted from "effect/Redacted"
import type { ClientOptions, RequestOptions } from "../Options.js"

/** The options of one connection. */
export interface ConnectOptions extends Pick<
  ClientOptions,
  "protocols" | "openTimeout" | "closeTimeout" | "maxSendBytes" | "idleTimeout" | "maxLifetime"
> {
  /** The largest message that may arrive, in bytes. Default: 1 MiB. A larger one ends the connection with `PayloadTooLarge`. */
  readonly limits?: Partial<Pick<Limits, "maxMessageBytes">> | undefined
  /**
   * The most bytes of messages that may wait to be read. A message counts its payload (a text its number of UTF-16 units)
   * and 64 bytes more. Default: 16 MiB. The platform cannot be told to stop reading. So beyond it the connection ends with
   * `PayloadTooLarge` of the limit `"unread"`; the messages that wait can still be read.
   */
  readonly maxUnreadBytes?: number | undefined
}

/** The options for a platform that tells how many bytes wait to be sent. */
export interface SendOptions extends Pick<
  ClientOptions,
  "sendHighWaterMark" | "sendLowWaterMark" | "sendStrategy" | "writeTimeout"
> {}

/** The options for a platform that sends headers of the app. */
export interface HeaderOptions extends Pick<RequestOptions, "headers" | "auth" | "userAgent"> {}

/** The options of a client besides those of its connections. */
export interface BaseOptions {
  /**
   * The URL that the URL of `connect` is relative to. Default: none, so `connect` needs an absolute URL. A path that
   * begins with a slash replaces its path.
   */
  readonly baseUrl?: string | URL | Redacted.Redacted<string> | undefined
}

/** All options that any platform has. */
export interface ClientMakeOptions extends ConnectOptions, SendOptions, HeaderOptions, BaseOptions {}
