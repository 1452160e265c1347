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

/**
 * Makes an accepted socket read into one buffer, which all such sockets share, so that reading allocates nothing. Node has
 * no documented way to do it, so this does what the option `onread` of an outgoing socket does. It does nothing
 * if the socket is not one of the system, or if this version of Node does it in another way.
 */
export const adopt = (socket: Duplex): void => {
  const [properties] = (probed ??= [findProperties()])
  if (properties === undefined || kindOf(socket) !== "kernel") return
  const handle: unknown = Reflect.get(socket, "_handle")
  if (typeof handle !== "object" || handle === null) return
  const useUserBuffer: unknown = Reflect.get(handle, "useUserBuffer")
  if (typeof useUserBuffer !== "function" || Reflect.get(socket, properties.buffer) !== null) return
  Reflect.set(socket, properties.buffer, buffer)
  Reflect.set(socket, properties.callback, deliver)
  Reflect.apply(useUserBuffer, handle, [buffer])
}

/**
 * Passes the bytes in the buffer to the transport of the socket. The stream gets a copy of those that arrive before the
 * transport has started, and of those that others listen to. All accepted sockets share this function, so that none needs a
 * closure.
 */
function deliver(this: ReadSocket, size: number): boolean {
  const taken = this[transport]?.takeBorrowed(new Uint8Array(buffer.buffer, 0, size)) === true
  return taken || this.push(Buffer.from(buffer.subarray(0, size)))
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
