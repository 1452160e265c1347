import { DenoWebSocketClient } from "@effect-websocket/platform/deno"
import type { Targets } from "../behaviours.js"
import { runAll } from "../client.js"

declare const process: { readonly argv: ReadonlyArray<string> }

const targets: Targets = JSON.parse(process.argv.at(-1) ?? "")
console.log(JSON.stringify(await runAll(DenoWebSocketClient, targets)))
