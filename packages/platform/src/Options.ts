/**
 * The options of connections, clients and servers. The docstring of an option says what it does, its unit, its default,
 * and what happens beyond it.
 *
 * Sizes are in bytes, and durations are `Duration` inputs: `"5 seconds"`, or a number of milliseconds. An option that is
 * `undefined` is not given. Options that make no sense are a defect; if they come from `Config`, a `ConfigError` names the
 * option. The modules that take the options have them under shorter names, such as `WebSocketClient.Options`.
 *
 * @since 0.1.0
 */
import type { Name as CloseCodeName } from "@effect-websocket/protocol/CloseCode"
import type { Delivery, Limits } from "@effect-websocket/protocol/Connection"
import type { HeaderRecord } from "@effect-websocket/protocol/Errors"
import type { RandomSource } from "@effect-websocket/protocol/Mask"
import type * as Origin from "@effect-websocket/protocol/Origin"
import type * as PermessageDeflate from "@effect-websocket/protocol/PermessageDeflate"
import type * as Subprotocol from "@effect-websocket/protocol/Subprotocol"
import type * as Redacted from "effect/Redacted"
import type { ByteBudget } from "./ByteBudget.js"
import type * as Settings from "./engine/Settings.js"
import type { DurationInput } from "./internal/effect.js"
import type { Cookies, UrlParamsInput } from "./internal/http.js"
import type { Zlib } from "./Zlib.js"

/**
 * What `send` does when it would have to wait for a peer that does not read fast enough.
 *
 * - `"suspend"`: it waits until there is room.
 * - `"dropping"`: it succeeds at once and sends nothing.
 * - `"sliding"`: it succeeds at once. The connection keeps the newest messages, up to `sendHighWaterMark`, until there is room.
 * - `"close"`: it closes the connection with 1008, and fails.
 * - `"abort"`: it drops the connection, and fails.
 *
 * @since 0.1.0
 * @category models
 */
export type SendStrategy = Settings.SendStrategy

/**
 * How much a peer may send: at most `messages` messages and `bytes` bytes per `interval`; bursts of that size are
 * allowed. The data of one read counts together. At least one of `messages` and `bytes` is needed.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReceiveRate {
  /** The number of messages that may end per interval, or of frames if the connection delivers frames. Default: any number. */
  readonly messages?: number | undefined
  /** The number of bytes that may arrive from the transport per interval. Default: any number. */
  readonly bytes?: number | undefined
  /** The interval, which is finite. Required. */
  readonly interval: DurationInput
  /**
   * What the connection does if the peer sends more. `"suspend"` stops reading until the rate is met again. `"close"`
   * closes the connection with 1008, which `run` and `messages` treat as a normal end. Default: `"suspend"`.
   */
  readonly strategy?: "suspend" | "close" | undefined
}

