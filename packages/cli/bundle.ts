/** Bundles the command into one file, and writes the licenses of what is in it. `dist` is all that is published. */
import { build } from "esbuild"
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const folder = fileURLToPath(new URL(".", import.meta.url))

const { metafile } = await build({
  absWorkingDir: folder,
  entryPoints: ["src/main.ts"],
  outfile: "dist/main.js",
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node22.19",
  conditions: ["@effect-websocket/source"],
  minifySyntax: true,
  legalComments: "none",
  metafile: true,
  // Dependencies that are CommonJS need `require`.
  banner: {
    js: 'import { createRequire as requireFor } from "node:module"; const require = requireFor(import.meta.url);'
  }
})

/** The folders of the packages whose code is in the bundle. */
const packages = new Set(
  Object.values(metafile.outputs)
    .flatMap(({ inputs }) => Object.entries(inputs))
    .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
    .flatMap(([file]) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0] ?? [])
)

const licenses = [...packages].sort().map((path) => {
  const { name, version } = JSON.parse(readFileSync(join(folder, path, "package.json"), "utf8")) as {
    readonly name: string
    readonly version: string
  }
  const file = readdirSync(join(folder, path)).find((file) => /^licen[cs]e/i.test(file))
  if (file === undefined || !existsSync(join(folder, path, file))) throw new Error(`${name} has no license file`)
  return `${name} ${version}\n\n${readFileSync(join(folder, path, file), "utf8").trim()}\n`
})
writeFileSync(join(folder, "dist/THIRD-PARTY-LICENSES.txt"), licenses.join(`\n${"-".repeat(80)}\n\n`))
console.log(`packages/cli/dist/main.js: ${licenses.length} packages inside`)
