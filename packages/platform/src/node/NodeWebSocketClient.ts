/**
 * `WebSocketClient` over Node's own `http`, `net` and `tls`.
 *
 * @since 0.1.0
 */
import { HandshakeRejected, IoError, type HeaderRecord, type IoErrorReason } from "@effect-websocket/protocol/Errors"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Http from "node:http"
import * as Net from "node:net"
import * as Tls from "node:tls"
import { fromConfig, resolveClient } from "../internal/settings.js"
import * as WebSocketClient from "../WebSocketClient.js"
import { checkTls } from "./internal/tls.js"
import * as NodeTransport from "./NodeTransport.js"
import { zlib } from "./NodeZlib.js"

/**
 * The options of a client, which hold for all of its connections.
 *
 * - `tls`: for `wss:` URLs, such as `ca` for a private certificate authority. Certificates are always verified unless it
 *   says otherwise.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends WebSocketClient.Options {
  readonly tls?: Tls.ConnectionOptions | undefined
}

/**
 * A client with options, which are checked before there is a connection to make.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Context.Tag.Service<WebSocketClient.WebSocketClient>> =>
  Effect.sync(() => {
    resolveClient(options)
    checkTls(options.tls)
    return WebSocketClient.make(dialWith(options), { ...options, zlib })
  })

/**
 * A client with options. See `make`.
 *
 * @example
 * ```ts
 * import { NodeWebSocketClient } from "@effect-websocket/platform/node"
 * import { readFileSync } from "node:fs"
 *
 * const Client = NodeWebSocketClient.layerWith({
 *   openTimeout: "3 seconds",
 *   limits: { maxMessageBytes: 64 * 1024 },
 *   tls: { ca: readFileSync("ca.pem") }
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWith = (options: Options): Layer.Layer<WebSocketClient.WebSocketClient> =>
  Layer.effect(WebSocketClient.WebSocketClient, make(options))

/**
 * A client with options that come from `Config`. What makes no sense in them is a `ConfigError`.
 *
 * @example
 * ```ts
 * import { NodeWebSocketClient } from "@effect-websocket/platform/node"
 * import { Config } from "effect"
 *
 * const Client = NodeWebSocketClient.layerConfig({
 *   openTimeout: Config.duration("OPEN_TIMEOUT").pipe(Config.withDefault("10 seconds")),
 *   limits: { maxMessageBytes: Config.integer("MAX_MESSAGE_BYTES") }
 * })
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layerConfig = (
  config: Config.Config.Wrap<Options>
): Layer.Layer<WebSocketClient.WebSocketClient, ConfigError> =>
  Layer.effect(
    WebSocketClient.WebSocketClient,
    Effect.flatMap(Config.unwrap(config), (options) => fromConfig(make(options)))
  )

/**
 * A client for `ws:` and `wss:` URLs.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<WebSocketClient.WebSocketClient> = layerWith({})

// What of a refusal's body is kept.
const maxBodyBytes = 64 * 1024

const dialWith =
  ({ tls }: Options): WebSocketClient.Dial =>
  (url, headers, done) => {
    const secure = url.protocol === "wss:"
    const defaultPort = secure ? 443 : 80
    const host = url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname
    const port = url.port === "" ? defaultPort : Number(url.port)
    let stage: Stage = "connect"
    const socket = secure
      ? Tls.connect({
          ALPNProtocols: ["http/1.1"],
          // RFC 6066 §3: an address is no server name.
          ...(Net.isIP(host) === 0 ? { servername: host } : {}),
          ...tls,
          host,
          port
        })
      : Net.connect({ host, port })
    socket.setNoDelay(true)
    socket.once("connect", () => {
      stage = secure ? "tls" : "handshake"
    })
    socket.once("secureConnect", () => {
      stage = "handshake"
    })
    const request = Http.request({
      method: "GET",
      path: url.pathname + url.search,
      headers: outgoing({ Host: url.host, ...headers }),
      setHost: false,
      createConnection: () => socket
    })
    const fail = (cause: Error) => {
      finish()
      done({ _tag: "Failed", error: toIoError(stage, cause) })
    }
    const finish = () => {
      request.removeAllListeners()
      // Whatever comes late is of no interest, but must not end the process.
      request.on("error", ignore)
      socket.on("error", ignore)
    }
    request.once("error", fail)
    request.once("upgrade", (response, upgraded, head) => {
      finish()
      done({ _tag: "Upgraded", headers: response.headersDistinct, transport: NodeTransport.make(upgraded, head) })
    })
    request.once("response", (response) => {
      // A 101 without the tokens of an upgrade is an answer like any other to Node; here it breaks the handshake.
      if (response.statusCode === 101) {
        finish()
        done({ _tag: "Upgraded", headers: response.headersDistinct, transport: NodeTransport.make(socket) })
        return
      }
      const parts: Array<Uint8Array> = []
      let size = 0
      const reject = () => {
        response.removeAllListeners()
        response.on("error", ignore)
        finish()
        socket.destroy()
        done({
          _tag: "Failed",
          error: new HandshakeRejected({
            status: response.statusCode ?? 0,
            headers: response.headersDistinct,
            body: Uint8Array.from(Buffer.concat(parts).subarray(0, maxBodyBytes)),
            bodyTruncated: !response.complete || size > maxBodyBytes
          })
        })
      }
      response.on("data", (part: Uint8Array) => {
        parts.push(part)
        size += part.length
        if (size > maxBodyBytes) reject()
      })
      response.once("end", reject)
      response.once("close", reject)
      response.on("error", ignore)
    })
    request.end()
    return () => {
      finish()
      request.destroy()
      socket.destroy()
    }
  }

type Stage = "connect" | "tls" | "handshake"

const ignore = (): void => {}

const outgoing = (headers: HeaderRecord): Http.OutgoingHttpHeaders =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, typeof value === "string" ? value : [...value]]]
    )
  )

const toIoError = (stage: Stage, cause: Error): IoError => {
  const code = "code" in cause && typeof cause.code === "string" ? cause.code : ""
  const reason: IoErrorReason =
    stage === "connect"
      ? "syscall" in cause && cause.syscall === "getaddrinfo"
        ? "Resolve"
        : "Connect"
      : stage === "tls"
        ? "Tls"
        : code === "HPE_HEADER_OVERFLOW"
          ? "HeadersTooLarge"
          : code.startsWith("HPE_")
            ? "InvalidResponse"
            : "Reset"
  return new IoError({ reason, operation: stage, cause })
}
