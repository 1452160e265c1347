import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { TLSSocket } from "node:tls"

/** Whether a stream is Node's own socket, and not one that an app has created or changed. */
const isNative = (stream: Duplex): boolean => {
  const prototype: unknown = Object.getPrototypeOf(stream)
  return (prototype === Socket.prototype || prototype === TLSSocket.prototype) && !Object.hasOwn(stream, "_write")
}

const guarded = new WeakSet<Duplex>()

/**
 * If an app's stream throws while it writes, the error becomes an `error` of that stream. Node would throw it to the code
 * that writes. This is often a callback of a socket or a timer, where the error would end the process.
 */
export const reportThrown = (stream: Duplex): void => {
  if (isNative(stream) || guarded.has(stream)) return
  guarded.add(stream)
  for (const name of ["_write", "_writev"] as const) {
    const write: unknown = Reflect.get(stream, name)
    if (typeof write !== "function") continue
    const value = (...parameters: ReadonlyArray<unknown>): void => {
      try {
        Reflect.apply(write, stream, parameters)
      } catch (cause) {
        const done = parameters.at(-1)
        if (typeof done === "function") done(cause instanceof Error ? cause : new Error(String(cause), { cause }))
      }
    }
    Object.defineProperty(stream, name, { value, configurable: true, writable: true })
  }
}
