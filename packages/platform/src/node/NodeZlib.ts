/**
 * Compression with `node:zlib`.
 *
 * @since 0.1.0
 */
import type { DeflateOptions, Inflated, InflateOptions } from "@effect-websocket/protocol/Compressor"
import * as NodeZlib from "node:zlib"
import { bytes } from "../engine/checks.js"
import type { Zlib } from "../Zlib.js"
import { PooledStream, StreamPool } from "./internal/zlibStreams.js"
import type { Minizlib, MinizlibOptions } from "./NodeOptions.js"

/**
 * Calls zlib once per message, so that no connection holds a zlib stream of its own. The layers for Node use it. Pass it to
 * `WebSocketTest.layerWith` to negotiate compression in tests.
 *
 * Other threads deflate at most two messages of the process at the same time. This leaves half of Node's thread pool to DNS
 * and files. The other messages wait in the order in which they came, at most one per connection.
 *
 * @since 0.1.0
 * @category instances
 */
export const zlib: Zlib = {
  deflate: (data, options) => {
    try {
      return NodeZlib.deflateRawSync(data, deflateOptions(data, options))
    } catch (error) {
      if (codeOf(error) === tooLarge) return undefined
      throw error
    }
  },
  inflate: (data, options) => {
    try {
      return inflate(data, options)
    } catch (error) {
      const code = codeOf(error)
      if (code === tooLarge) return "TooLarge"
      if (code === "Z_DATA_ERROR" || code === "Z_BUF_ERROR") return "Corrupt"
      throw error
    }
  },
  deflateLater: (data, options, done) => {
    const job: Job = { data, options, done }
    waiting.add(job)
    startNext()
    return () => {
      waiting.delete(job)
      job.done = ignore
    }
  }
}

/**
 * The package `minizlib`, and how much memory its compressors may take; see `NodeOptions`.
 *
 * @since 0.1.0
 * @category models
 */
export type { Minizlib, MinizlibOptions, MinizlibStream } from "./NodeOptions.js"

/**
 * Like `zlib`, but the connections with context takeover that have sent most recently keep their compressors. Making a
 * compressor, and giving it the last messages to refer back to, takes longer than deflating a message of a few KiB.
 *
 * Node has no documented way to use a compressor synchronously. The package `minizlib`, which npm itself uses, has one. Install
 * it, and pass it here. Make one such value for the whole process, because each one has its own `maxBytes`.
 *
 * @example
 * ```ts
 * import { NodeWebSocketServer, NodeZlib } from "@effect-websocket/platform/node"
 * import * as minizlib from "minizlib"
 *
 * const zlib = NodeZlib.fromMinizlib(minizlib)
 * const Server = NodeWebSocketServer.layer({ port: 8080, compression: true, zlib })
 * ```
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromMinizlib = (minizlib: Minizlib, { maxBytes = 32 * 1024 * 1024 }: MinizlibOptions = {}): Zlib => {
  const pool = new StreamPool(minizlib, bytes("maxBytes", maxBytes))
  return { ...zlib, deflateStream: () => new PooledStream(pool, zlib) }
}

interface Job {
  readonly data: Uint8Array
  readonly options: DeflateOptions
  done: (deflated: Uint8Array | undefined) => void
}

const maxRunning = 2
const waiting = new Set<Job>()
let running = 0

const startNext = (): void => {
  for (const job of waiting) {
    if (running === maxRunning) return
    waiting.delete(job)
    try {
      NodeZlib.deflateRaw(job.data, deflateOptions(job.data, job.options), (error, deflated) => {
        // A thread is free only now, even if nobody waits for the result any more.
        running--
        startNext()
        job.done(error === null ? deflated : undefined)
      })
      running++
    } catch {
      // Node throws if zlib cannot even begin, for example without memory. Then it has no callback and no thread.
      setImmediate(() => job.done(undefined))
    }
  }
}

const ignore = (): void => {}

// Node's error code if the output exceeds `maxOutputLength`.
const tooLarge = "ERR_BUFFER_TOO_LARGE"

const codeOf = (error: unknown): unknown => (error instanceof Error && "code" in error ? error.code : undefined)

const { Z_DEFAULT_STRATEGY, Z_RLE, Z_SYNC_FLUSH } = NodeZlib.constants

// Node collects output in chunks of one size, and joins them if there are several. Chunks below 4 KiB come from Node's pool.
const minChunk = 1024
const maxChunk = 64 * 1024

const chunkSize = (expected: number): number => Math.min(Math.max(expected, minChunk), maxChunk)

const deflateOptions = (
  data: Uint8Array,
  { dictionary, level, memLevel, windowBits }: DeflateOptions
): NodeZlib.ZlibOptions => ({
  // For a window of 8 bits zlib uses one of 9. With `Z_RLE`, matches never refer back further than one octet.
  windowBits: Math.max(windowBits, 9),
  strategy: windowBits === 8 ? Z_RLE : Z_DEFAULT_STRATEGY,
  level,
  memLevel,
  finishFlush: Z_SYNC_FLUSH,
  chunkSize: chunkSize(data.length >>> 1),
  // The four octets of the flush are not sent, so they do not count.
  maxOutputLength: data.length + 4,
  ...(dictionary.length > 0 ? { dictionary } : {})
})

const inflate = (data: Uint8Array, { dictionary, maxBytes, windowBits }: InflateOptions): Inflated | "TooLarge" => {
  const { buffer, engine } = NodeZlib.inflateRawSync(data, {
    windowBits,
    info: true,
    chunkSize: Math.min(chunkSize(data.length * 8), Math.max(maxBytes, minChunk)),
    // Node does not accept zero as a limit.
    maxOutputLength: Math.max(maxBytes, 1),
    ...(dictionary.length > 0 ? { dictionary } : {})
  }) as unknown as { readonly buffer: Buffer; readonly engine: NodeZlib.InflateRaw }
  return buffer.length > maxBytes ? "TooLarge" : { data: buffer, consumed: engine.bytesWritten }
}
