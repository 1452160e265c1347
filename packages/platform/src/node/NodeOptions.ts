/**
 * The options of clients and servers over Node, besides those of every client and server. See `Options` for those, and for what
 * all options have in common.
 *
 * @since 0.1.0
 */
import type { Delivery } from "@effect-websocket/protocol/Connection"
import type * as Extension from "@effect-websocket/protocol/Extension"
import type * as Redacted from "effect/Redacted"
import type * as Https from "node:https"
import type { Duplex } from "node:stream"
import type * as Tls from "node:tls"
import type * as Options from "../Options.js"
import type { Zlib } from "../Zlib.js"

/**
 * How a client speaks TLS: the options of Node's `tls.connect`, except those for the route and those that switch off
 * verification. Secrets may be `Redacted`.
 *
 * - `ca`: private certificate authorities, in place of those that Node knows.
 * - `cert`: the client's own certificate, for servers that ask for one; with `key`, or as `pfx`.
 * - `servername`: the name that is asked for and verified. Default: the host of the URL.
 *
 * @since 0.1.0
 * @category models
 */
export interface TlsOptions extends Omit<
  Tls.ConnectionOptions,
  | "host"
  | "port"
  | "path"
  | "socket"
  | "lookup"
  | "timeout"
  | "allowHalfOpen"
  | "rejectUnauthorized"
  | "requestCert"
  | "checkServerIdentity"
  | "ALPNProtocols"
  | "ALPNCallback"
  | "SNICallback"
  | "isServer"
  | "server"
  | "key"
  | "passphrase"
  | "pfx"
> {
  /** The key of the client's own certificate. Default: none. */
  readonly key?: Tls.SecureContextOptions["key"] | Redacted.Redacted<string | Buffer>
  /** The passphrase of an encrypted `key` or `pfx`. Default: none. */
  readonly passphrase?: string | Redacted.Redacted<string> | undefined
  /** The client's own certificate with its key, in place of `cert` and `key`. Default: none. */
  readonly pfx?: Tls.SecureContextOptions["pfx"] | Redacted.Redacted<string | Buffer>
  /**
   * Accepts every certificate, so that anyone between the two ends can read and change all data. Default: `false`.
   */
  readonly dangerouslySkipCertificateVerification?: boolean | undefined
}

/**
 * The implementation of compression, for clients and servers.
 *
 * @since 0.1.0
 * @category models
 */
export interface ZlibOptions {
  /**
   * The implementation of DEFLATE that `compression` uses. Default: `NodeZlib.zlib`. With `NodeZlib.fromMinizlib`, frequent
   * messages of a few KiB are deflated in half of the time.
   */
  readonly zlib?: Zlib | undefined
}

/**
 * The options of a client, which hold for all of its connections. At most one of `socketPath`, `createConnection` and `proxy` is
 * given.
 *
 * @since 0.1.0
 * @category models
 */
export interface ClientOptions extends Options.ClientOptions, ZlibOptions {
  /**
   * The URL that the URLs of `connect` are relative to. A user name and password in it are sent to its origin only.
   * Default: none, so that URLs are absolute.
   */
  readonly baseUrl?: string | URL | Redacted.Redacted<string> | undefined
  /**
   * How the client speaks TLS for `wss:` URLs; see `TlsOptions`. Default: as Node does. The server's certificate and
   * name are verified, whatever the route to it.
   */
  readonly tls?: TlsOptions | undefined
  /** The local address that TCP connections come from, as in Node's `net.connect`. Default: the system chooses. */
  readonly localAddress?: string | undefined
  /** The version of IP, as in Node's `net.connect`: 4 or 6. Default: both. */
  readonly family?: 4 | 6 | undefined
  /** Whether several addresses are tried, as in Node's `net.connect`. Default: as Node does. */
  readonly autoSelectFamily?: boolean | undefined
  /**
   * The path of a Unix domain socket, through which all connections go. The URL names the host as usual. Default: none. The URL
   * `ws+unix:///path/to.sock:/request/path` does it for one connection.
   */
  readonly socketPath?: string | undefined
  /** Makes the stream of bytes below TLS, for any other route. Default: none. */
  readonly createConnection?: ((url: URL) => Duplex) | undefined
  /**
   * The URL of a proxy (`http:`, `https:`, `socks4:` or `socks5:`), or `"environment"`. A user name and password are
   * part of the URL. `"environment"` reads `HTTPS_PROXY` (for `wss:`), `HTTP_PROXY` (for `ws:`), `ALL_PROXY` and
   * `NO_PROXY` at each `connect`; a proxy without a scheme is an `http:` one. SOCKS proxies resolve the server's name;
   * version 4 has no password. Default: none.
   */
  readonly proxy?: string | URL | Redacted.Redacted<string> | undefined
  /** How the client speaks TLS with an `https:` proxy itself; see `TlsOptions`. Default: as Node does. */
  readonly proxyTls?: TlsOptions | undefined
  /**
   * Whether the client connects over HTTP/2 (RFC 8441). Connections to the same host and port then share a session, as long as it has
   * room. The session ends with the last of them.
   *
   * - `"prefer"`: for `wss:` URLs, if the server agrees by ALPN and enables WebSockets over HTTP/2; otherwise over HTTP/1.1. A
   *   server that speaks HTTP/2 without WebSockets costs a second connection.
   * - `"require"`: always. Connecting fails with a remote `ProtocolError` if the server cannot do it. `ws:` URLs are for servers that
   *   speak HTTP/2 without TLS and without any negotiation.
   *
   * Default: HTTP/1.1.
   */
  readonly http2?: "prefer" | "require" | undefined
}

/**
 * The options of one connection without a client: all options of a client, and the delivery.
 *
 * @since 0.1.0
 * @category models
 */
