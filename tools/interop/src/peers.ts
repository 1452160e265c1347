/** Every peer, and what has to be there for it. */
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { caseNames, type CaseName } from "./cases.js"
import { chromium } from "./chromium.js"
import { start, listeningPort } from "./Process.js"
import { debianPackages, find, findBinary, firstLine, folderOf } from "./programs.js"
import { freePort, haproxy, listening, nginx } from "./proxies.js"
import { clientSubject, mirrorSubject, proxySubject, serverSubject, type Peer } from "./subjects.js"

export interface Missing {
  readonly name: string
  readonly missing: string
}

/** The API of browsers knows neither pings nor fragments. */
const webApi: ReadonlyArray<CaseName> = ["fragments in", "ping in"]

export const packageVersion = (name: string): string => {
  const manifest: unknown = JSON.parse(
    readFileSync(createRequire(import.meta.url).resolve(`${name}/package.json`), "utf8")
  )
  return typeof manifest === "object" && manifest !== null && "version" in manifest ? String(manifest.version) : "?"
}

/** A peer that one of our programs makes of a runtime or a library, as a server and as a client. */
const agent = (
  name: string,
  version: string,
  command: ReadonlyArray<string>,
  roles: Partial<Record<"server" | "client", ReadonlyArray<CaseName>>>
): ReadonlyArray<Peer> => {
  const [program = "", ...args] = command
  const started = (role: string) => start(program, [...args, role], folderOf("agents"))
  return [
    ...(roles.server === undefined
      ? []
      : [
          {
            name,
            version,
            role: "server" as const,
            without: roles.server,
            start: Effect.map(Effect.flatMap(started("server"), listeningPort), (port) =>
              serverSubject(`ws://127.0.0.1:${port}/`)
            )
          }
        ]),
    ...(roles.client === undefined
      ? []
      : [
          {
            name,
            version,
            role: "client" as const,
            without: roles.client,
            start: Effect.flatMap(started("client"), (process) =>
              clientSubject({
                nextReport: process.nextLine,
                submit: (job) => process.write(JSON.stringify(job))
              })
            )
          }
        ])
  ]
}

export const versionIn = (line: string | undefined): string => /\d+\.\d+[.\d]*/.exec(line ?? "")?.[0] ?? "?"

type Found = ReadonlyArray<Peer | Missing>

const bun = (): Found => {
  const program = findBinary("bun")
  if (program === undefined) return [{ name: "bun", missing: "the npm package @oven/bun-*" }]
  const version = versionIn(firstLine(program, ["--version"]))
  return agent("bun", version, [program, "run", folderOf("agents/bun.mjs")], {
    server: ["fragments in"],
    client: webApi
  })
}

const deno = (): Found => {
  const program = findBinary("deno")
  if (program === undefined) return [{ name: "deno", missing: "the npm package @deno/*" }]
  const version = versionIn(firstLine(program, ["--version"]))
  return agent("deno", version, [program, "run", "--allow-all", "--no-config", folderOf("agents/deno.mjs")], {
    server: [...webApi, "deflate"],
    client: [...webApi, "deflate"]
  })
}

const python = (): Found => {
  const [program] = debianPackages["python3-websockets"]
  const version = firstLine(program, ["-c", "import websockets.version as v; print(v.version)"])
  if (version === undefined || !/^\d/.test(version)) {
    return [{ name: "websockets (Python)", missing: "Debian's python3-websockets" }]
  }
  return agent("websockets (Python)", version, [program, folderOf("agents/peer.py")], { server: [], client: [] })
}

const browser = (): Found => {
  const program = find(debianPackages.chromium)
  if (program === undefined) return [{ name: "chromium", missing: "Debian's chromium" }]
  return [
    {
      name: "chromium",
      version: versionIn(firstLine(program, ["--version"])),
      role: "client",
      without: webApi,
      start: Effect.flatMap(chromium(program), clientSubject)
    }
  ]
}

const libwebsockets = (): Found => {
  const program = find(debianPackages["libwebsockets-test-server"])
  if (program === undefined) return [{ name: "libwebsockets", missing: "Debian's libwebsockets-test-server" }]
  const does = new Set<CaseName>(["text", "ping out", "we close"])
  return [
    {
      name: "libwebsockets",
      version: versionIn(firstLine("dpkg-query", ["-W", "-f", "${Version}", "libwebsockets-test-server"])),
      role: "server",
      without: caseNames.filter((name) => !does.has(name)),
      start: Effect.gen(function* () {
        const port = yield* freePort
        yield* start(program, [`--port=${port}`])
        yield* listening(port)
        return mirrorSubject(`ws://127.0.0.1:${port}/`, "lws-mirror-protocol")
      })
    }
  ]
}

const proxies = (): Found =>
  (
    [
      ["nginx", "nginx-light", ["-v"], nginx],
      ["haproxy", "haproxy", ["-v"], haproxy]
    ] as const
  ).map(([name, debian, args, proxy]): Peer | Missing => {
    const program = find([name])
    if (program === undefined) return { name, missing: `Debian's ${debian}` }
    return {
      name,
      version: versionIn(firstLine(program, args)),
      role: "proxy",
      without: ["fragments in"],
      start: proxySubject(proxy(program))
    }
  })

export const findPeers = (): Found => [
  ...agent("ws", packageVersion("ws"), [process.execPath, folderOf("agents/ws.mjs")], { server: [], client: [] }),
  ...agent("undici", packageVersion("undici"), [process.execPath, folderOf("agents/undici.mjs")], { client: webApi }),
  ...bun(),
  ...deno(),
  ...browser(),
  ...python(),
  ...libwebsockets(),
  ...proxies()
]
