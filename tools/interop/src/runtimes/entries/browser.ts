import { BrowserWebSocketClient } from "@effect-websocket/platform/browser"
import { runAll, type Targets } from "../behaviours.js"

// The page calls it.
Reflect.set(globalThis, "runBehaviours", (targets: Targets) =>
  runAll(BrowserWebSocketClient, { headers: false, refusals: false, unsent: true }, targets)
)