/**
 * The options of one connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectionOptions {
  /** How much the peer may make this endpoint hold; see `Connection.Limits`. Default: 1 MiB and 1,024 fragments per message. */
  readonly limits?: Partial<Limits> | undefined
  /**
   * The largest payload of a frame that is sent, in bytes. Default: none. A message that has more, after compression, is sent
   * in fragments of this size.
   */
  readonly maxFrameSize?: number | undefined
  /**
   * The largest message that is sent, in bytes before compression. It limits each part of `sendStream`, and each frame with the
   * delivery `"frames"`. Default: none. A larger message is refused with an outbound `PayloadTooLarge`: nothing of it is
   * compressed, queued or sent, and the connection goes on.
   */
  readonly maxSendBytes?: number | undefined
  /** The number of bytes waiting to be written at which `send` begins to wait. Default: 64 KiB. */
  readonly sendHighWaterMark?: number | undefined
  /**
   * The number of bytes waiting to be written at which `send` continues. It is at most `sendHighWaterMark`. Default:
   * 16 KiB, or `sendHighWaterMark` if that is less.
   */
  readonly sendLowWaterMark?: number | undefined
  /** What `send` does when it would have to wait; see `SendStrategy`. Default: `"suspend"`. */
  readonly sendStrategy?: SendStrategy | undefined
  /**
   * The number of bytes waiting to be read above which the transport is paused. A message counts its payload (a text
   * its number of UTF-16 units) and 64 bytes more. Default: 64 KiB.
   */
  readonly receiveHighWaterMark?: number | undefined
  /**
   * The time limit of the whole closing: sending the Close, receiving the peer's Close, and the end of the transport.
   * Default: 5 seconds. Afterwards the transport is dropped.
   */
  readonly closeTimeout?: DurationInput | undefined
  /**
   * Negotiates permessage-deflate: a client offers it, and a server accepts it. `true` stands for the defaults of
   * `PermessageDeflate.Options`. Default: `false`. Messages are compressed if both sides agree. Anyone who sees the size of a
   * message that holds both a secret and a text of their choice can guess the secret (BREACH): send such messages with
   * `compress: false`.
   */
  readonly compression?: boolean | PermessageDeflate.Options | undefined
  /**
   * The source of mask keys, ping payloads and a client's handshake keys, for tests that need to know them. Default: the
   * runtime's secure source. If the source throws, the default takes its place. Predictable bytes are for tests only:
   * RFC 6455 §10.3 forbids them, because a page could make its client send bytes that a proxy takes for HTTP.
   */
  readonly random?: RandomSource | undefined
  /** The bytes that this and other connections may hold together; see `ByteBudget`. Default: none. */
  readonly budget?: ByteBudget | undefined
  /**
   * The time without a sign of life after which a ping is sent. Any bytes from the peer are a sign of life. The peer
   * also shows one when it takes bytes that wait for it. Default: 25 seconds. An infinite duration switches the
   * heartbeat off.
   */
  readonly heartbeatInterval?: DurationInput | undefined
  /**
   * The time within which the peer must show a sign of life after that ping. It is longer after a slow transfer.
   * Default: 20 seconds. Afterwards the connection fails with `IoError` (`Timeout` of `"heartbeat"`).
   */
  readonly heartbeatTimeout?: DurationInput | undefined
  /**
   * The time without a message in either direction after which the connection is closed with 1001. A message that is being sent
   * counts. Default: none.
   */
  readonly idleTimeout?: DurationInput | undefined
  /**
   * The time for a message to arrive, from its first byte to its last. Default: none. Afterwards the connection fails with 1008
   * and `IoError` (`Timeout` of `"message"`).
   */
  readonly messageTimeout?: DurationInput | undefined
  /**
   * The time within which the peer must read some bytes while more than `sendHighWaterMark` bytes wait for it. A
   * kernel's buffer may hide that the peer reads, so the library adds up to 11.2 seconds. Default: none. Afterwards the
   * transport is dropped, with `IoError` (`Timeout` of `"write"`).
   */
  readonly writeTimeout?: DurationInput | undefined
  /** The age at which the connection is closed with 1001. Default: none. */
  readonly maxLifetime?: DurationInput | undefined
  /** How much the peer may send per interval; see `ReceiveRate`. Default: any amount. */
  readonly receiveRate?: ReceiveRate | undefined
}

/**
 * What a connection delivers. This is decided when the connection is acquired, so that an app cannot mix two kinds. An
 * option of another delivery is a defect.
 *
 * @since 0.1.0
 * @category models
 */
