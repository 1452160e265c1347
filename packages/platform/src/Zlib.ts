/**
 * What compresses messages: a port, because every runtime has its own. Node's is `NodeZlib`.
 *
 * @since 0.1.0
 */
import type { DeflateOptions, Zlib as SynchronousZlib } from "@effect-websocket/protocol/Compressor"

/**
 * An implementation of DEFLATE that can also work beside the event loop.
 *
 * @since 0.1.0
 * @category models
 */
export interface Zlib extends SynchronousZlib {
  /**
   * Does what `deflate` does on another thread, or later where too much of this process is being deflated already. Neither
   * `data` nor the dictionary may change until then. `done` is called once, never from within the call. The function that is
   * returned gives up: `done` is not called then.
   */
  readonly deflateLater: (
    data: Uint8Array,
    options: DeflateOptions,
    done: (deflated: Uint8Array | undefined) => void
  ) => () => void
}
