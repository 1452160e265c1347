import { buildSync } from "esbuild"
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

/**
 * Bundles programs of `src` into a new folder, which it returns, so that Node does not compile the sources at the start of each
 * process.
 */
export const bundle = (...names: ReadonlyArray<string>): string => {
  const folder = mkdtempSync(join(tmpdir(), "effect-websocket-examples-"))
  buildSync({
    entryPoints: names.map((name) => fileURLToPath(new URL(`../src/${name}.ts`, import.meta.url))),
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    target: "node20",
    conditions: ["@effect-websocket/source"],
    // Dependencies that are CommonJS need `require`.
    banner: {
      js: 'import { createRequire as requireFor } from "node:module"; const require = requireFor(import.meta.url)'
    }
  })
  return folder
}
