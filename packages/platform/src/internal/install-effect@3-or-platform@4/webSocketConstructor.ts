/** See `effect.ts`. */
export { WebSocketConstructor } from "@effect/platform/Socket"
