import { buildSync } from "esbuild"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

type Program = "client" | "recorder" | "server"

/**
 * Bundles programs of this folder for a test file that starts them. Node loads a bundle in a tenth of the time that it takes to
 * compile the sources at the start of each process.
 */
export const bundle = (
  ...names: ReadonlyArray<Program>
): { readonly path: (name: Program) => string; readonly remove: () => void } => {
  const outdir = mkdtempSync(join(tmpdir(), "effect-websocket-programs-"))
  buildSync({
    entryPoints: names.map((name) => fileURLToPath(new URL(`programs/${name}.ts`, import.meta.url))),
    outdir,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    splitting: true,
    platform: "node",
    format: "esm",
    target: "node20",
    conditions: ["@effect-websocket/source"],
    // For the CommonJS among the dependencies.
    banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url)' }
  })
  return {
    path: (name) => join(outdir, `${name}.mjs`),
    remove: () => rmSync(outdir, { recursive: true, force: true })
  }
}
