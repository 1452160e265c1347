/** Runs a recipe: `pnpm --filter examples recipe NAME`. */
import { NodeRuntime } from "@effect/platform-node"
import { Effect } from "effect"

const recipes: Readonly<Record<string, () => Promise<{ readonly program: Effect.Effect<unknown, unknown> }>>> = {
  "graphql-ws": () => import("./recipes/graphql-ws.js"),
  mqtt: () => import("./recipes/mqtt.js"),
  partysocket: () => import("./recipes/partysocket.js"),
  rxjs: () => import("./recipes/rxjs.js"),
  "socket.io": () => import("./recipes/socket.io.js"),
  "vscode-jsonrpc": () => import("./recipes/vscode-jsonrpc.js"),
  "y-websocket": () => import("./recipes/y-websocket.js")
}

const recipe = recipes[process.argv[2] ?? ""]
if (recipe === undefined) {
  console.error(`Name one of: ${Object.keys(recipes).join(", ")}`)
  process.exitCode = 1
} else {
  NodeRuntime.runMain(Effect.flatMap(Effect.promise(recipe), ({ program }) => program))
}
