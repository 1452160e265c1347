/** What all measured clients share: where to connect to, and the count of messages beside the usage of the process. */
import { usage } from "../servers/serve.js"

export const url = `ws://127.0.0.1:${process.env["BENCHMARK_PORT"] ?? ""}`

let count = 0

/** A message was received. */
export const received = (): void => {
  count++
}

/** The connection is open. */
export const opened = (): void => {
  process.on("message", () => process.send?.({ ...usage(), count }))
  process.on("disconnect", () => process.exit())
  process.send?.({ port: 0 })
}
