/** Jobs on standard input, a line of JSON each, and a line for each report. For Node, Bun and Deno. */
import { createInterface } from "node:readline"
import process from "node:process"

export const serveJobs = (work) => {
  createInterface({ input: process.stdin }).on("line", async (line) => {
    const report = await work(JSON.parse(line))
    process.stdout.write(`${JSON.stringify(report)}\n`)
  })
}
