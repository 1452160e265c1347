#!/usr/bin/env node
import * as NodeServices from "@effect/platform-node/NodeServices"
import { isWebSocketError } from "@effect-websocket/protocol/Errors"
import * as Cause from "effect/Cause"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import manifest from "../package.json" with { type: "json" }
import { command } from "./commands.js"
import { escape } from "./escape.js"
import { exitCodes, ofError, ofSignal, signals } from "./ExitCode.js"
import { Failure } from "./Failure.js"

const complain = (message: string): void => {
  if (message !== "") console.error(`effect-websocket: ${message}`)
}

/** The status of the command. Says on stderr what went wrong. */
const report = (exit: Exit.Exit<void, unknown>): number => {
  if (Exit.isSuccess(exit)) return exitCodes.success
  const error = Cause.squash(exit.cause)
  if (error instanceof Failure || isWebSocketError(error)) {
    complain(escape(error.message.trim()))
    return ofError(error)
  }
  // It has been shown already.
  if (CliError.isCliError(error))
    return "errors" in error && error.errors.length === 0 ? exitCodes.success : exitCodes.usage
  complain(Cause.pretty(exit.cause).split("\n").map(escape).join("\n"))
  return exitCodes.unexpected
}

/** Without the alias `-v`, which other clients have for `--verbose`. */
const version = GlobalFlag.Action({
  flag: Flag.Boolean("version").pipe(Flag.withDescription("Show version information"), Flag.withDefault(false)),
  run: GlobalFlag.Version.run
})

/** Says what is wrong with a command line on stderr only: stdout is for messages. */
const presenter: CliOutput.Presenter = {
  present: (event) =>
    event._tag === "InvalidInvocation"
      ? Effect.sync(() => {
          for (const error of event.errors) complain(escape(error.message))
          complain(`${event.commandPath.join(" ")} --help lists what there is`)
        })
      : CliOutput.defaultPresenter.present(event)
}

const services = Layer.mergeAll(
  NodeServices.layer,
  CliConfig.layer({ builtIns: [GlobalFlag.Help, version, GlobalFlag.Completions] }),
  CliOutput.layerPresenter(presenter),
  // stdout is for messages.
  Logger.layer([Logger.make(({ message }) => complain([message].flat().map(String).map(escape).join(" ")))])
)

const fiber = Effect.runFork(
  Command.runWith(command, { version: manifest.version })(process.argv.slice(2)).pipe(Effect.provide(services))
)

// Nobody may read what is said there.
process.stderr.on("error", () => {})

let interrupted: keyof typeof signals | undefined

for (const signal of Object.keys(signals) as ReadonlyArray<keyof typeof signals>) {
  process.on(signal, () => {
    // The second one does not wait for the closing handshake.
    if (interrupted !== undefined) process.exit(ofSignal(interrupted))
    interrupted = signal
    fiber.interruptUnsafe()
  })
}

fiber.addObserver((exit) => {
  const status = interrupted !== undefined && Exit.hasInterrupts(exit) ? ofSignal(interrupted) : report(exit)
  // What was written before a signal, unless its reader is stuck. Open pipes would keep the process alive.
  const end = (): never => process.exit(status)
  process.stdout.write("", end)
  setTimeout(end, 1000)
})
