/**
 * `pnpm chat [--port N] [--host H] [--redis URL] [--proxy ADDRESS …]`: serves the chat, by default at http://127.0.0.1:8080,
 * until SIGINT or SIGTERM. Then it closes every connection with 1012, and the pages go on with another process, or wait until
 * this one is back. Processes with the same Redis server are one chat.
 */
import { Command, Options } from "@effect/cli"
import { Option } from "effect"
import { runCommand } from "../runCommand.js"
import { options, redis, serve } from "./command.js"

const command = Command.make("chat", { ...options, redis: Options.optional(redis) }, ({ redis, ...settings }) =>
  serve({ ...settings, redis: Option.getOrUndefined(redis) })
)

const cli = Command.run(command, { name: "chat", version: "0.1.0" })

runCommand(cli(process.argv))
