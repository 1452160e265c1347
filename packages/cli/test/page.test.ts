/** The tables of docs/command-line.md that say what the command is. `pnpm docs:write` writes them. */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Message from "@effect-websocket/protocol/Message"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import type { HelpDoc } from "effect/cli/HelpDoc"
import { Readable } from "node:stream"
import { assertDocumented, table } from "../../platform/test/documented.js"
import { command } from "../src/commands.js"
import { exitCodes, meanings, ofSignal, signals } from "../src/ExitCode.js"
import * as Format from "../src/Format.js"
import { makePipe } from "../src/Screen.js"
import * as SlashCommand from "../src/SlashCommand.js"
import type { Output } from "../src/streams.js"

const page = "command-line.md"
const code = (text: string): string => `\`${text}\``

/** What `--help` shows behind some words. */
const helpOf = (...words: ReadonlyArray<string>): Effect.Effect<HelpDoc> =>
  Effect.gen(function* () {
    const docs: Array<HelpDoc> = []
    const presenter: CliOutput.Presenter = {
      present: (event) =>
        Effect.sync(() => {
          if (event._tag === "Help") docs.push(event.helpDoc)
        })
    }
    yield* Command.runWith(command, { version: "" })([...words, "--help"]).pipe(
      Effect.provide(Layer.merge(NodeServices.layer, CliOutput.layerPresenter(presenter))),
      Effect.ignore
    )
    assert.lengthOf(docs, 1)
    return docs[0]!
  })

/** Bytes as a text, if they are one. `␊` is a line feed. */
const shown = (bytes: Uint8Array): string => {
  const text = Buffer.from(bytes).toString()
  const digits = Buffer.from(bytes)
    .toString("hex")
    .replaceAll(/..(?!$)/g, "$& ")
  return /^[\n -~]*$/.test(text) ? code(text.replaceAll("\n", "␊")) : `hexadecimal ${code(digits)}`
}

const kinds = { Text: "text", Binary: "binary" } as const

describe("docs/command-line.md", () => {
  it.live("has the commands", () =>
    Effect.gen(function* () {
      const { subcommands = [] } = yield* helpOf()
      const rows = yield* Effect.forEach(
        subcommands.flatMap(({ commands }) => commands),
        ({ name }) => Effect.map(helpOf(name), ({ description, usage }) => [code(usage), description])
      )
      assertDocumented(page, "commands", table(["command", "what it does"], rows))
    })
  )

  it("has what can be typed at the prompt", () => {
    const rows = SlashCommand.help.map(([usage, what]) => [code(usage), what])
    assertDocumented(page, "prompt", table(["typed", "what it does"], rows))
  })

  it.live("has what each format makes of input and messages", () =>
    Effect.gen(function* () {
      const rows = yield* Effect.forEach(Format.formats, (format) =>
        Effect.gen(function* () {
          const written: Array<Uint8Array> = []
          const output: Output = {
            write: (data) => Effect.sync(() => void written.push(Buffer.from(data))),
            flush: Effect.void,
            ended: Effect.never
          }
          const options = {
            format,
            null: false,
            raw: true,
            verbose: false,
            frames: false,
            timestamps: false,
            maxMessageBytes: 1000
          }
          const screen = makePipe(options, output, Readable.from([Buffer.from("1234\n5678\n")]))
          const sent: Array<string> = []
          yield* screen.run((input) =>
            Effect.sync(() => {
              assert(input._tag === "Message")
              sent.push(`${kinds[input.message._tag]} ${shown(Message.bytes(input.message))}`)
            })
          )
          const printed = (message: Message.Message) =>
            Effect.match(screen.received(message), {
              onSuccess: () => shown(Buffer.concat(written.splice(0))),
              onFailure: ({ exitCode }) => `ends with status ${exitCode}`
            })
          return [
            code(format),
            sent.join(", "),
            yield* printed(Message.text("[1,\n2]")),
            yield* printed(Message.binary(Buffer.from([0xff])))
          ]
        })
      )
      const head = [
        "`--format`",
        "stdin `1234␊5678␊` is sent as",
        "the text `[1,␊2]` on stdout",
        "the byte `ff` on stdout"
      ]
      assertDocumented(page, "formats", table(head, rows))
    })
  )

  it("has each exit status", () => {
    const names = Object.keys(exitCodes) as ReadonlyArray<keyof typeof exitCodes>
    const ended = Object.keys(signals) as ReadonlyArray<keyof typeof signals>
    const rows = [
      ...names.map((name) => [String(exitCodes[name]), meanings[name]]),
      ...ended.map((signal) => [String(ofSignal(signal)), `${signal}; the connection was closed first`])
    ]
    assertDocumented(page, "statuses", table(["status", "meaning"], rows))
  })
})
