/** What happens in pipes. */
import { Effect } from "effect"
import type { Client } from "./clients.js"
import { unlessAsked, type Row } from "./rows.js"
import { start, type Run } from "./Run.js"
import { hexadecimal, nameOf, serve } from "./servers.js"

/**
 * How many messages of a command reach a server that sends back what it gets, and how many answers it prints. Without an input,
 * stdin stays open.
 */
const exchanged = (command: (url: string) => ReadonlyArray<string>, input?: string) =>
  Effect.gen(function* () {
    const server = yield* serve()
    const run = yield* start(command(server.address.url))
    if (input !== undefined) run.child.stdin.end(input)
    let sent = 0
    const echo = Effect.scoped(
      Effect.flatMap(server.accept(), (socket) =>
        socket.run((message) => {
          sent++
          return socket.send(message)
        })
      )
    )
    yield* Effect.forkScoped(Effect.ignore(echo))
    yield* run.status
    const printed = run.stdout
      .toString()
      .split("\n")
      .filter((text) => text === "one" || text === "two").length
    return `${sent} sent, ${printed} answers printed`
  })

const lines: Row = (client) => exchanged((url) => client.connect(url), "one\ntwo\n")
const given: Row = (client) => exchanged((url) => client.send(url, "one", "two"))

const received: Row = (client) =>
  Effect.gen(function* () {
    const server = yield* serve()
    const run = yield* start(client.connect(server.address.url, ...client.bytes, ...client.stays))
    const socket = yield* server.accept()
    yield* socket.send(new Uint8Array([0, 0xff]))
    yield* socket.close(1000)
    yield* run.status
    return `\`${hexadecimal(run.stdout)}\``
  })

/** The first frame that a line becomes, or `undefined` if the command ends without one. */
const sentFor = (client: Client, line: string, options: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const server = yield* serve()
    const run = yield* start(client.connect(server.address.url, ...options))
    const socket = yield* server.accept({ delivery: "frames" })
    yield* run.type(`${line}\n`)
    const frame = Effect.map(socket.receive, nameOf)
    return yield* Effect.orElseSucceed(frame, () => undefined)
  })

const binary = unlessAsked("base64", "", (client, options) =>
  Effect.map(sentFor(client, "AP8=", options), (frame) => frame === "binary 00 ff")
)

const json = unlessAsked("json", "", (client, options) =>
  Effect.map(sentFor(client, "{", options), (frame) => frame === undefined || frame.startsWith("Close "))
)

const mebibytes = 32
const total = mebibytes * 1024 * 1024
const line = `${"x".repeat(16 * 1024 - 1)}\n`
const lump = Buffer.from(line.repeat(4))

/** Whether all bytes are taken. They are not, if nothing more of them is taken for a while. */
const takesAll = (step: () => Effect.Effect<void, unknown>, size: number) =>
  Effect.gen(function* () {
    for (let taken = 0; taken < total; taken += size) {
      const isTaken = yield* Effect.timeoutTo(step(), {
        duration: "3 seconds",
        onSuccess: () => true,
        onTimeout: () => false
      })
      if (!isTaken) return false
    }
    return true
  })

const told = (run: Run, all: boolean): string =>
  !run.isRunning ? "ends" : all ? `reads ${mebibytes} MiB` : "stops reading"

const written = (run: Run) => () =>
  Effect.async<void>((resume) => {
    if (run.child.stdin.write(lump)) resume(Effect.void)
    else run.child.stdin.once("drain", () => resume(Effect.void))
  })

/** stdin, while the server reads nothing. */
const fromStdin: Row = (client) =>
  Effect.gen(function* () {
    const server = yield* serve()
    const run = yield* start(client.connect(server.address.url, ...client.stays))
    yield* server.accept({ delivery: "frames" })
    return told(run, yield* takesAll(written(run), lump.length))
  })

/** The connection, while nobody reads stdout. */
const fromPeer: Row = (client) =>
  Effect.gen(function* () {
    const server = yield* serve({ limits: { maxMessageBytes: total } })
    const run = yield* start(client.connect(server.address.url, ...client.stays), { unread: true })
    const socket = yield* server.accept()
    return told(run, yield* takesAll(() => socket.send(lump), lump.length))
  })

export const pipes: Readonly<Record<string, Row>> = {
  "two messages of the command line": given,
  "two lines and the end of stdin": lines,
  "the binary message `00 ff` on stdout": received,
  "a line of base64 sends bytes": binary,
  "refuses a line that is not JSON": json,
  "stdin, while the peer reads nothing": fromStdin,
  "the connection, while nobody reads stdout": fromPeer
}
