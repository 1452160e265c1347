/** See `effect.ts`. */
export { WebSocketConstructor } from "effect/socket/Socket"