export interface ConnectOptions<D extends Delivery = "messages"> extends ClientOptions, Options.DeliveryOptions<D> {}

/**
 * The options of servers on Node that depend on how Node works inside.
 *
 * @since 0.1.0
 * @category models
 */
export interface UnsafeOptions {
  /**
   * Whether accepted TCP and Unix sockets read into one buffer of 64 KiB, which all of them share. Reading then allocates
   * nothing, so that a server that receives much spends less time on garbage collection. Node documents this for outgoing
   * sockets only, as the option `onread`. For accepted sockets it takes private properties of
   * `net.Socket`. If a version of Node does not have exactly these, the option has no effect; if it uses them in another way, it
   * may lose or corrupt bytes, or end the process. So test your app with it on each version of Node that you deploy. It has
   * no effect on TLS. Code that runs the event loop inside of a callback, as native addons can, must not be used together
   * with it. Default: `false`.
   */
  readonly unsafeReadBuffer?: boolean | undefined
}

/**
 * The options of a server on an HTTP server of the app, and of `fromUpgrade`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServerOptions extends Options.ServerOptions, ZlibOptions, UnsafeOptions {}

/**
 * The options of a server that listens by itself, besides those of every server: on a port or on a path.
 *
 * @since 0.1.0
 * @category models
 */
export interface ListenOptions extends ServerOptions {
  /**
   * Certificate and key, for `wss:`, and the other options of Node's `https.createServer`. The text of a key that is
   * `Redacted` is `Redacted.value(key)`. Default: none, so that the server speaks `ws:`. To see a client's certificate,
   * use an `https.Server` of your own: in its `upgrade` listener `socket.getPeerCertificate()` has it, and
   * `fromUpgrade` accepts.
   */
  readonly tls?: Https.ServerOptions | undefined
  /**
   * Whether the server speaks HTTP/2, too: each WebSocket is then a stream of a session (RFC 8441). With `tls`, clients that do not
   * ask for HTTP/2 by ALPN get HTTP/1.1. Without, the server speaks only HTTP/2, and clients must know that. A session has at
   * most 100 streams at once. Without any stream it is pending, like a socket of HTTP/1.1 without a request, and is dropped
   * after `handshakeTimeout`. Default: `false`.
   */
  readonly http2?: boolean | undefined
}

/**
 * The options of a server that listens on a port.
 *
 * @since 0.1.0
 * @category models
 */
export interface PortOptions extends ListenOptions {
  /** The port; 0 for one that the system chooses, which `WebSocketServer.address` returns. Required. */
  readonly port: number
  /** The address to listen on. Default: all addresses, as Node does. */
  readonly host?: string | undefined
  /** Only without a port; see `SocketPathOptions`. */
  readonly socketPath?: undefined
}

/**
 * The options of a server that listens on a Unix domain socket, as one behind a proxy on the same machine does.
 *
 * @since 0.1.0
 * @category models
 */
export interface SocketPathOptions extends ListenOptions {
  /**
   * The path of the socket, at most 107 bytes on Linux and 103 elsewhere; on Windows the name of a pipe. Required. The server makes
   * the file, with the permissions that the umask of the process leaves, and removes it when it stops listening. If the file is
   * there already, listening fails with `IoError` (`Listen`), also if the process that made it has died: remove a stale file
   * first.
   */
  readonly socketPath: string
  /** Only without a path; see `PortOptions`. */
  readonly port?: undefined
  /** Only without a path; see `PortOptions`. */
  readonly host?: undefined
}

/**
 * The options of a connection whose opening handshake the app has read itself, besides those of every connection.
 *
 * @since 0.1.0
 * @category models
 */
export interface DuplexOptions<D extends Delivery = "messages">
  extends Options.ConnectionOptions, Options.DeliveryOptions<D>, ZlibOptions, UnsafeOptions {
  /** The `Sec-WebSocket-Key` of the client. Required. */
  readonly key: string
  /** The bytes that came behind the request. Default: none. */
  readonly head?: Uint8Array | undefined
  /** The subprotocol that the app has chosen of those the client offers. Default: none. */
  readonly protocol?: string | undefined
  /**
   * The extensions that the client offers, which `compression` needs: the value of `Sec-WebSocket-Extensions`, the values of
   * several such lines, or the extensions parsed. Default: none.
   */
  readonly extensions?: string | ReadonlyArray<string> | ReadonlyArray<Extension.Extension> | undefined
  /** The target of the request, as the `url` of the connection. Default: empty. */
  readonly url?: string | undefined
}

/**
 * The part of the package `minizlib` that `NodeZlib.fromMinizlib` uses.
 *
 * @since 0.1.0
 * @category models
 */
export interface Minizlib {
  readonly DeflateRaw: new (options: {
    readonly windowBits: number
    readonly level: number
    readonly memLevel: number
    readonly flush: number
    readonly chunkSize: number
    readonly dictionary?: Uint8Array
  }) => MinizlibStream
}

/**
 * A compressor of the package `minizlib`.
 *
 * @since 0.1.0
 * @category models
 */
export interface MinizlibStream {
  write(data: Uint8Array): unknown
  read(): Uint8Array | null
  on(event: "error", listener: (error: unknown) => void): unknown
  close(): void
}

/**
 * The options of `NodeZlib.fromMinizlib`.
 *
 * @since 0.1.0
 * @category models
 */
export interface MinizlibOptions {
  /**
   * The memory of all compressors that are kept, in bytes. With the default settings of compression, one takes 116 KiB; with a
   * window of 15 bits and `memLevel` 8, 340 KiB. A connection that finds no room makes one-shot calls. Default: 32 MiB.
   */
  readonly maxBytes?: number | undefined
}
