/**
 * `pnpm --filter benchmarks codec [--json file]`: measures the cost of framing without a network, for this library and for `ws`. The classes of
 * `ws` are not part of its API, so they are loaded by file.
 */
import * as Connection from "@effect-websocket/protocol/Connection"
import * as Message from "@effect-websocket/protocol/Message"
import { NodeZlib } from "@effect-websocket/platform/node"
import { bench, do_not_optimize, group, run } from "mitata"
import { randomBytes } from "node:crypto"
import { writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import type { Writable } from "node:stream"
import { parseArgs } from "node:util"
import { message, type Shape } from "../load/frames.js"
import type { CodecResults } from "../results.js"

type WsReceiver = Writable
interface WsSender {
  send(data: string | Uint8Array, options: object, done?: () => void): void
}

// The measured classes have no types and no exports.
process.env["WS_NO_BUFFER_UTIL"] = "1"
const require = createRequire(import.meta.url)
const ws = (file: string): unknown => require(join(dirname(require.resolve("ws")), "lib", file))
const Receiver = ws("receiver.js") as new (options: object) => WsReceiver
const Sender = ws("sender.js") as new (socket: object, extensions: object) => WsSender

const { values } = parseArgs({ options: { json: { type: "string" } } })

const shape = (kind: Shape["kind"], bytes: number, fragments = 1): Shape => ({
  kind,
  bytes,
  fragments,
  compressed: false
})

/** A server that receives a message in chunks of a given size, each time it is called. */
const decodeOurs = (bytes: Buffer, chunkBytes: number) => {
  const connection = Connection.make({ role: "server", limits: { maxMessageBytes: 64 * 1024 * 1024 } })
  const input = Buffer.alloc(bytes.length)
  return () => {
    // The message is unmasked in place.
    bytes.copy(input)
    for (let start = 0; start < input.length; start += chunkBytes) {
      do_not_optimize(connection.receive(input.subarray(start, start + chunkBytes), true))
    }
  }
}

const decodeWs = (bytes: Buffer, chunkBytes: number) => {
  const receiver = new Receiver({ isServer: true, maxPayload: 64 * 1024 * 1024, allowSynchronousEvents: true })
  receiver.on("message", (data: unknown, isBinary: boolean) => {
    do_not_optimize(isBinary ? data : String(data))
  })
  const input = Buffer.alloc(bytes.length)
  return () => {
    bytes.copy(input)
    for (let start = 0; start < input.length; start += chunkBytes) {
      receiver.write(input.subarray(start, start + chunkBytes))
    }
  }
}

const pair = (name: string, ours: () => void, theirs: () => void): void =>
  group(name, () => {
    bench(`${name}: ours`, ours)
    bench(`${name}: ws`, theirs)
  })

const decoding = (name: string, one: Shape, chunkBytes = Number.MAX_SAFE_INTEGER): void => {
  const bytes = message(one, 0)
  pair(name, decodeOurs(bytes, chunkBytes), decodeWs(bytes, chunkBytes))
}

decoding("decode 125 B text", shape("text", 125))
decoding("decode 1 KiB text", shape("text", 1024))
decoding("decode 64 KiB text", shape("text", 65_536))
decoding("decode 64 KiB binary (mask)", shape("binary", 65_536))
decoding("decode 64 KiB binary in 64 fragments (assembler)", shape("binary", 65_536, 64))
for (const chunkBytes of [1, 7, 64, 512, 4096, 65_536]) {
  decoding(`decode 64 KiB text in chunks of ${chunkBytes} B`, shape("text", 65_536), chunkBytes)
}

const encodeOurs = (role: "client" | "server", data: string | Uint8Array) => {
  const connection =
    role === "server" ? Connection.make({ role }) : Connection.make({ role, maskKey: () => 0x12345678 })
  const one = typeof data === "string" ? Message.text(data) : Message.binary(data)
  return () => {
    connection.send(one)
    do_not_optimize(connection.takeOutput())
    connection.recycleOutput()
  }
}

const encodeWs = (role: "client" | "server", data: string | Uint8Array) => {
  const sink = { cork: () => {}, uncork: () => {}, write: (bytes: Uint8Array) => do_not_optimize(bytes) }
  const sender = new Sender(sink, {})
  const options = { binary: typeof data !== "string", fin: true, mask: role === "client", compress: false }
  return () => sender.send(data, options)
}

const ascii = (bytes: number): string => "the quick brown fox ".repeat(bytes / 20 + 1).slice(0, bytes)

for (const role of ["server", "client"] as const) {
  for (const [name, data] of [
    ["125 B text", ascii(125)],
    ["1 KiB text", ascii(1024)],
    ["64 KiB text", ascii(65_536)],
    ["1 KiB text that is not ASCII (UTF-8)", "grüße ".repeat(128)],
    ["16 KiB binary", randomBytes(16_384)]
  ] as const) {
    pair(`encode ${name}, as ${role}`, encodeOurs(role, data), encodeWs(role, data))
  }
}

// One call of `node:zlib` for each message, without a dictionary and with one.
const json = message({ kind: "json", bytes: 1024, fragments: 1, compressed: false }, 0).subarray(8)
group("deflate 1 KiB of JSON", () => {
  const options = { windowBits: 12, memLevel: 5, level: 6 }
  for (const dictionaryBytes of [0, 4096, 32_768]) {
    const dictionary = Buffer.alloc(dictionaryBytes, json)
    bench(`deflate 1 KiB of JSON: with a dictionary of ${dictionaryBytes} B`, () => {
      do_not_optimize(
        NodeZlib.zlib.deflate(json, { ...options, windowBits: dictionaryBytes > 4096 ? 15 : 12, dictionary })
      )
    })
  }
})

const { benchmarks } = await run()

if (values.json !== undefined) {
  const found = benchmarks.flatMap(({ alias, runs }) => {
    const [group = "", name = ""] = alias.split(": ")
    return runs.map(({ stats }) => ({ group, name, nanos: stats?.p50 ?? null }))
  })
  writeFileSync(values.json, `${JSON.stringify({ node: process.version, found } satisfies CodecResults)}\n`)
}
