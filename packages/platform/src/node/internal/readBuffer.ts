import * as Net from "node:net"
import type { Duplex } from "node:stream"
import { kindOf } from "./kind.js"
import { transport } from "./taken.js"

// Node fills it between two callbacks, and each callback is done with it when it returns.
const buffer = Buffer.allocUnsafeSlow(64 * 1024)

interface Reader {
  /** Takes bytes that are valid only during the call. Returns false if the stream has to deliver them. */
  takeBorrowed(chunk: Uint8Array): boolean
}

type ReadSocket = Net.Socket & { readonly [transport]?: Reader }

/** Passes the bytes in the buffer to the transport of the socket. Until it has started, the stream gets a copy of them. */
const deliver = (socket: ReadSocket, size: number): boolean =>
  socket[transport]?.takeBorrowed(new Uint8Array(buffer.buffer, 0, size)) === true ||
  socket.push(Buffer.from(buffer.subarray(0, size)))

/**
 * Connects a socket that reads into one buffer, which all such sockets share, so that reading allocates nothing.
 * A socket with `onread` puts nothing into its stream, but Node's HTTP client reads from the stream. So do the transport, for
 * what arrives before it starts, and other listeners.
 */
export const connect = (options: Net.NetConnectOpts): Net.Socket => {
  const socket: ReadSocket = Net.connect({
    ...options,
    onread: { buffer, callback: (size) => deliver(socket, size) }
  })
  return socket
}

/**
 * Makes an accepted socket read into the same buffer. Node has no documented way to do it, so this does what the option
 * `onread` does. It does nothing if the socket is not one of the system, or if this version of Node does it in another way.
 */
export const adopt = (socket: Duplex): void => {
  const [properties] = (probed ??= [findProperties()])
  if (properties === undefined || kindOf(socket) !== "kernel") return
  const handle: unknown = Reflect.get(socket, "_handle")
  if (typeof handle !== "object" || handle === null) return
  const useUserBuffer: unknown = Reflect.get(handle, "useUserBuffer")
  if (typeof useUserBuffer !== "function" || Reflect.get(socket, properties.buffer) !== null) return
  Reflect.set(socket, properties.buffer, buffer)
  Reflect.set(socket, properties.callback, deliverThis)
  Reflect.apply(useUserBuffer, handle, [buffer])
}

// All accepted sockets share it, so that none needs a closure.
function deliverThis(this: ReadSocket, size: number): boolean {
  return deliver(this, size)
}

interface Properties {
  readonly buffer: symbol
  readonly callback: symbol
}

/** The private properties that the option `onread` sets; `undefined` unless these are exactly its buffer and its callback. */
const findProperties = (): Properties | undefined => {
  const plain = new Net.Socket()
  const options = { allowHalfOpen: false, onread: { buffer, callback: () => true } }
  const reading = new Net.Socket(options)
  const set = Object.getOwnPropertySymbols(reading).filter(
    (key) => Reflect.get(reading, key) !== Reflect.get(plain, key)
  )
  const ofBuffer = set.find((key) => Reflect.get(reading, key) === buffer)
  const ofCallback = set.find((key) => typeof Reflect.get(reading, key) === "function")
  if (set.length !== 2 || ofBuffer === undefined || ofCallback === undefined) return undefined
  return { buffer: ofBuffer, callback: ofCallback }
}

let probed: readonly [Properties | undefined] | undefined
