import { DenoWebSocketServer } from "@effect-websocket/platform/deno"
import { serveAll } from "../hosts/app.js"
import { lines } from "./lines.js"

declare const Deno: {
  serve(
    options: { readonly port: number; readonly hostname: string; readonly onListen: () => void },
    handler: (request: Request, info: DenoWebSocketServer.DenoInfo) => Response | Promise<Response>
  ): DenoWebSocketServer.DenoServer
}

await serveAll(
  {
    make: ({ unread, watches, ...options }) =>
      DenoWebSocketServer.make({
        ...options,
        ...(unread === undefined ? {} : { maxUnreadBytes: unread }),
        ...(watches === true ? { heartbeatInterval: "1 second" } : {})
      }),
    attach: DenoWebSocketServer.attach((fetch) =>
      Deno.serve(
        { port: 0, hostname: "127.0.0.1", onListen: () => {} },
        (request, info) => fetch(request, info) ?? new Response("healthy")
      )
    )
  },
  lines()
)
