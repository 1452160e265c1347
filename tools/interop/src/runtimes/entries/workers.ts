import { WorkersWebSocketClient } from "@effect-websocket/platform/workers"
import type { Targets } from "../behaviours.js"
import { runAll } from "../client.js"

// The request has the targets, and the answer what was shown.
export default {
  fetch: async (request: Request): Promise<Response> => {
    const targets: Targets = JSON.parse(await request.text())
    return Response.json(await runAll(WorkersWebSocketClient, targets))
  }
}
