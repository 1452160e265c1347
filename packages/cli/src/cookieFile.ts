/** A cookie jar in a file of Netscape's format, which curl and browsers' exporters write. */
import type * as CookieJar from "@effect-websocket/platform/CookieJar"
import * as Effect from "effect/Effect"
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { Cookie, CookieJar as ToughJar } from "tough-cookie"
import { exitCodes } from "./ExitCode.js"
import { Failure } from "./Failure.js"

const header = "# Netscape HTTP Cookie File\n"
const httpOnlyMark = "#HttpOnly_"

/** Puts a line of the file into a jar. Lines that are comments or have other fields are skipped. */
const load = (jar: ToughJar, line: string): void => {
  const httpOnly = line.startsWith(httpOnlyMark)
  const [domain = "", subdomains, path = "/", secure, expires, key, value] = line
    .slice(httpOnly ? httpOnlyMark.length : 0)
    .split("\t")
  if (domain.startsWith("#") || key === undefined || value === undefined) return
  const host = domain.replace(/^\./, "")
  const cookie = new Cookie({
    key,
    value,
    path,
    httpOnly,
    secure: secure === "TRUE",
    domain: subdomains === "TRUE" ? host : null,
    expires: expires === "0" ? "Infinity" : new Date(Number(expires) * 1000)
  })
  const url = `${cookie.secure ? "https" : "http"}://${host}${path}`
  // It may be for a host that no cookie may have.
  if (URL.canParse(url)) jar.setCookieSync(cookie, url, { ignoreError: true })
}

const format = (jar: ToughJar): string =>
  jar
    .serializeSync()!
    .cookies.map((serialized) => {
      const cookie = Cookie.fromJSON(serialized)!
      const expires = cookie.expiryTime()
      const seconds = expires === undefined || !Number.isFinite(expires) ? 0 : Math.floor(expires / 1000)
      const flag = (value: boolean): string => (value ? "TRUE" : "FALSE")
      const domain = `${cookie.httpOnly ? httpOnlyMark : ""}${cookie.hostOnly === true ? "" : "."}${cookie.domain}`
      const fields = [domain, flag(cookie.hostOnly !== true), cookie.path ?? "/", flag(cookie.secure), seconds]
      return `${[...fields, cookie.key, cookie.value].join("\t")}\n`
    })
    .join("")

const failed = (path: string) => (cause: unknown) =>
  new Failure({
    exitCode: exitCodes.usage,
    message: `The cookie jar ${path} cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`
  })

/**
 * Reads a jar, which is empty if the file does not exist. `save` writes the file anew, for the user only. Fails at once if the file
 * could not be written at the end.
 */
export const make = (
  path: string
): Effect.Effect<{ readonly service: CookieJar.Service; readonly save: Effect.Effect<void, Failure> }, Failure> =>
  Effect.try({
    try: () => {
      const jar = new ToughJar()
      for (const line of readIfExists(path).split(/\r?\n/)) load(jar, line)
      writeBeside(path, "", () => {})
      const service: CookieJar.Service = {
        cookieHeader: (url) => Effect.sync(() => jar.getCookieStringSync(url.href)),
        setCookies: (url, lines) =>
          Effect.sync(() => {
            for (const line of lines) jar.setCookieSync(line, url.href, { ignoreError: true })
          })
      }
      return { service, save: Effect.try({ try: () => replace(path, `${header}${format(jar)}`), catch: failed(path) }) }
    },
    catch: failed(path)
  })

const readIfExists = (path: string): string => {
  try {
    return readFileSync(path, "utf8")
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return ""
    throw error
  }
}

/** Whoever reads the file sees the old one or the new one, and no half of it. */
const replace = (path: string, content: string): void =>
  writeBeside(path, content, (temporary) => renameSync(temporary, path))

/** Writes a file in the same folder, which is gone afterwards unless `use` moves it. */
const writeBeside = (path: string, content: string, use: (temporary: string) => void): void => {
  const temporary = `${path}.${process.pid}.tmp`
  try {
    writeFileSync(temporary, content, { mode: 0o600 })
    use(temporary)
  } finally {
    rmSync(temporary, { force: true })
  }
}
