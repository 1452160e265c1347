/** Generates docs/conformance.md from the verdicts of a run. */
import { rolesOf, type Case } from "../src/Clause.js"
import { bothRoles, type Role } from "../src/Role.js"
import { clauses, untested } from "../src/Clauses.js"
import type { Verdict } from "../src/Driver.js"

export const libraries = ["effect-websocket", "ws 8.23.0"] as const
export type Library = (typeof libraries)[number]

/** By library, role and case. */
export type Verdicts = ReadonlyMap<Library, Readonly<Record<Role, ReadonlyMap<Case, Verdict>>>>

/** `a` of a case `a: b`. */
const groupOf = ({ name }: Case): string => name.split(": ", 1)[0]!
const variantOf = ({ name }: Case): string => name.slice(name.indexOf(": ") + 2)

const escape = (text: string): string =>
  // The bytes of frames are not text.
  text
    .replaceAll("|", "\\|")
    .replaceAll("<", "&lt;")
    .replaceAll(/[^\x20-\x7e–]/g, "·")

const cell = (group: ReadonlyArray<Case>, role: Role, verdicts: ReadonlyMap<Case, Verdict>): string => {
  const asked = group.filter((testCase) => rolesOf(testCase).includes(role))
  if (asked.length === 0) return ""
  const found = asked.map((testCase) => [testCase, verdicts.get(testCase)!] as const)
  const deviating = found.flatMap(([testCase, verdict]) =>
    verdict._tag === "Deviates" ? [[testCase, verdict.seen] as const] : []
  )
  const skipped = found.filter(([, verdict]) => verdict._tag === "Skipped").length
  const count = asked.length === 1 ? "" : ` ${asked.length - deviating.length - skipped} of ${asked.length}`
  if (skipped === asked.length) return "not negotiated"
  if (deviating.length === 0) return `ok${asked.length === 1 ? "" : ` ${asked.length}`}`
  const byWhat = new Map<string, Array<string>>()
  for (const [testCase, seen] of deviating) byWhat.set(seen, [...(byWhat.get(seen) ?? []), variantOf(testCase)])
  const [only, ...others] = byWhat.keys()
  if (deviating.length === asked.length && others.length === 0) return escape(`**no**${count}; ${only}`)
  const what = [...byWhat].map(([seen, variants]) => (asked.length === 1 ? seen : `${variants.join("; ")}: ${seen}`))
  return escape(`**no**${count}; ${what.join("; ")}`)
}

export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n")

const casesTable = (cases: ReadonlyArray<Case>, verdicts: Verdicts): string => {
  const roles = bothRoles.filter((role) => cases.some((testCase) => rolesOf(testCase).includes(role)))
  const groups = new Map<string, Array<Case>>()
  for (const testCase of cases) groups.set(groupOf(testCase), [...(groups.get(groupOf(testCase)) ?? []), testCase])
  return table(
    ["case", ...libraries.flatMap((library) => roles.map((role) => `${library}, ${role}`))],
    [...groups].map(([name, group]) => [
      escape(name),
      ...libraries.flatMap((library) => roles.map((role) => cell(group, role, verdicts.get(library)![role])))
    ])
  )
}

const totals = (verdicts: Verdicts): string =>
  table(
    ["endpoint", "ok", "deviates", "not negotiated"],
    libraries.flatMap((library) =>
      bothRoles.map((role) => {
        const all = [...verdicts.get(library)![role].values()]
        const count = (tag: Verdict["_tag"]) => String(all.filter(({ _tag }) => _tag === tag).length)
        return [`${library}, ${role}`, count("Ok"), count("Deviates"), count("Skipped")]
      })
    )
  )

const intro = `# Conformance

This page lists the rules of RFC 6455 and RFC 7692 that can be observed from outside, and the results of testing them.
Each case sends raw bytes over TCP. \`tools/conformance\` has the cases. \`pnpm docs:write\` runs them and
writes this page, and a test compares the page with a run. The driver uses no WebSocket library. In addition to the case
itself, it checks every frame that an endpoint writes against RFC 6455 §5: the mask, the form of the length, the opcode,
the reserved bits, and the size of control frames.

Each row is a case. If a case has several variants, the row says how many of them passed. A **no** says what was seen
instead. The endpoints of this library must also fail with the right typed error. These errors are checked over TCP as a
client, and in memory in both roles, with the bytes in one chunk, in pieces, and byte by byte.

You can test any server or client in the same way, if it echoes messages:

\`\`\`sh
pnpm --filter conformance start                                # the server and client of this library
pnpm --filter conformance start --peer ws                      # also those of ws, in the same run
pnpm --filter conformance start --server ws://127.0.0.1:9001   # any server
pnpm --filter conformance start --client-port 9002             # any client, which connects again and again
\`\`\`

A client should offer the subprotocol \`superchat\`, and a server should choose it. If an endpoint has no compression,
the cases of compression are skipped.`

export const report = (verdicts: Verdicts): string => {
  const sections: Array<string> = []
  let last = ""
  for (const { cases, rule, section } of clauses) {
    if (section !== last) sections.push(`## ${section}`)
    last = section
    sections.push(rule, casesTable(cases, verdicts))
  }
  return `${[
    intro,
    totals(verdicts),
    ...sections,
    "## Rules that no case can test",
    table(
      ["section", "rule", "why not, and where it is tested"],
      untested.map(({ reason, rule, section }) => [section, rule, reason])
    )
  ].join("\n\n")}\n`
}
