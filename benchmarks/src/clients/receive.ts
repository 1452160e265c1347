/** Shared by all measured clients: the address to connect to, and the count of messages in the usage report. */
import { options, usage } from "../servers/serve.js"

export const url = `ws://127.0.0.1:${process.env["BENCHMARK_PORT"] ?? ""}`

let count = 0

/** A message was received. */
export const received = (): void => {
  count++
}

let connections = 0

/** A connection is open. After the last one, the parent gets a message. */
export const opened = (): void => {
  connections++
  if (connections !== options.connections) return
  process.on("message", () => process.send?.({ ...usage(), count }))
  process.on("disconnect", () => process.exit())
  process.send?.({ port: 0 })
}

/** Calls the function once for each connection. */
export const connectAll = (connect: () => void): void => {
  for (let i = 0; i < options.connections; i++) connect()
}
