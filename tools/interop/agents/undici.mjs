import { WebSocket } from "undici"
import { serveJobs } from "./lines.mjs"
import { webClient } from "./shared.mjs"

serveJobs(({ origin, protocols, url }) =>
  webClient(WebSocket, { url, protocols, ...(origin ? { options: { headers: { origin } } } : {}) })
)
