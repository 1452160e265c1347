/** All targets and the library's sources in one file, instrumented. What they depend on stays outside, as it is. */
import { build, transform, type Plugin } from "esbuild"
import { createInstrumenter } from "istanbul-lib-instrument"
import { readFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"

const instrument: Plugin = {
  name: "instrument",
  setup: ({ onLoad }) => {
    onLoad({ filter: /(packages\/(protocol|platform)|tools\/fuzz)\/src\/.*\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8")
      const { code } = await transform(source, { loader: "ts", format: "esm", target: "node20", sourcefile: path })
      const instrumenter = createInstrumenter({ esModules: true, compact: true, produceSourceMap: false })
      return { contents: instrumenter.instrumentSync(code, path), loader: "js" }
    })
  }
}

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

export interface Bundle {
  readonly targetsFile: string
  readonly workerFile: string
}

/** Writes the targets and the worker, which runs without a loader, to where `effect` and `ws` are found. */
export const bundle = async (): Promise<Bundle> => {
  const folder = path("../node_modules/.cache/fuzz")
  const shared = { bundle: true, platform: "node", format: "esm", target: "node20" } as const
  const targetsFile = `${folder}/targets.mjs`
  await build({
    ...shared,
    entryPoints: [path("./targets.ts")],
    outfile: targetsFile,
    conditions: ["@effect-websocket/source"],
    external: ["effect", "effect/*", "ws"],
    plugins: [instrument]
  })
  const workerFile = `${folder}/worker.mjs`
  await build({ ...shared, entryPoints: [path("./worker.ts")], outfile: workerFile })
  return { targetsFile, workerFile }
}
