/** See `effect.ts`. */
export { inetAddressFromHostString, inetAddressUnsafe, ipv4Loopback, unixPathAddress } from "effect/net/NetAddress"
export { getOrElse } from "effect/Result"
export {
  isCloseEvent,
  make,
  Socket,
  SocketCloseError,
  SocketError,
  SocketOpenError,
  SocketUpgradeError,
  SocketWriteError
} from "effect/socket/Socket"
export { SocketServer } from "effect/socket/SocketServer"
