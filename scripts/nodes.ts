import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { resolve } from "node:path"
import { fileURLToPath } from "node:url"

/** The oldest Node that is supported, and newer majors. */
export const nodes = { "20": "20.19.0", "22": "22.23.3", "24": "24.21.0", "26": "26.12.1" } as const

const cache = fileURLToPath(new URL("../node_modules/.cache/nodes", import.meta.url))

export type Major = keyof typeof nodes

/**
 * The binary of a Node, from npm the first time. The package `node` would fetch it in an install script, which npm need not
 * run; the package of the platform has it.
 */
export const installNode = (major: Major): string => {
  const version = nodes[major]
  const folder = resolve(cache, version)
  const binary = resolve(folder, "node_modules/node/bin/node")
  if (existsSync(binary)) return binary
  mkdirSync(folder, { recursive: true })
  const prefix = process.platform === "darwin" && process.arch === "arm64" ? "node-bin" : "node"
  const dependencies = { node: `npm:${prefix}-${process.platform}-${process.arch}@${version}` }
  writeFileSync(resolve(folder, "package.json"), JSON.stringify({ private: true, dependencies }))
  const { error, output, status } = spawnSync("npm", ["install", "--no-audit", "--no-fund"], {
    cwd: folder,
    encoding: "utf8"
  })
  if (status !== 0) throw new Error(`Node ${version} does not come from npm:\n${error?.message ?? output.join("")}`)
  return binary
}

/** This Node, or one from npm if Effect 4 needs a newer one. */
export const nodeForEffect4 = (): string => {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
  return major > 22 || (major === 22 && minor >= 19) ? process.execPath : installNode("24")
}
