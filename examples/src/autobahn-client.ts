/**
 * `pnpm autobahn-client --url ws://127.0.0.1:N --agent NAME [--max-message-bytes N] [--max-fragments N] [--compress]`: the
 * client that the fuzzing server of the Autobahn suite expects. It asks for the number of cases, echoes all messages of each
 * case until the server closes, and asks for the report.
 */
import { WebSocketClient } from "@effect-websocket/platform"
import { NodeWebSocketClient } from "@effect-websocket/platform/node"
import { Command, Options } from "@effect/cli"
import { Console, Effect, Schema } from "effect"
import { compression, compressOptions } from "./compression.js"
import { limitOptions } from "./limits.js"
import { runCommand } from "./runCommand.js"

const CaseCount = Schema.NumberFromString.pipe(Schema.int(), Schema.nonNegative())

const command = Command.make(
  "autobahn-client",
  {
    url: Options.text("url").pipe(Options.withDescription("The fuzzing server, such as ws://127.0.0.1:9001")),
    agent: Options.text("agent").pipe(Options.withDescription("The name in the report")),
    ...limitOptions,
    ...compressOptions
  },
  ({ agent, compress, maxFragments, maxMessageBytes, url }) => {
    const options = { limits: { maxFragments, maxMessageBytes }, compression: compression(compress) }
    const connect = (path: string, query: Record<string, string>) =>
      WebSocketClient.connect(`${url.replace(/\/$/, "")}${path}?${new URLSearchParams(query)}`, options)

    const caseCount = Effect.scoped(
      Effect.flatMap(connect("/getCaseCount", {}), (socket) =>
        Effect.flatMap(socket.receive, (message) => Schema.decodeUnknown(CaseCount)(message.data))
      )
    )

    const runCase = (number: number) =>
      Effect.scoped(
        Effect.flatMap(connect("/runCase", { case: String(number), agent }), (socket) =>
          socket.run((message) => socket.send(message))
        )
      ).pipe(
        // Most cases end with an error on purpose, which must not stop the other cases.
        Effect.catchAllCause((cause) => Effect.logDebug(`case ${number} ended`, cause))
      )

    return Effect.gen(function* () {
      const count = yield* caseCount
      yield* Console.log(`running ${count} cases as ${agent}`)
      for (let number = 1; number <= count; number++) yield* runCase(number)
      yield* Effect.scoped(Effect.flatMap(connect("/updateReports", { agent }), (socket) => socket.run(() => {})))
      yield* Console.log("done")
    }).pipe(Effect.provide(NodeWebSocketClient.layer))
  }
)

const cli = Command.run(command, { name: "autobahn-client", version: "0.1.0" })

runCommand(cli(process.argv))
