/**
 * The names of `WebSocket.StreamingWebSocket`, a WebSocket that delivers messages as streams, as a module of their own.
 *
 * @since 0.1.0
 */
export {
  isStreamingWebSocket,
  type StreamData,
  type StreamedMessage,
  type StreamingWebSocket,
  StreamingTypeId as TypeId
} from "./WebSocket.js"
