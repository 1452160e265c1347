/**
 * Publishes each package whose version is not on the registry yet. changesets would give all of them one tag, and knows nothing
 * of the package for Effect 4. Arguments are passed on, such as `--dry-run`.
 */
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"

/** `latest` is what `npm install` takes: the package for Effect 4. */
const tags = {
  "packages/protocol": "latest",
  "packages/platform": "effect3",
  "packages/platform-effect4/published": "latest",
  "packages/topics-redis": "latest",
  "packages/topics-nats": "latest",
  "packages/cli": "latest"
}

for (const [folder, tag] of Object.entries(tags)) {
  const { name, version } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8")) as Record<string, string>
  const known = spawnSync("npm", ["view", `${name}@${version}`, "version"], { encoding: "utf8" })
  if (known.status === 0 && known.stdout.trim() !== "") {
    console.log(`${name} ${version} is published already`)
    continue
  }
  const args = ["publish", "--tag", tag, "--access", "public", "--no-git-checks", ...process.argv.slice(2)]
  const { error, status } = spawnSync("pnpm", args, { cwd: folder, stdio: "inherit" })
  if (status !== 0) {
    console.error(`${name} ${version} was not published${error === undefined ? "" : `: ${error.message}`}`)
    process.exitCode = 1
    break
  }
}
