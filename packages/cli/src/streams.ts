/** Bytes from a readable stream and to a writable one, no faster than they are taken. */
import * as Effect from "effect/Effect"
import type { Readable, Writable } from "node:stream"
import { exitCodes } from "./ExitCode.js"
import { Failure } from "./Failure.js"

const codeOf = (error: Error): string =>
  "code" in error && typeof error.code === "string" ? error.code : error.message

/**
 * The next chunk of a stream, or `undefined` at its end. The stream reads ahead no more than its high-water mark. Fails if it
 * cannot be read. An interruption loses no bytes.
 */
export const read = (input: Readable): Effect.Effect<Uint8Array | undefined, Failure> =>
  Effect.callback((resume) => {
    const settle = (effect: Effect.Effect<Uint8Array | undefined, Failure>): void => {
      forget()
      resume(effect)
    }
    const onReadable = (): void => {
      const chunk: unknown = input.read()
      if (chunk instanceof Uint8Array) settle(Effect.succeed(chunk))
    }
    const onEnd = (): void => settle(Effect.succeed(undefined))
    const onError = (error: Error): void =>
      settle(Effect.fail(new Failure({ exitCode: exitCodes.usage, message: `stdin cannot be read: ${codeOf(error)}` })))
    const forget = (): void => {
      input.off("readable", onReadable).off("end", onEnd).off("close", onEnd).off("error", onError)
    }
    if (input.readableEnded || input.destroyed) return resume(Effect.succeed(undefined))
    input.on("readable", onReadable).on("end", onEnd).on("close", onEnd).on("error", onError)
    onReadable()
    return Effect.sync(forget)
  })

/** Where bytes are written to. */
export interface Output {
  /** Succeeds once the stream has room again. Fails as `ended` does. */
  readonly write: (data: string | Uint8Array) => Effect.Effect<void, Failure>
  /** Succeeds once everything has been written. Never fails. */
  readonly flush: Effect.Effect<void>
  /** Never succeeds. Fails with the status 0 once its reader has gone (`EPIPE`), and else if it cannot be written. */
  readonly ended: Effect.Effect<never, Failure>
}

/** Makes an `Output` of a stream, for as long as the process runs. */
export const makeOutput = (output: Writable): Output => {
  let failure: Failure | undefined
  const waiting = new Set<() => void>()
  const wake = (): void => {
    const all = [...waiting]
    waiting.clear()
    for (const each of all) each()
  }
  output.on("drain", wake)
  output.on("error", (error) => {
    const code = codeOf(error)
    failure = new Failure({
      exitCode: code === "EPIPE" ? exitCodes.success : exitCodes.write,
      message: code === "EPIPE" ? "" : `stdout cannot be written: ${code}`
    })
    wake()
  })
  const until = <E>(done: () => Effect.Effect<void, E> | undefined): Effect.Effect<void, E> =>
    Effect.callback((resume) => {
      const look = (): void => {
        const result = done()
        if (result === undefined) waiting.add(look)
        else resume(result)
      }
      look()
      return Effect.sync(() => void waiting.delete(look))
    })
  const settled = () => (failure === undefined ? undefined : Effect.fail(failure))
  return {
    write: (data) =>
      Effect.suspend(() => {
        if (failure === undefined && output.write(data)) return Effect.void
        return until(() => settled() ?? (output.writableNeedDrain ? undefined : Effect.void))
      }),
    flush: Effect.callback((resume) => {
      const done = (): void => resume(Effect.void)
      if (failure === undefined) output.write("", done)
      else done()
    }),
    ended: Effect.andThen(until(settled), Effect.never)
  }
}