export interface DeliveryOptions<D extends Delivery> {
  /**
   * What the connection delivers: `"messages"`, `"streams"` or `"frames"`. See `StreamingWebSocket` and `FrameWebSocket`.
   * Default: `"messages"`.
   */
  readonly delivery?: D | undefined
  /** With `"frames"`, whether pings are answered. Default: `true`. */
  readonly answerPings?: boolean | undefined
  /**
   * With `"frames"`, whether the peer's Close is answered. Default: `true`. Otherwise the app answers, with a Close of its own or
   * with `close`; the end of its scope does so in any case.
   */
  readonly answerClose?: boolean | undefined
  /**
   * With `"frames"`, the reserved bits of data frames that may be received and sent. The app gives them a meaning. RSV1
   * is 4, RSV2 is 2, RSV3 is 1 (`Frame.rsv1` and so on); add the values of several bits. Default: none. All other bits
   * are violations. A text message with such a bit need not be UTF-8.
   */
  readonly rsv?: number | undefined
  /**
   * With `"frames"`, the reserved opcodes that may be received and sent: 0x3 to 0x7 for data, 0xB to 0xF for control frames.
   * Default: none. All other reserved opcodes are violations.
   */
  readonly opcodes?: ReadonlyArray<number> | undefined
  /**
   * With `"messages"`, whether `Message.frames` tells in which frames a received message came. Default: `false`. The frames are
   * held in addition to the message, for as long as the message is.
   */
  readonly recordFrames?: boolean | undefined
}

/**
 * How one message is sent. Options that make no sense are a defect of the fiber that sends.
 *
 * @since 0.1.0
 * @category models
 */
export interface SendOptions {
  /**
   * Whether the message is compressed, if compression was agreed on. Default: as the `threshold` and the `filter` of
   * `PermessageDeflate.Options` say.
   */
  readonly compress?: boolean | undefined
  /**
   * The largest payload of a frame of this message, in bytes after compression. It replaces that of the connection, whether it is
   * smaller or larger. Default: the `maxFrameSize` of the connection. A message that has more is sent in fragments of this size.
   */
  readonly maxFrameSize?: number | undefined
}

/**
 * How `run` delivers messages.
 *
 * @since 3.0.0
 * @category models
 */
export interface RunOptions {
  /**
   * Whether the bytes of a binary message are valid only until the effect of its handler is done. Their memory is then used for
   * later messages, which makes large messages much cheaper. Views that are kept longer become empty, and sending one is a
   * defect; `Message.keep` makes a copy to keep. `data.buffer` may be larger than the message. Sending the bytes in the handler
   * is safe: what cannot be written at once is not reused. Default: `false`.
   */
  readonly borrowed?: boolean | undefined
}

/**
 * How one message is received.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReceiveOptions {
  /**
   * The largest message that is taken, in bytes (for a text, those of its UTF-8). Required. A larger one closes the
   * connection with 1009.
   */
  readonly maxMessageBytes: number
}

/**
 * The credentials of the client: a user name and a password (RFC 7617), or a token (RFC 6750).
 *
 * @since 0.1.0
 * @category models
 */
export type Credentials =
  | { readonly username: string; readonly password: Redacted.Redacted<string> }
  | { readonly token: Redacted.Redacted<string> }

/**
 * The parts of a client's request. If a value has a character that no header or URL may have, `connect` fails with a
 * local `ProtocolError` before it sends anything.
 *
 * @since 0.1.0
 * @category models
 */
export interface RequestOptions {
  /** The subprotocols to offer, in order of preference. Default: none. */
  readonly protocols?: ReadonlyArray<string> | undefined
  /** Headers of the request. They are sent with those of the handshake, which they cannot replace. Default: none. */
  readonly headers?: HeaderRecord | undefined
  /** The `Origin` header, by which servers recognise web pages. Default: none. */
  readonly origin?: string | undefined
  /** The `User-Agent` header. Default: none. */
  readonly userAgent?: string | undefined
  /**
   * The `Authorization` header. The user name and password in a URL do the same; they appear in no error and no log. Default:
   * none.
   */
  readonly auth?: Credentials | undefined
  /**
   * The `Cookie` header: Effect's `Cookies`, or values by name. The cookies of a `CookieJar` are sent too. A name is a token.
   * Values are percent-encoded, so that all but control characters arrive as they are. Default: none.
   */
  readonly cookies?: Cookies | Readonly<Record<string, string>> | undefined
  /** Parameters that are added to the query of the URL. Default: none. */
  readonly query?: UrlParamsInput | undefined
}

