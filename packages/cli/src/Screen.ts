/** What the command reads and shows: a prompt for people, or stdin and stdout for other programs. */
import type * as Message from "@effect-websocket/protocol/Message"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { cursorTo, clearScreenDown, createInterface, moveCursor, type Interface } from "node:readline"
import type { Readable } from "node:stream"
import { styleText } from "node:util"
import { escape } from "./escape.js"
import { Failure } from "./Failure.js"
import * as Format from "./Format.js"
import * as SlashCommand from "./SlashCommand.js"
import { Splitter } from "./Splitter.js"
import { read, type Output } from "./streams.js"

/** What the user asks for. */
export type Input =
  | { readonly _tag: "Message"; readonly message: Message.Message }
  | Extract<SlashCommand.SlashCommand, { readonly _tag: "Ping" | "Pong" | "Close" }>

export interface Screen {
  readonly isInteractive: boolean
  /** Shows a received message. Succeeds once there is room for another one. `from` names its sender if there are several. */
  readonly received: (message: Message.Message, from?: string) => Effect.Effect<void, Failure>
  /** Shows what happens: always to people, else only with `--verbose` or `--frames`. */
  readonly note: (text: string) => void
  /** Shows what goes wrong. */
  readonly warn: (text: string) => void
  /** Calls `handle` for all input, in order. Ends with the input. */
  readonly run: <E, R>(handle: (input: Input) => Effect.Effect<void, E, R>) => Effect.Effect<void, E | Failure, R>
}

export interface Options {
  readonly format: Format.Format
  /** Whether stdin and messages are separated by NUL in place of line feeds. */
  readonly null: boolean
  readonly raw: boolean
  readonly verbose: boolean
  readonly frames: boolean
  readonly timestamps: boolean
  /** The most bytes of a record of the input. */
  readonly maxMessageBytes: number
}

const clockTime = (): string => new Date().toISOString().slice(11, 23)

const stamped = ({ timestamps }: Options, text: string): string => (timestamps ? `${clockTime()} ${text}` : text)

/** A screen for other programs. Everything but messages goes to stderr. */
export const makePipe = (options: Options, output: Output, input: Readable = process.stdin): Screen => {
  const isRaw = options.raw || !process.stdout.isTTY
  const separator = options.null ? "\0" : "\n"
  const say = (text: string): void => void process.stderr.write(`${stamped(options, escape(text))}\n`)
  return {
    isInteractive: false,
    received: (message, from) => {
      if (!isRaw) {
        const text = Format.shown(options.format, message)
        return output.write(`${stamped(options, from === undefined ? text : `${from} ${text}`)}\n`)
      }
      const data = Format.raw(options.format, separator, message)
      return data instanceof Failure ? Effect.fail(data) : output.write(data)
    },
    note: (text) => {
      if (options.verbose || options.frames) say(text)
    },
    warn: (text) => say(`effect-websocket: ${text}`),
    run: (handle) =>
      Effect.gen(function* () {
        const splitter = new Splitter(options.null ? 0 : 10, options.maxMessageBytes)
        const handleRecord = (record: Uint8Array | Failure) => {
          const message = record instanceof Failure ? record : Format.parse(options.format, record)
          return message instanceof Failure ? Effect.fail(message) : handle({ _tag: "Message", message })
        }
        while (true) {
          const chunk = yield* read(input)
          if (chunk === undefined) break
          const records = options.format === "binary" ? [chunk] : splitter.push(chunk)
          for (const record of records) yield* handleRecord(record)
        }
        const last = splitter.end()
        if (last !== undefined) yield* handleRecord(last)
      })
  }
}

/** Writes lines above a prompt, with the text that is being typed. */
class Prompt {
  private readonly lines: Interface
  private isOpen = true

  constructor(onLine: (line: string) => void, onEnd: () => void) {
    this.lines = createInterface({
      input: process.stdin,
      output: process.stdout,
      terminal: true,
      prompt: "> ",
      completer: (line: string) => [SlashCommand.names.filter((name) => name.startsWith(line)), line]
    })
    this.lines.on("line", (line) => {
      onLine(line)
      this.lines.prompt()
    })
    this.lines.on("close", onEnd)
    // The terminal sends no signal while it is in raw mode.
    this.lines.on("SIGINT", () => process.emit("SIGINT", "SIGINT"))
    this.lines.prompt()
  }

  print(line: string): void {
    if (!this.isOpen) return void process.stdout.write(`${line}\n`)
    const rows = this.clear()
    // `prompt` goes up as many rows as the cursor was below the first one of the prompt.
    process.stdout.write(`${line}\n${"\n".repeat(rows)}`)
    this.lines.prompt(/* preserveCursor */ true)
  }

  close(): void {
    this.isOpen = false
    this.lines.removeAllListeners("close")
    this.clear()
    this.lines.close()
  }

  /** Clears the prompt, and returns how many rows the cursor was below its first one. */
  private clear(): number {
    const { rows } = this.lines.getCursorPos()
    if (rows > 0) moveCursor(process.stdout, 0, -rows)
    cursorTo(process.stdout, 0)
    clearScreenDown(process.stdout)
    return rows
  }
}

/** A screen for people. The prompt is there until the scope ends. */
const makeInteractive = (options: Options): Effect.Effect<Screen, never, Scope.Scope> =>
  Effect.gen(function* () {
    const inputs = yield* Queue.unbounded<Input, Cause.Done>()
    const prompt = yield* Effect.acquireRelease(
      Effect.sync(() => new Prompt(onLine, () => Queue.endUnsafe(inputs))),
      (prompt) => Effect.sync(() => prompt.close())
    )
    const show = (text: string): void => prompt.print(stamped(options, text))
    const note = (text: string): void => show(styleText("dim", escape(text)))
    const warn = (text: string): void => show(styleText("red", escape(text)))

    function onLine(line: string): void {
      const command = SlashCommand.parse(line)
      switch (command?._tag) {
        case "Ping":
        case "Pong":
        case "Close":
          Queue.offerUnsafe(inputs, command)
          return
        case "Help":
          for (const [usage, what] of SlashCommand.help) note(`${usage.padEnd(24)} ${what}`)
          return
        case "Invalid":
          return warn(command.message)
        case "Base64":
          return onMessage(Format.parse("base64", Buffer.from(command.data)))
        case "Text":
          return onMessage(Format.parse(options.format, Buffer.from(command.data)))
        case undefined:
          if (line !== "") onMessage(Format.parse(options.format, Buffer.from(line)))
      }
    }
    const onMessage = (message: Message.Message | Failure): void => {
      if (message instanceof Failure) warn(message.message)
      else Queue.offerUnsafe(inputs, { _tag: "Message", message })
    }

    return {
      isInteractive: true,
      received: (message, from = "<") => Effect.sync(() => show(`${from} ${Format.shown(options.format, message)}`)),
      note,
      warn,
      run: (handle) =>
        Effect.gen(function* () {
          while (true) {
            const input = yield* Effect.option(Queue.take(inputs))
            if (input._tag === "None") return
            yield* handle(input.value)
          }
        })
    }
  })

/** A prompt if stdin and stdout are terminals, unless the output is raw; else a pipe. */
export const make = (options: Options, output: Output): Effect.Effect<Screen, never, Scope.Scope> =>
  process.stdin.isTTY && process.stdout.isTTY && !options.raw
    ? makeInteractive(options)
    : Effect.sync(() => makePipe(options, output))
