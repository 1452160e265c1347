/** The commands that are compared: how each is called, and with which options it does what. */
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"
import { nodeForEffect4 } from "../../../../scripts/nodes.js"
import { findPackage } from "../programs.js"

/** What a command may have an option for. */
export type Wish =
  "base64" | "compression" | "cookies" | "json" | "passphrase" | "proxy" | "reconnect" | "redirects" | "slash commands"

/** The words with which a help would name such an option. */
const words: Readonly<Record<Wish, RegExp>> = {
  base64: /base64|binary/i,
  compression: /compress|deflate/i,
  cookies: /cookie/i,
  json: /json/i,
  passphrase: /passphrase/i,
  proxy: /proxy/i,
  reconnect: /reconnect/i,
  redirects: /redirect/i,
  "slash commands": /slash/i
}

export interface Client {
  /** As in the head of a table, with its version if it was released on its own. */
  readonly name: string
  /** The number of packages that npm installs for it, with itself. */
  readonly packages: number
  readonly connect: (url: string, ...options: ReadonlyArray<string>) => ReadonlyArray<string>
  readonly listen: (port: number) => ReadonlyArray<string>
  /** Sends messages of the command line, prints the answers, and ends. */
  readonly send: (url: string, ...messages: ReadonlyArray<string>) => ReadonlyArray<string>
  /** Makes it read and write bytes. */
  readonly bytes: ReadonlyArray<string>
  /** Leaves the end of a connection to the peer, also after the end of stdin. */
  readonly stays: ReadonlyArray<string>
  /** What it prints at a terminal once it is connected. */
  readonly connected: RegExp
  /** The options for a wish, or `undefined` if there are none. */
  readonly optionsFor: (wish: Wish, value: string) => ReadonlyArray<string> | undefined
}

const fieldsOf = (file: string): Readonly<Record<string, unknown>> => {
  const manifest: unknown = JSON.parse(readFileSync(file, "utf8"))
  return typeof manifest === "object" && manifest !== null ? { ...manifest } : {}
}

/** The manifests of a package and of all that it depends on. */
const installedWith = (manifest: string, found = new Set<string>()): ReadonlySet<string> => {
  if (found.has(manifest)) return found
  found.add(manifest)
  const { dependencies } = fieldsOf(manifest)
  const { resolve } = createRequire(manifest)
  for (const name of Object.keys(dependencies ?? {})) {
    const folder = (resolve.paths(name) ?? []).find((folder) => existsSync(`${folder}/${name}/package.json`))
    if (folder !== undefined) installedWith(`${folder}/${name}/package.json`, found)
  }
  return found
}

const client = (
  name: string,
  manifest: string,
  program: string,
  options: Partial<Record<Wish, (value: string) => ReadonlyArray<string>>>,
  helps: ReadonlyArray<ReadonlyArray<string>>,
  rest: Pick<Client, "bytes" | "connected" | "stays"> & {
    readonly connect: (url: string) => ReadonlyArray<string>
    readonly send: (url: string, messages: ReadonlyArray<string>) => ReadonlyArray<string>
    readonly listen: (port: number) => ReadonlyArray<string>
  }
): Client => {
  const node = nodeForEffect4()
  const help = helps.map((args) => spawnSync(node, [program, ...args], { encoding: "utf8" }).stdout).join("\n")
  return {
    ...rest,
    name,
    packages: installedWith(manifest).size,
    connect: (url, ...options) => [node, program, ...rest.connect(url), ...options],
    send: (url, ...messages) => [node, program, ...rest.send(url, messages)],
    listen: (port) => [node, program, ...rest.listen(port)],
    optionsFor: (wish, value) => {
      const found = options[wish]?.(value)
      // An option that is not in the help is none, and one that is there should be tried.
      if ((found !== undefined) !== words[wish].test(help)) throw new Error(`${name} --help, ${wish}: ${help}`)
      return found
    }
  }
}

const ours = (): Client => {
  const manifest = fileURLToPath(new URL("../../../../packages/cli/package.json", import.meta.url))
  return client(
    "`effect-websocket`",
    manifest,
    fileURLToPath(new URL("../../../../packages/cli/dist/main.js", import.meta.url)),
    {
      base64: () => ["--format", "base64"],
      compression: () => ["--compress"],
      cookies: (file) => ["--cookie-jar", file],
      json: () => ["--format", "json"],
      passphrase: () => ["--passphrase"],
      proxy: (url) => ["--proxy", url],
      reconnect: () => ["--reconnect"],
      redirects: () => ["--max-redirects", "5"]
    },
    [
      ["connect", "--help"],
      ["listen", "--help"]
    ],
    {
      bytes: ["--format", "binary"],
      stays: ["--wait", "infinite"],
      connected: /connected to /,
      connect: (url) => ["connect", url],
      send: (url, messages) => ["send", url, "--replies", String(messages.length), ...messages],
      listen: (port) => ["listen", String(port)]
    }
  )
}

const wscat = (): Client | undefined => {
  const folder = findPackage("wscat")
  if (folder === undefined) return undefined
  const manifest = `${folder}/package.json`
  return client(
    `wscat ${String(fieldsOf(manifest)["version"])}`,
    manifest,
    `${folder}/bin/wscat`,
    {
      passphrase: () => ["--passphrase"],
      proxy: (url) => ["--proxy", url],
      redirects: () => ["--location"],
      "slash commands": () => ["--slash"]
    },
    [["--help"]],
    {
      bytes: [],
      stays: [],
      connected: /Connected/i,
      connect: (url) => ["--connect", url],
      send: (url, messages) => ["--connect", url, "--wait", "1", ...messages.flatMap((text) => ["--execute", text])],
      listen: (port) => ["--listen", String(port)]
    }
  )
}

/** Those that are here. */
export const findClients = (): ReadonlyArray<Client> => [ours(), wscat()].filter((found) => found !== undefined)
