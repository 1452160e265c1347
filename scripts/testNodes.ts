/** Runs the tests of the packages on the majors of Node that are given as arguments; on 24 without. */
import { spawnSync } from "node:child_process"
import { installNode, type Major, nodes } from "./nodes.js"

const isMajor = (name: string): name is Major => name in nodes

const majors = process.argv.length > 2 ? process.argv.slice(2) : ["24"]
for (const major of majors) {
  if (!isMajor(major)) throw new Error(`${major} is not one of ${Object.keys(nodes).join(", ")}`)
  const node = installNode(major)
  console.log(`Node ${nodes[major]}`)
  const projects = ["protocol", "platform", "cluster", "topics-redis", "topics-nats"].flatMap((name) => [
    "--project",
    name
  ])
  const { status } = spawnSync(node, ["node_modules/vitest/vitest.mjs", "run", ...projects], { stdio: "inherit" })
  if (status !== 0) {
    console.error(`The tests fail on Node ${nodes[major]}`)
    process.exitCode = 1
  }
}
