/** What happens at a prompt. */
import { Frame } from "@effect-websocket/protocol"
import { generateKeyPairSync } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { stripVTControlCharacters } from "node:util"
import { Effect } from "effect"
import { tls } from "../fixtures.js"
import type { Client } from "./clients.js"
import { unlessAsked, whileRunning, type Row } from "./rows.js"
import { start } from "./Run.js"
import { nameOf, serve } from "./servers.js"

/** A command at a terminal, connected to a server that sees its frames and answers none. */
const connected = (client: Client, ...options: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const server = yield* serve()
    const run = yield* start(client.connect(server.address.url, ...options), { terminal: true })
    const socket = yield* server.accept({ delivery: "frames", answerClose: false, answerPings: false })
    yield* run.until("a connection", (output) => client.connected.test(output))
    return { run, socket, nextFrame: Effect.map(socket.receive, nameOf) }
  })

/** How the connection ends after a key. */
const endsWith =
  (key: string): Row =>
  (client) =>
    Effect.gen(function* () {
      const { nextFrame, run, socket } = yield* connected(client)
      yield* run.type(key)
      const first = yield* Effect.orElseSucceed(nextFrame, () => "no Close")
      const waits = yield* Effect.timeoutTo(run.status, {
        duration: "2 seconds",
        onSuccess: () => false,
        onTimeout: () => true
      })
      yield* socket.close(1000)
      return `${first}, ${waits ? "waits for the answer" : "does not wait"}, status ${yield* run.status}`
    })

const history: Row = (client) =>
  Effect.gen(function* () {
    const { nextFrame, run } = yield* connected(client)
    yield* run.type("one\r")
    const typed = yield* nextFrame
    yield* run.type("\u001b[A\r")
    const again = yield* Effect.timeoutTo(nextFrame, {
      duration: "2 seconds",
      onSuccess: (frame) => frame,
      onTimeout: () => "nothing"
    })
    return again === typed ? "sends the last line again" : `sends ${again}`
  })

const controlFrames = (options: ReadonlyArray<string>) => (client: Client) =>
  Effect.gen(function* () {
    const { nextFrame, run } = yield* connected(client, ...options)
    const frames: Array<string> = []
    for (const line of ["/ping a", "/pong b", "/close 4000 bye"]) {
      yield* run.type(`${line}\r`)
      frames.push(yield* nextFrame)
    }
    return frames
  })

const typedControlFrames: Row = (client) =>
  unlessAsked("slash commands", "", (client, options) =>
    Effect.map(controlFrames(options)(client), (frames) => frames.join(", ") === "ping a, pong b, Close 4000 bye")
  )(client)

const hostile = "\u001b[31mred\u0007"

const controlCharacters: Row = (client) =>
  Effect.gen(function* () {
    const { run, socket } = yield* connected(client)
    yield* socket.send(Frame.text(hostile))
    const output = yield* run.until("the message", (output) => output.includes("red"))
    return output.includes(hostile) ? "reach the terminal" : `shown as \`${/\S*red\S*/.exec(output)?.[0]}\``
  })

const encryptedKey = Effect.acquireRelease(
  Effect.sync(() => {
    const folder = mkdtempSync(join(tmpdir(), "interop-key-"))
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
    const options = { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "secret" } as const
    writeFileSync(join(folder, "key.pem"), privateKey.export(options))
    writeFileSync(join(folder, "cert.pem"), tls.cert)
    return folder
  }),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

const passphrase = unlessAsked("passphrase", "", (client, options) =>
  Effect.gen(function* () {
    const folder = yield* encryptedKey
    const server = yield* serve({ tls })
    const files = ["--cert", join(folder, "cert.pem"), "--key", join(folder, "key.pem")]
    const run = yield* start(client.connect(server.address.url, ...files, ...options), { terminal: true })
    const asks = run.until("a question", (output) => /passphrase: *$/i.test(stripVTControlCharacters(output)))
    return yield* whileRunning(
      run,
      Effect.orElse(asks, () => Effect.never)
    )
  })
)

export const terminal: Readonly<Record<string, Row>> = {
  "Up and Enter at the prompt": history,
  "`/ping a`, `/pong b` and `/close 4000 bye` at the prompt": typedControlFrames,
  "control characters of the peer": controlCharacters,
  "Ctrl+C": endsWith("\u0003"),
  "Ctrl+D": endsWith("\u0004"),
  "asks for the passphrase of a key": passphrase
}
