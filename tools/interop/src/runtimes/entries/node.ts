// The WebSocket of Node is that of browsers, so it tries the browser's module without a browser.
import { BrowserWebSocketClient } from "@effect-websocket/platform/browser"
import type { Targets } from "../behaviours.js"
import { runAll } from "../client.js"

const targets: Targets = JSON.parse(process.argv.at(-1) ?? "")
console.log(JSON.stringify(await runAll(BrowserWebSocketClient, targets)))
process.exit()
