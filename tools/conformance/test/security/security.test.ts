/** docs/security.md is what the threats say, and the tests that they name exist. */
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

What is known to have gone wrong in WebSocket libraries, what stands against it here, and the tests that show it. This page is
made of \`tools/conformance/test/security/threats.ts\` by \`pnpm docs:write\`. A test holds it against that file and looks
whether the tests exist; the compiler checks the names of the options, and the defaults are those of the code.

Where it says linear, tests count work at n, 2n and 4n: how often each block of the protocol's code is executed, and the bytes
that are copied, measured and validated. None of them looks at a clock.

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

What a hostile client or server can make an endpoint hold for a connection, and for how long. Messages that the app itself keeps
are not counted; the windows of compression are: at most 2^bits bytes for each direction.

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

- A server has any number of connections by default. \`admission\` bounds them, of all clients and of one; \`receiveRate\` bounds
  the messages and bytes of each connection. Behind a proxy set \`proxies\`: otherwise all clients have the address of the proxy.
- The library does not authenticate: a \`check\` of the route does.
- \`messageTimeout\`, \`writeTimeout\`, \`idleTimeout\`, \`receiveRate\` and \`budget\` are off by default. A server that is open to
  anyone should set them.
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
    // A name that ends with a space goes on with what varies.
    const ends = name.endsWith(" ") ? [""] : ['"', "`"]
    const quoted = ends.flatMap((end) => [`"${name}${end}`, `\`${name}${end}`])
    assert.isTrue(quoted.some((literal) => text.includes(literal)))
  })

  it("has a test for everything", () => {
    for (const { tests } of [...threats, ...hostilities]) assert.isAbove(tests.length, 0)
  })

  it("is what the threats say", async () => {
    const options = await resolveConfig(file)
    const generated = await format(report(), { ...options, filepath: file.pathname })
    if (process.env["UPDATE_DOCS"] === "1") writeFileSync(file, generated)
    else assert.strictEqual(readFileSync(file, "utf8"), generated, "pnpm docs:write brings it up to date")
  })
})
