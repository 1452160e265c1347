import * as NodeWebSocketServer from "@effect-websocket/platform/node/NodeWebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync, spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { environment, folder, program } from "./command.js"

const hasTmux = spawnSync("tmux", ["-V"]).status === 0
if (!hasTmux) console.log("There is no tmux on this machine: the tests of the prompt are skipped")

/** A terminal of 40 columns in which the command runs; a line at the end shows its status. */
const open = (...args: ReadonlyArray<string>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const socket = join(folder, `tmux-${process.pid}-${Math.random().toString(36).slice(2)}`)
        const tmux = (...command: ReadonlyArray<string>): string =>
          execFileSync("tmux", ["-f", "/dev/null", "-S", socket, ...command], { env: environment, encoding: "utf8" })
        const quoted = [process.execPath, program, ...args].map((part) => `'${part}'`).join(" ")
        tmux("new-session", "-d", "-x", "40", "-y", "30", `${quoted}; echo "status $?"; exec cat`)
        return { socket, tmux }
      }),
      ({ socket, tmux }) => Effect.sync(() => (existsSync(socket) ? tmux("kill-server") : ""))
    ),
    ({ tmux }) => {
      const screen = Effect.sync(() => tmux("capture-pane", "-p").trimEnd())
      return {
        /** Types text and keys, such as `Enter`. */
        type: (...keys: ReadonlyArray<string>) => Effect.sync(() => void tmux("send-keys", ...keys)),
        /** Waits until the screen shows something, and returns all of it. */
        until: (pattern: RegExp): Effect.Effect<string> =>
          Effect.gen(function* () {
            while (true) {
              const text = yield* screen
              if (pattern.test(text)) return text
              yield* Effect.sleep("20 millis")
            }
          })
      }
    }
  )

describe.skipIf(!hasTmux)("Screen", () => {
  it.live("shows what is typed and received, and closes on Ctrl+C with the handshake", () =>
    Effect.gen(function* () {
      const server = yield* NodeWebSocketServer.make({ port: 0, host: "127.0.0.1" })
      const terminal = yield* open("connect", server.address.url)
      const socket = yield* server.accept()
      yield* terminal.until(/^connected to [^]*\n>/)

      yield* terminal.type("hello", "Enter")
      assert.strictEqual((yield* socket.receive).data, "hello")
      yield* terminal.type("/ping", "Enter")
      yield* terminal.until(/^received the pong after [\d.]+ ms$/m)
      yield* terminal.type("/close 1005", "Enter")
      yield* terminal.until(/^>$/m)

      // A line of several rows stays while messages arrive, and then goes on.
      const draft = "a line that is being typed while another message arrives"
      yield* terminal.type(draft)
      yield* terminal.until(/> a line that[^]*arrives$/)
      yield* socket.send("\u001b[31mone\u0007\n> two")
      yield* socket.send("three")
      const text = yield* terminal.until(/< three\n> a line[^]*arrives$/)
      assert.include(text, "< \\e[31mone\\x07\\n> two\n")
      assert.strictEqual(text.split("a line that").length, 2)
      yield* terminal.type("!", "Enter")
      assert.strictEqual((yield* socket.receive).data, `${draft}!`)

      yield* terminal.type("Up")
      yield* terminal.until(/arrives!$/)
      yield* terminal.type("C-c")
      const { clean, received } = yield* socket.closeStatus
      assert.deepStrictEqual([received?.code, clean], [1001, true])
      assert.match(yield* terminal.until(/status/), /\nclosed: sent Close 1001 [^]*, clean\n+status 130$/)
    })
  )

  it.live("closes with 1000 at the end of the input, and with the code of a command", () =>
    Effect.gen(function* () {
      const server = yield* NodeWebSocketServer.make({ port: 0, host: "127.0.0.1" })
      for (const [keys, code] of [
        [["C-d"], 1000],
        [["/close 4000 bye", "Enter"], 4000]
      ] as const) {
        const terminal = yield* open("connect", server.address.url)
        const socket = yield* server.accept()
        yield* terminal.until(/\n>/)
        yield* terminal.type(...keys)
        assert.strictEqual((yield* socket.closeStatus).received?.code, code)
        yield* terminal.until(/status 0$/)
      }
    })
  )
})
