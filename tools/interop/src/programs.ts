/** Finding and installing what the peers need. */
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { delimiter, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

export const folderOf = (relative: string): string => fileURLToPath(new URL(`../${relative}`, import.meta.url))

const cache = fileURLToPath(new URL("../../../node_modules/.cache/interop", import.meta.url))

const isMusl = (): boolean => existsSync("/etc/alpine-release")

/** Packages that carry the programs themselves, so that no install script has to run. */
const binaries = {
  bun: {
    name: `@oven/bun-${process.platform}-${process.arch === "arm64" ? "aarch64" : "x64"}${isMusl() ? "-musl" : ""}`,
    version: "1.4.5",
    file: "bin/bun"
  },
  deno: {
    name: `@deno/${process.platform}-${process.arch}${process.platform === "linux" ? "-glibc" : ""}`,
    version: "2.9.6",
    file: "deno"
  },
  workerd: {
    name: `@cloudflare/workerd-${process.platform}-${process.arch === "arm64" ? "arm64" : "64"}`,
    version: "1.20261117.1",
    file: "bin/workerd"
  }
} as const

/** Packages of JavaScript that are compared with ours. */
const packages = {
  wscat: { name: "wscat", version: "6.1.0", file: "package.json" }
} as const

/** Debian's packages, and the programs that they bring. */
export const debianPackages = {
  chromium: ["chromium", "chromium-browser", "google-chrome"],
  "python3-websockets": ["/usr/bin/python3"],
  "libwebsockets-test-server": ["libwebsockets-test-server"],
  "nginx-light": ["nginx"],
  haproxy: ["haproxy"]
} as const

// A mirror that does not answer must not hold up everything else.
const patience = 4 * 60_000

const run = (command: string, args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = {}) =>
  spawnSync(command, args, { encoding: "utf8", env: { ...process.env, ...env }, timeout: patience })

/** The first line that a program prints, or `undefined` where it does not run. */
export const firstLine = (command: string, args: ReadonlyArray<string>): string | undefined => {
  const { error, status, stderr, stdout } = run(command, args)
  if (error !== undefined || (status !== 0 && status !== 1)) return undefined
  return `${stdout}${stderr}`.trim().split("\n")[0]
}

export const find = (names: ReadonlyArray<string>): string | undefined => {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin", "/usr/bin"]
  return names
    .flatMap((name) => (name.startsWith("/") ? [name] : folders.map((folder) => join(folder, name))))
    .find((file) => existsSync(file))
}

interface NpmPackage {
  readonly name: string
  readonly version: string
  /** A file of it. */
  readonly file: string
}

const pathOf = ({ file, name }: NpmPackage): string => join(cache, "node_modules", name, file)

/** From the cache, or from the `PATH`. */
export const findBinary = (name: keyof typeof binaries): string | undefined => {
  const path = pathOf(binaries[name])
  return existsSync(path) ? path : find([name])
}

/** The folder of a package in the cache. */
export const findPackage = (name: keyof typeof packages): string | undefined => {
  const path = pathOf(packages[name])
  return existsSync(path) ? dirname(path) : undefined
}

const pythonHasWebSockets = (): boolean =>
  firstLine("/usr/bin/python3", ["-c", "import websockets.version as v; print(v.version)"])?.match(/^\d/) !== null

const isInstalled = (name: keyof typeof debianPackages): boolean =>
  find(debianPackages[name]) !== undefined && (name !== "python3-websockets" || pythonHasWebSockets())

const tell = (what: string, { error, status, stderr }: ReturnType<typeof run>): boolean => {
  if (status === 0) return true
  console.error(`Could not install ${what}: ${error?.message ?? stderr.trim().split("\n").slice(-3).join("\n")}`)
  return false
}

const installFromNpm = (found: ReadonlyArray<NpmPackage>): void => {
  const wanted = found.filter((each) => !existsSync(pathOf(each)))
  if (wanted.length === 0) return
  mkdirSync(cache, { recursive: true })
  const manifest = join(cache, "package.json")
  // npm removes what this does not name.
  if (!existsSync(manifest)) writeFileSync(manifest, JSON.stringify({ private: true }))
  for (const { name, version } of wanted) {
    const npm = [
      "install",
      "--prefix",
      cache,
      "--no-audit",
      "--no-fund",
      "--save-exact",
      "--ignore-scripts",
      `${name}@${version}`
    ]
    tell(name, run("npm", npm))
  }
}

const installDebianPackages = (names: ReadonlyArray<keyof typeof debianPackages>): void => {
  const wanted = names.filter((name) => !isInstalled(name))
  if (wanted.length === 0) return
  if (process.getuid?.() !== 0 || find(["apt-get"]) === undefined) {
    console.error(`Not installed, for lack of apt or of the rights to use it: ${wanted.join(", ")}`)
    return
  }
  // At run level 1 the packages start no services.
  const env = { DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" }
  if (!tell("the lists of apt", run("apt-get", ["update", "-qq"], env))) return
  for (const name of wanted) tell(name, run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", name], env))
}

export const installAll = (): void => {
  installFromNpm([binaries.bun, binaries.deno])
  installDebianPackages(["chromium", "python3-websockets", "libwebsockets-test-server", "nginx-light", "haproxy"])
}

/** What runs the clients of other runtimes. */
export const installRuntimes = (): void => {
  installFromNpm([binaries.bun, binaries.deno, binaries.workerd])
  installDebianPackages(["chromium"])
}

/** What the command of this repository is compared with. */
export const installCommands = (): void => installFromNpm([packages.wscat])
