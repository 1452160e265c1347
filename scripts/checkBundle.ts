/**
 * Bundles a small browser client for both versions of Effect. Fails if the library's own part of it is too large, or has what a
 * browser does not need.
 */
import { build } from "esbuild"
import { gzipSync } from "node:zlib"

// Minified and compressed with gzip, beyond Effect itself.
const maxBytes = 25 * 1024

const app = `
import * as WebSocketClient from "@effect-websocket/platform/WebSocketClient"
import { BrowserWebSocketClient } from "@effect-websocket/platform/browser"
import * as Effect from "effect/Effect"

const program = Effect.gen(function* () {
  const socket = yield* WebSocketClient.connect("wss://example.com/chat")
  yield* socket.send("hello")
  return yield* socket.receive
}).pipe(Effect.scoped, Effect.provide(BrowserWebSocketClient.layer))

void Effect.runPromise(program).then(console.log)
`

// Node's modules need no entry: for a browser, esbuild refuses them.
const unwanted: ReadonlyArray<readonly [string, RegExp]> = [
  [
    "the codec of the protocol",
    /protocol\/src\/(Connection|Frame(Decoder|Encoder)|MessageAssembler|Handshake|Compressor|Mask)\.ts$/
  ],
  ["the code of metrics and spans", /\/internal\/(Metering|ConnectionMetrics|instruments|Tracing|spanAttributes)\.ts$/],
  ["the public suffix list", /\/(tldts|tldts-core|tough-cookie)\//],
  ["the module of Node", /\/src\/node\//]
]

/** The files that are in the bundle, and its size in bytes. `external`: without Effect. */
const bundle = async (folder: string, external: ReadonlyArray<string>) => {
  const { metafile, outputFiles } = await build({
    stdin: { contents: app, resolveDir: folder, loader: "ts" },
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    conditions: ["@effect-websocket/source"],
    external: [...external],
    metafile: true,
    write: false
  })
  const inputs = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.entries(inputs))
  return {
    files: inputs.flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? [file] : [])),
    bytes: outputFiles.reduce((bytes, { contents }) => bytes + gzipSync(contents).length, 0)
  }
}

for (const [effect, folder] of [
  ["Effect 3", "packages/platform"],
  ["Effect 4", "packages/platform-effect4"]
] as const) {
  const whole = await bundle(folder, [])
  const own = await bundle(folder, ["effect", "effect/*", "@effect/*"])
  for (const [what, pattern] of unwanted) {
    const found = whole.files.find((file) => pattern.test(file))
    if (found !== undefined) throw new Error(`A browser client for ${effect} has ${what} in its bundle: ${found}`)
  }
  if (own.bytes > maxBytes) {
    throw new Error(`A browser client for ${effect} has ${own.bytes} bytes beyond Effect; ${maxBytes} are allowed`)
  }
  console.log(`browser client, ${effect}: ${own.bytes} bytes beyond Effect, ${whole.bytes} with it`)
}
