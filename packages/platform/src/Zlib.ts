/**
 * The compression of messages. It is an interface because every runtime has its own implementation. Node's is
 * `NodeZlib`.
 *
 * @since 0.1.0
 */
import type { DeflateOptions, Zlib as SynchronousZlib } from "@effect-websocket/protocol/Compressor"

/**
 * An implementation of DEFLATE that can also work outside the event loop.
 *
 * @since 0.1.0
 * @category models
 */
export interface Zlib extends SynchronousZlib {
  /**
   * Does what `deflate` does, but on another thread. If this process is already deflating too much, the work begins
   * later. Neither `data` nor the dictionary may change until the work is done. `done` is called once, never during the
   * call itself. The returned function cancels: after it, `done` is not called.
   */
  readonly deflateLater: (
    data: Uint8Array,
    options: DeflateOptions,
    done: (deflated: Uint8Array | undefined) => void
  ) => () => void
}