/**
 * The options of a client, which hold for all of its connections, besides those of every connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClientOptions extends ConnectionOptions, RequestOptions {
  /**
   * The time until the connection is open: DNS, TCP, proxies, TLS, the handshake and all redirects. Default: 10 seconds.
   * Afterwards `connect` fails with `IoError` (`Timeout`).
   */
  readonly openTimeout?: DurationInput | undefined
  /**
   * The number of redirects that are followed (RFC 9110 §15.4). Another origin gets no credentials, no cookies and none
   * of `headers`; `wss:` never leads to `ws:`. Default: 0. Beyond this number, `connect` fails with
   * `HandshakeRejected`.
   */
  readonly maxRedirects?: number | undefined
}

/**
 * The options of a client with a `Dial` of the app.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClientMakeOptions extends ClientOptions {
  /**
   * The URL that the URLs of `connect` are relative to. A user name and password in it are sent to its origin only.
   * Default: none, so that URLs are absolute.
   */
  readonly baseUrl?: string | URL | Redacted.Redacted<string> | undefined
  /** The implementation of DEFLATE. Default: none, so that `compression` is not offered. */
  readonly zlib?: Zlib | undefined
  /** The schemes of the URLs that can be dialled. Default: `ws:` and `wss:`. */
  readonly schemes?: ReadonlyArray<string> | undefined
}

/**
 * The options of one `connect`. They take precedence over those of the client. Limits and headers do so one by one.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectOptions<D extends Delivery = "messages"> extends ClientOptions, DeliveryOptions<D> {}

/**
 * A rate: at most `limit` per `interval`; bursts of up to `limit` are allowed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Rate {
  /** The number of handshakes per interval. Required. */
  readonly limit: number
  /** The interval, which is finite. Required. */
  readonly interval: DurationInput
}

/**
 * What a server knows about a client before any check; see `AdmissionOptions`.
 *
 * @since 0.1.0
 * @category models
 */
export interface KeyRequest {
  /** The target of the request: its path and query. */
  readonly url: string
  readonly headers: HeaderRecord
  /** The address of the transport, if it has one. */
  readonly remoteAddress: string | undefined
  /** The same, unless a trusted proxy reports another address; see `Proxies`. */
  readonly clientAddress: string | undefined
}

/**
 * How many connections and handshakes a server admits. Before any check, it answers the others with `Retry-After`: with 503
 * if the server is full, with 429 if one client has too many or handshakes come too fast.
 *
 * @since 0.1.0
 * @category models
 */
export interface AdmissionOptions {
  /** The number of open connections and handshakes together. Default: no limit. */
  readonly maxConnections?: number | undefined
  /**
   * The number of handshakes under way. A server that listens by itself also holds up to as many pending sockets: those
   * without an upgrade request yet, and those whose request was refused. Default: 1,024. Beyond that, it drops the
   * oldest pending socket.
   */
  readonly maxHandshakes?: number | undefined
  /** The number of connections and handshakes of one client. Default: no limit. */
  readonly maxConnectionsPerKey?: number | undefined
  /** The rate of the handshakes of all clients. Default: no limit. */
  readonly handshakeRate?: Rate | undefined
  /** The rate of the handshakes of one client. Default: no limit. */
  readonly handshakeRatePerKey?: Rate | undefined
  /**
   * The key of a client, by which limits per client count. Default: `clientAddress`, or its /64 for IPv6. A client
   * without a key, such as one over a Unix domain socket, has no limit of its own. The server remembers 65,536 keys
   * without connections.
   */
  readonly key?: ((request: KeyRequest) => string | undefined) | undefined
}

/**
 * The proxies in front of a server. The server reads the list of addresses in their header from its end, until an
 * address is not trusted. An entry that is not an address, such as `unknown`, ends the reading. The server then uses
 * the address of the proxy that wrote the entry.
 *
 * Addresses have one spelling: IPv6 in lower case and shortened (RFC 5952), IPv4 as four numbers also if it is mapped into
 * IPv6. A port and brackets are dropped.
 *
 * @since 0.1.0
 * @category models
 */
