import * as NodeWebSocketServer from "@effect-websocket/platform/node/NodeWebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import manifest from "../package.json" with { type: "json" }
import { run, start } from "./command.js"

/** A command that has connected to a server here. */
const connected = (...args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const server = yield* NodeWebSocketServer.make({ port: 0, host: "127.0.0.1" })
    const running = yield* start("connect", server.address.url, ...args)
    return { running, server }
  })

describe("main", () => {
  it.live("shows its version and help", () =>
    Effect.gen(function* () {
      const [version, help, none] = yield* Effect.all([run("", "--version"), run("", "connect", "-h"), run("")], {
        concurrency: 2
      })
      assert.deepStrictEqual([version.status, version.stdout], [0, `effect-websocket v${manifest.version}\n`])
      assert.strictEqual(help.status, 0)
      assert.include(help.stdout, "--cookie-jar")
      assert.include(help.stdout, "--verbose, -v")
      assert.notInclude(help.stdout, "--version, -v")
      assert.include(none.stdout, "listen")
    })
  )

  it.live("says on stderr what is wrong with a command line", () =>
    Effect.gen(function* () {
      const { status, stderr, stdout } = yield* run("", "connect", "ws://localhost", "--nonsense")
      assert.deepStrictEqual([status, stdout], [2, ""])
      assert.match(stderr, /--nonsense.*\neffect-websocket: effect-websocket connect --help lists what there is\n$/)
    })
  )

  for (const [signal, status] of [
    ["SIGINT", 130],
    ["SIGTERM", 143]
  ] as const) {
    it.live(`closes with the handshake on ${signal}`, () =>
      Effect.gen(function* () {
        const { running, server } = yield* connected("--verbose")
        const socket = yield* server.accept()
        running.child.kill(signal)
        const { clean, received } = yield* socket.closeStatus
        assert.deepStrictEqual([received?.code, clean], [1001, true])
        assert.strictEqual(yield* running.status, status)
        assert.include(running.stderr, "sent Close 1001 (GoingAway), received Close 1001 (GoingAway), clean\n")
      })
    )
  }

  it.live("drops the connection at the second signal", () =>
    Effect.gen(function* () {
      const { running, server } = yield* connected("--close-timeout", "1h")
      const socket = yield* server.accept({ delivery: "frames", answerClose: false })
      running.child.kill("SIGINT")
      assert.strictEqual((yield* socket.receive).opcode, 8)
      running.child.kill("SIGINT")
      assert.strictEqual(yield* running.status, 130)
      assert.isFalse((yield* socket.closeStatus).clean)
    })
  )

  it.live("ends without a word once nobody reads its output", () =>
    Effect.gen(function* () {
      const { running, server } = yield* connected()
      running.child.stdout.destroy()
      const socket = yield* server.accept()
      yield* Effect.ignore(Effect.forever(Effect.andThen(socket.send("more"), Effect.sleep(1))))
      assert.isTrue((yield* socket.closeStatus).clean)
      assert.deepStrictEqual([yield* running.status, running.stderr], [0, ""])
    })
  )
})
