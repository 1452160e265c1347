import * as ReconnectingWebSocket from "@effect-websocket/platform/ReconnectingWebSocket"
import * as NodeWebSocketClient from "@effect-websocket/platform/node/NodeWebSocketClient"
import { Schedule } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createInterface } from "node:readline"
import { Effect, Exit, Fiber, Scope, Stream } from "../effect/index.js"
import { afterAll, assert, describe, it } from "../effect/vitest.js"
import { bundle } from "./programs.js"

const programs = bundle("recorder")
afterAll(programs.remove)

/** A server in a process of its own, which the end of the scope kills; what it received is added to `received`. */
const recorder = (port: number, received: Array<number>) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const args = [programs.path("recorder"), String(port)]
      const program = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] })
      const lines = createInterface({ input: program.stdout })
      const [line] = await once(lines, "line")
      lines.on("line", (text) => received.push(Number(text)))
      return { program, lines, port: Number(line) }
    }),
    ({ lines, program }) =>
      Effect.promise(async () => {
        const closed = once(lines, "close")
        program.kill("SIGKILL")
        await closed
      })
  )

describe("a reconnecting client, over TCP", () => {
  it.live("survives a server that is killed and started again", () =>
    Effect.gen(function* () {
      const received: Array<number> = []
      let scope = yield* Scope.make()
      const { port } = yield* Scope.provide(recorder(0, received), scope)
      const socket = yield* ReconnectingWebSocket.make(`ws://127.0.0.1:${port}`, {
        schedule: Schedule.spaced("20 millis")
      })
      const echoed = yield* Effect.forkChild(Stream.runCollect(Stream.map(socket.messages, ({ data }) => Number(data))))
      const outcomes: Array<ReconnectingWebSocket.Outcome> = []
      const send = (from: number, count: number) =>
        Effect.forEach(
          Array.from({ length: count }, (_, i) => from + i),
          (i) => Effect.map(socket.send(String(i)), (outcome) => (outcomes[i] = outcome)),
          { discard: true }
        )

      const kills = 3
      const between = 50
      for (let kill = 0; kill < kills; kill++) {
        yield* send(kill * between, between / 2)
        const rest = yield* Effect.forkChild(send(kill * between + between / 2, between / 2))
        yield* Scope.close(scope, Exit.void)
        scope = yield* Scope.make()
        yield* Scope.provide(recorder(port, received), scope)
        yield* Fiber.join(rest)
      }
      const total = kills * between + 1
      yield* send(total - 1, 1)
      yield* socket.close()
      const answers = [...(yield* Fiber.join(echoed))]
      yield* Scope.close(scope, Exit.void)

      assert.lengthOf(outcomes, total)
      assert.strictEqual(outcomes.filter((outcome) => outcome === "dropped").length, 0)
      assert.deepStrictEqual(
        received,
        [...new Set(received)].sort((a, b) => a - b),
        "doubled, or out of order"
      )
      assert.deepStrictEqual(
        answers,
        answers.filter((i) => received.includes(i)),
        "an answer to nothing"
      )
      assert.strictEqual(received.at(-1), total - 1)
      assert.strictEqual(outcomes.at(-1), "delivered")
    }).pipe(Effect.provide(NodeWebSocketClient.layer))
  )
})
