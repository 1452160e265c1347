/**
 * Checks that every `pnpm` command in the documentation, the comments and `.ci/run` names a script that exists, of the root or
 * of the workspace package after `--filter`.
 */
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"

interface Manifest {
  readonly name: string
  readonly scripts?: Readonly<Record<string, string>>
}

/** Commands of pnpm, and of programs that the root installs. */
const known = new Set(["changeset", "exec", "install", "pack"])

const git = spawnSync("git", ["ls-files", "-z"], { encoding: "utf8" })
const tracked = git.stdout.split("\0").filter((file) => file !== "")

const scriptsOf = new Map(
  tracked
    .filter((file) => /(^|\/)package\.json$/.test(file))
    .map((file) => {
      const { name, scripts = {} } = JSON.parse(readFileSync(file, "utf8")) as Manifest
      return [file === "package.json" ? "" : name.replace(/^@[^/]+\//, ""), Object.keys(scripts)]
    })
)

const exists = (target: string, script: string): boolean =>
  known.has(script) || (scriptsOf.get(target)?.includes(script) ?? false)

const files = tracked.filter((file) => /(\.(md|ts|json)|^\.ci\/run)$/.test(file) && !file.endsWith("CHANGELOG.md"))
let count = 0
let missing = 0
for (const file of files) {
  const text = readFileSync(file, "utf8")
  for (const [command, filters = "", script = ""] of text.matchAll(
    /\bpnpm(?:@[\d.]+)?((?: --filter \S+)*) ([a-z][\w:-]*)/g
  )) {
    count++
    const targets = [...filters.matchAll(/ --filter '?(?:\.\/packages\/)?([\w-]+)/g)].map(([, name = ""]) => name)
    if ((targets.length === 0 ? [""] : targets).every((target) => exists(target, script))) continue
    missing++
    console.error(`${file}: ${command} does not exist`)
  }
}
console.log(`${count} commands in ${files.length} files, ${missing} of them missing`)
process.exitCode = count > 0 && missing === 0 ? 0 : 1
