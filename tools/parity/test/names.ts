/**
 * The members and options that docs/migrating.md may name. They are types, which are gone when a test runs, so the compiler holds
 * these lists to them.
 */
import type {
  FrameWebSocket,
  StreamingWebSocket,
  WebSocket,
  WebSocketClient,
  WebSocketServer
} from "@effect-websocket/platform"
import type { NodeWebSocketClient, NodeWebSocketServer } from "@effect-websocket/platform/node"
import type {
  CloseCode,
  Connection,
  Errors,
  Extension,
  Frame,
  Handshake,
  HeaderField,
  Mask,
  Message,
  Opcode,
  PermessageDeflate,
  Subprotocol
} from "@effect-websocket/protocol"

type KeyOfAny<A> = A extends unknown ? keyof A : never

const namesOf =
  <A>() =>
  <const Names extends ReadonlyArray<KeyOfAny<A> & string>>(...names: Names): ReadonlySet<string> =>
    new Set(names)

const limits = namesOf<Connection.Limits>()("maxFrameBytes", "maxMessageBytes")

/** By what stands before the dot. */
export const members: Readonly<Record<string, ReadonlySet<string>>> = {
  socket: namesOf<
    | WebSocket.WebSocket
    | FrameWebSocket.FrameWebSocket
    | StreamingWebSocket.StreamingWebSocket
    | WebSocketServer.Accepted
  >()(
    "abort",
    "channel",
    "close",
    "closeStatus",
    "frames",
    "isOpen",
    "limits",
    "maxFrameSize",
    "maxSendBytes",
    "messages",
    "ping",
    "pong",
    "pongs",
    "protocol",
    "receive",
    "receiveAll",
    "receiveOption",
    "receiveWith",
    "remoteAddress",
    "request",
    "role",
    "run",
    "send",
    "sendAll"
  ),
  connection: namesOf<Connection.Connection>()(
    "heldBytes",
    "limits",
    "phase",
    "receiving",
    "recycleOutput",
    "role",
    "sendFrame"
  ),
  message: namesOf<Message.Message>()("_tag", "data"),
  frame: namesOf<Frame.Frame>()("fin", "masked", "opcode", "payload", "rsv"),
  error: namesOf<Errors.WebSocketError>()(
    "cause",
    "clean",
    "closeCode",
    "code",
    "description",
    "initiator",
    "limit",
    "max",
    "message",
    "reason",
    "section",
    "size"
  ),
  limits
}

/** Options, of whatever takes them. */
export const options = new Set([
  ...namesOf<NodeWebSocketClient.ConnectOptions<Connection.Delivery>>()(
    "answerClose",
    "answerPings",
    "auth",
    "compression",
    "cookies",
    "createConnection",
    "delivery",
    "family",
    "headers",
    "idleTimeout",
    "maxFrameSize",
    "maxRedirects",
    "maxSendBytes",
    "opcodes",
    "openTimeout",
    "protocols",
    "proxy",
    "query",
    "random",
    "receiveHighWaterMark",
    "recordFrames",
    "rsv",
    "sendHighWaterMark",
    "sendLowWaterMark",
    "socketPath",
    "tls"
  ),
  ...namesOf<NodeWebSocketServer.Options>()("handshakeTimeout", "origin", "port"),
  ...namesOf<NodeWebSocketServer.DuplexOptions>()("head"),
  ...namesOf<WebSocketServer.RunOptions<"messages", undefined, never, never> & WebSocketServer.RouteOptions>()(
    "check",
    "onError"
  ),
  ...namesOf<Handshake.Offer>()("extensions", "key", "origin", "protocols"),
  ...namesOf<Handshake.HttpResponse>()("status"),
  ...namesOf<Extract<Connection.Options, { readonly role: "client" }>>()("maskKey"),
  ...namesOf<PermessageDeflate.Options>()("offers")
])

interface Types {
  readonly "CloseCode.Name": CloseCode.Name
  readonly "Extension.Extension": Extension.Extension
  readonly "FrameWebSocket.FrameWebSocket": FrameWebSocket.FrameWebSocket
  readonly "Handshake.Agreement": Handshake.Agreement
  readonly "HeaderField.Input": HeaderField.Input
  readonly "Mask.RandomSource": Mask.RandomSource
  readonly "Opcode.Opcode": Opcode.Opcode
  readonly "Subprotocol.Selector": Subprotocol.Selector
  readonly "WebSocket.WebSocket": WebSocket.WebSocket
  readonly "WebSocketClient.ConnectError": WebSocketClient.ConnectError
  readonly "WebSocketServer.ServerWebSocket": WebSocketServer.ServerWebSocket
}

/** Exports that are types only. */
export const types = namesOf<Types>()(
  "CloseCode.Name",
  "Extension.Extension",
  "FrameWebSocket.FrameWebSocket",
  "Handshake.Agreement",
  "HeaderField.Input",
  "Mask.RandomSource",
  "Opcode.Opcode",
  "Subprotocol.Selector",
  "WebSocket.WebSocket",
  "WebSocketClient.ConnectError",
  "WebSocketServer.ServerWebSocket"
)

/** Of other packages, and what is no name. */
export const others: ReadonlySet<string> = new Set([
  ",",
  ";",
  "@effect/platform",
  "Cookies",
  "Effect.scoped",
  "Headers",
  "Map",
  "None",
  "Origin",
  "TypeError",
  "Uint8Array",
  "globalThis.crypto",
  "node:crypto",
  "true",
  "undefined",
  "wss:"
])
