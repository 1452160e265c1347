/** The programs of a run, each in one file, because a bundle starts in a fraction of the time that sources take. */
import { build } from "esbuild"
import { fileURLToPath } from "node:url"

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

export type ProgramName = "node" | "client"

export const programFile = (name: ProgramName): string => path(`../node_modules/.cache/topics-faults/${name}.mjs`)

export const bundle = async (): Promise<void> => {
  await build({
    entryPoints: { node: path("./programs/node.ts"), client: path("./programs/client.ts") },
    outdir: path("../node_modules/.cache/topics-faults"),
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node20",
    conditions: ["@effect-websocket/source"],
    // Packages in CommonJS need `require`.
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);'
    }
  })
}
