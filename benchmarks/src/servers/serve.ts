/** What all measured processes share: their options, and the usage of the process, told to the parent on demand. */
import { parseArgs } from "node:util"

const { values } = parseArgs({
  options: {
    // What is done with a message: it is sent back, or to everybody.
    broadcast: { type: "boolean", default: false },
    compression: { type: "boolean", default: false },
    heartbeat: { type: "boolean", default: false },
    // Connections come and go.
    closing: { type: "boolean", default: false },
    // Clients send back what they receive, on this many connections.
    echo: { type: "boolean", default: false },
    connections: { type: "string", default: "1" },
    // How the messages are read, where there is a choice.
    api: { type: "string", default: "run" },
    "max-message-bytes": { type: "string", default: String(1024 * 1024) }
  }
})

export const options = {
  ...values,
  connections: Number(values.connections),
  maxMessageBytes: Number(values["max-message-bytes"])
}

/** Tells the parent the port. A message `"usage"` is answered with what the process used so far, `"idle"` after a collection. */
export const serve = (port: number): void => {
  process.on("message", (message) => {
    if (message === "idle") collect()
    process.send?.(usage())
  })
  process.on("disconnect", () => process.exit())
  process.send?.({ port })
}

/** CPU time in microseconds, and bytes. */
export const usage = () => {
  const { system, user } = process.cpuUsage()
  const { external, heapUsed, rss } = process.memoryUsage()
  return { cpu: user + system, heap: heapUsed, external, resident: rss }
}

const collect = (): void => {
  for (let i = 0; i < 4; i++) globalThis.gc?.()
}
