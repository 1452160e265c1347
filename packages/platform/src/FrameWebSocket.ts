/**
 * The names of `WebSocket.FrameWebSocket`, a WebSocket of frames, as a module of their own.
 *
 * @since 0.1.0
 */
export { type FrameWebSocket, FrameTypeId as TypeId, isFrameWebSocket } from "./WebSocket.js"
