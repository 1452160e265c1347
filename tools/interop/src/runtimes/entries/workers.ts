import { WorkersWebSocketClient } from "@effect-websocket/platform/workers"
import { runAll, type Targets } from "../behaviours.js"

// The request has the targets, and the answer the outcomes.
export default {
  fetch: async (request: Request): Promise<Response> => {
    const targets: Targets = JSON.parse(await request.text())
    const abilities = { headers: true, refusals: true, unsent: false }
    return Response.json(await runAll(WorkersWebSocketClient, abilities, targets))
  }
}
