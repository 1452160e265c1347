/** DEFLATE by Node: the port in one-shot calls, and a peer with live streams, as most implementations have them. */
import type { Zlib } from "@effect-websocket/protocol/Compressor"
import * as NodeZlib from "node:zlib"
import { concat } from "./support.js"

const { Z_SYNC_FLUSH } = NodeZlib.constants

export const zlib: Zlib = {
  deflate: (data, options) => NodeZlib.deflateRawSync(data, { ...options, finishFlush: Z_SYNC_FLUSH }),
  inflate: (data, { dictionary, maxBytes, windowBits }) => {
    try {
      const options = { dictionary, windowBits, maxOutputLength: Math.max(1, maxBytes), info: true }
      const { buffer, engine } = NodeZlib.inflateRawSync(data, options) as unknown as {
        readonly buffer: Buffer
        readonly engine: NodeZlib.InflateRaw
      }
      return buffer.length > maxBytes ? "TooLarge" : { data: buffer, consumed: engine.bytesWritten }
    } catch (error) {
      return error instanceof RangeError ? "TooLarge" : "Corrupt"
    }
  }
}

export const tail = Uint8Array.of(0, 0, 0xff, 0xff)

/** The payload in which a message travels (RFC 7692 §7.2.1). */
export const deflated = (data: string | Uint8Array, options: NodeZlib.ZlibOptions = {}): Uint8Array => {
  const bytes = NodeZlib.deflateRawSync(data, { finishFlush: Z_SYNC_FLUSH, ...options })
  return Uint8Array.from(bytes.subarray(0, bytes.length - tail.length))
}

export interface LivePeer {
  readonly compress: (data: Uint8Array) => Promise<Uint8Array>
  readonly decompress: (payload: Uint8Array) => Promise<Uint8Array>
}

/** A peer that keeps a stream for each direction, or takes a new one for each message. */
export const livePeer = (
  outbound: { readonly windowBits: number; readonly contextTakeover: boolean },
  inbound: { readonly windowBits: number; readonly contextTakeover: boolean }
): LivePeer => {
  const makeDeflate = () => NodeZlib.createDeflateRaw({ windowBits: outbound.windowBits })
  const makeInflate = () => NodeZlib.createInflateRaw({ windowBits: inbound.windowBits })
  const deflate = makeDeflate()
  const inflate = makeInflate()
  return {
    compress: async (data) => {
      const bytes = await through(outbound.contextTakeover ? deflate : makeDeflate(), data)
      return bytes.subarray(0, bytes.length - tail.length)
    },
    decompress: (payload) => through(inbound.contextTakeover ? inflate : makeInflate(), concat([payload, tail]))
  }
}

const through = (stream: NodeZlib.DeflateRaw | NodeZlib.InflateRaw, data: Uint8Array): Promise<Uint8Array> =>
  new Promise((resolve, reject) => {
    const parts: Array<Uint8Array> = []
    const onData = (part: Uint8Array) => void parts.push(part)
    stream.on("data", onData)
    stream.once("error", reject)
    stream.write(data)
    stream.flush(Z_SYNC_FLUSH, () => {
      stream.off("data", onData)
      stream.off("error", reject)
      resolve(concat(parts))
    })
  })