export interface Proxies {
  /** Whether an address is that of a proxy. Required. */
  readonly trusted: (address: string) => boolean
  /**
   * The header with the list of addresses, to which each proxy appends the address of its client. `"forwarded"` is read as
   * RFC 7239 says. Default: `"x-forwarded-for"`.
   */
  readonly header?: string | undefined
  /**
   * Whether a connection without an address, such as one over a Unix domain socket, is from a trusted proxy. Default: `false`.
   */
  readonly trustUnixSocket?: boolean | undefined
}

/**
 * How a server stops. It closes connections at random times within the window, so that their clients do not all
 * reconnect at once. Handlers continue until they end. At the deadline the server interrupts handlers and drops
 * connections.
 *
 * Options that make no sense are a defect when the server is made, or when `drain` is called with them.
 *
 * @since 0.1.0
 * @category models
 */
export interface DrainOptions {
  /** The code of the Close: 1001, or 1012 for a restart. Default: 1001. */
  readonly code?: 1001 | 1012 | undefined
  /** The reason of the Close, at most 123 bytes of UTF-8. Default: none. */
  readonly reason?: string | undefined
  /**
   * The time within which connections are closed, at most `timeout`. Default: 0 seconds, so that all are closed at once.
   */
  readonly window?: DurationInput | undefined
  /**
   * The deadline of the whole drain. Default: 30 seconds. Then handlers are interrupted and connections dropped.
   */
  readonly timeout?: DurationInput | undefined
}

/**
 * The options of a server, besides those of every connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerOptions extends ConnectionOptions {
  /**
   * The policy that says which web pages may connect. Default: `Origin.sameOrigin()`, which allows pages from the host
   * and port of the request, and requests without an `Origin`. The server answers other pages with 403.
   */
  readonly origin?: Origin.Policy | undefined
  /**
   * The subprotocols that the server speaks, in its order of preference, or a function that selects one of those a client offers.
   * Default: none.
   */
  readonly protocols?: ReadonlyArray<string> | Subprotocol.Selector | undefined
  /**
   * The time within which a request must arrive, and then the time for its check and for an `accept` to take it.
   * Default: 10 seconds. Afterwards the server answers 408 or 503.
   */
  readonly handshakeTimeout?: DurationInput | undefined
  /**
   * The time within which the first message of a connection must arrive, for example if clients log in with it.
   * Default: none. Afterwards the connection is closed with `firstMessageCloseCode`.
   */
  readonly firstMessageTimeout?: DurationInput | undefined
  /**
   * The code with which a connection is closed after `firstMessageTimeout`: a number or a registered name. Default: 1008. Protocols of
   * apps may have a code of their own for this, such as 4408 of GraphQL. A code that may not be sent is a defect.
   */
  readonly firstMessageCloseCode?: number | CloseCodeName | undefined
  /** How many connections and handshakes are admitted; see `AdmissionOptions`. Default: 1,024 handshakes, else no limit. */
  readonly admission?: AdmissionOptions | undefined
  /** The proxies in front of the server; see `Proxies`. Default: none, so that no such header is read. */
  readonly proxies?: Proxies | undefined
  /**
   * How the layers of handlers stop, and the defaults of `drain`; see `DrainOptions`. Default: none. Without this option handlers are
   * interrupted at once, and their connections closed with 1001 within `closeTimeout`.
   */
  readonly drain?: DrainOptions | undefined
  /**
   * The value of `Retry-After` in answers 503 and 429: after this time a client may try again. Default: 5 seconds. If
   * handshakes come too fast, the header has the time until the rate allows the next one.
   */
  readonly retryAfter?: DurationInput | undefined
}

/**
 * The options of a server that gets its requests from an HTTP implementation of the app.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerMakeOptions extends ServerOptions {
  /** The implementation of DEFLATE. Default: none, so that `compression` is not accepted. */
  readonly zlib?: Zlib | undefined
}
