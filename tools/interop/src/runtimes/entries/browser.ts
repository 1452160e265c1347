import { BrowserWebSocketClient } from "@effect-websocket/platform/browser"
import type { Targets } from "../behaviours.js"
import { runAll } from "../client.js"

// The page calls it.
Reflect.set(globalThis, "runAll", (targets: Targets) => runAll(BrowserWebSocketClient, targets))
