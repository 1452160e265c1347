/** What a client shows over the WebSocket of its runtime. It runs in that runtime, so it imports nothing of Node. */
import * as Effect from "effect/Effect"
import { tryAll, type Client, type Targets } from "./behaviours.js"
import { observeFacts } from "./facts.js"
import type { Shown } from "./observe.js"

/** Tries all behaviours, and then observes all facts. */
export const runAll = (client: Client, targets: Targets): Promise<Shown> =>
  Effect.runPromise(Effect.all({ behaviours: tryAll(client, targets), facts: observeFacts(client.layer, targets) }))
