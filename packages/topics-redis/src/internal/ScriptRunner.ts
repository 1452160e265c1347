import type { Script } from "./Script.js"

/** Everything that a script returns is bytes: the client makes them of what it knows by this byte, `$`. */
export const bytesOnly = { typeMapping: { 36: Buffer } } as const

/** Runs scripts on a server. */
export abstract class ScriptRunner {
  /** Sends a command. Fails if there is no reply within a time. The server may perform it even then. */
  abstract command(args: ReadonlyArray<string | Buffer>): Promise<unknown>

  /** Nothing more is sent. */
  abstract end(): void

  /**
   * Runs a script. The server gets its source only if it does not have it. Returns what the script returns. After `signal` aborts, nothing
   * is sent any more.
   */
  async run(
    { sha, source }: Script,
    keys: ReadonlyArray<string>,
    args: ReadonlyArray<string | Buffer>,
    signal?: AbortSignal
  ): Promise<ReadonlyArray<Buffer>> {
    const rest = [String(keys.length), ...keys, ...args]
    try {
      return toBuffers(await this.command(["EVALSHA", sha, ...rest]))
    } catch (cause) {
      if (!isReply(cause, "NOSCRIPT") || signal?.aborted === true) throw cause
      return toBuffers(await this.command(["EVAL", source, ...rest]))
    }
  }
}

/** Whether it is an error that the server has replied with, by its code. */
export const isReply = (cause: unknown, code: string): boolean =>
  cause instanceof Error && cause.message.startsWith(code)

const toBuffers = (reply: unknown): ReadonlyArray<Buffer> => {
  if (!Array.isArray(reply)) throw new TypeError("The reply of a script is not an array")
  return reply.map((value: unknown) => {
    if (Buffer.isBuffer(value)) return value
    throw new TypeError("The reply of a script has something other than bytes")
  })
}
