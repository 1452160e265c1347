/** See `effect.ts`. */
export {
  CloseEvent,
  isCloseEvent,
  Socket,
  SocketCloseError,
  SocketGenericError,
  TypeId as SocketTypeId
} from "@effect/platform/Socket"
export { SocketServer } from "@effect/platform/SocketServer"
