/** docs/security.md matches `threats.ts`, and the tests that it names exist. */
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { format, resolveConfig } from "prettier"
import { assert, describe, it } from "vitest"
import { table } from "../report.js"
import { defaultOf, hostilities, threats, type Option, type Threat } from "./threats.js"

const file = new URL("../../../../docs/security.md", import.meta.url)
const packages = new URL("../../../../packages/", import.meta.url)

const list = (lines: ReadonlyArray<string>): string => lines.join("<br>")
const optionsOf = (options: ReadonlyArray<Option>): string =>
  list(options.map((option) => `\`${option}\` (${defaultOf(option)})`))
const testsOf = (tests: Threat["tests"]): string =>
  list(tests.map(([path, name]) => `${path.split("/").at(-1)}: ${name.replaceAll("|", "\\|").trim()}`))

const report = (): string => `# Security

This page lists known vulnerabilities of WebSocket libraries, the defence of this library against each, and the tests
that check the defence. \`pnpm docs:write\` generates the page from
\`tools/conformance/test/security/threats.ts\`. A test checks that the page matches that file, and that the tests
exist. The compiler checks the names of the options, and the defaults come from the code.

"Linear" means that tests count the work for inputs of the sizes n, 2n and 4n. They count how often each block of the
protocol's code runs, and how many bytes are copied, measured and validated. They do not measure time.

## Threats

${table(
  ["threat", "known from", "defence", "options (default)", "tests"],
  threats.map(({ defence, known, options, tests, threat }) => [
    threat,
    list(known),
    defence,
    optionsOf(options),
    testsOf(tests)
  ])
)}

## Hostile peers

This table says how much memory a hostile client or server can make an endpoint hold for one connection, and for how
long. It does not count messages that the app itself keeps. In addition, the windows of compression take at most 2^bits
bytes for each direction.

${table(
  ["attack", "bound on memory", "bound on time", "options (default)", "tests"],
  hostilities.map(({ attack, memory, options, tests, time }) => [
    attack,
    memory,
    time,
    optionsOf(options),
    testsOf(tests)
  ])
)}

## What is up to you

- By default, a server accepts any number of connections. \`admission\` limits the connections of all clients together,
  and of each client. \`receiveRate\` limits the messages and bytes of each connection.
- Behind a proxy, set \`proxies\`. Otherwise all clients have the address of the proxy.
- The library does not authenticate users. Use a \`check\` of the route.
- \`messageTimeout\`, \`writeTimeout\`, \`idleTimeout\`, \`receiveRate\` and \`budget\` are off by default. Set them for
  a server that anyone can reach.
`

const textOf = (path: string): string => {
  const url = new URL(path, packages)
  return statSync(url).isDirectory()
    ? readdirSync(url)
        .map((name) => readFileSync(new URL(`${path}/${name}`, packages), "utf8"))
        .join("\n")
    : readFileSync(url, "utf8")
}

describe("docs/security.md", () => {
  const all = [...threats, ...hostilities].flatMap(({ tests }) => tests)

  it.each(all)("names a test that exists: %s: %s", (path, name) => {
    const text = textOf(path)
    // A name that ends with a space is the constant beginning of a longer name.
    const ends = name.endsWith(" ") ? [""] : ['"', "`"]
    const quoted = ends.flatMap((end) => [`"${name}${end}`, `\`${name}${end}`])
    assert.isTrue(quoted.some((literal) => text.includes(literal)))
  })

  it("has a test for each threat and attack", () => {
    for (const { tests } of [...threats, ...hostilities]) assert.isAbove(tests.length, 0)
  })

  it("matches the threats", async () => {
    const options = await resolveConfig(file)
    const generated = await format(report(), { ...options, filepath: file.pathname })
    if (process.env["UPDATE_DOCS"] === "1") writeFileSync(file, generated)
    else
      assert.strictEqual(
        readFileSync(file, "utf8"),
        generated,
        "docs/security.md is out of date; pnpm docs:write updates it"
      )
  })
})
