import { build } from "esbuild"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL(".", import.meta.url))

/** The license of a package in one of the folders of pnpm. */
const licenseOf = (folder: string): string => {
  const { name, version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as Record<string, string>
  const file = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file))
  if (file === undefined) throw new Error(`${name} has no license file`)
  return `${name} ${version}\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`
}

/**
 * Bundles the command into one file of a folder, and writes the licenses of all packages whose code is in it. Returns how many
 * packages these are.
 */
export const bundle = async (folder: string): Promise<number> => {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: ["src/main.ts"],
    outfile: join(folder, "main.js"),
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
  const packages = new Set(
    Object.values(metafile.outputs)
      .flatMap(({ inputs }) => Object.entries(inputs))
      .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
      .flatMap(([file]) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0] ?? [])
  )
  const licenses = [...packages].sort().map((path) => licenseOf(join(root, path)))
  writeFileSync(join(folder, "THIRD-PARTY-NOTICES.txt"), licenses.join(`\n${"-".repeat(80)}\n\n`))
  return packages.size
}
