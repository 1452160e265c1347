/** `pnpm bench:report [results.json] [codec.json]`: writes `docs/performance.md` and its plots. */
import { Schema } from "effect"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { bars, lines } from "./plot.js"
import { type CaseResult, CodecResults, Results } from "./results.js"
import { groupBy } from "./statistics.js"
import { cells, figure } from "./table.js"

const [resultsFile = "benchmarks/results.json", codecFile] = process.argv.slice(2)
const read = <A, I>(file: string, schema: Schema.Schema<A, I>): A =>
  Schema.decodeUnknownSync(Schema.parseJson(schema))(readFileSync(file, "utf8"))

const results = read(resultsFile, Results)
const codec = codecFile === undefined ? [] : read(codecFile, CodecResults)

const folder = "docs/performance"
mkdirSync(folder, { recursive: true })
const plot = (name: string, title: string, svg: string): string => {
  writeFileSync(`${folder}/${name}.svg`, svg)
  return `![${title}](performance/${name}.svg)`
}

const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const [header = [], ...body] = rows
  const line = (row: ReadonlyArray<string>) => `| ${row.join(" | ")} |`
  return [line(header), line(header.map((_, column) => (column === 0 ? "---" : "--:"))), ...body.map(line)].join("\n")
}

const section = (result: CaseResult): string =>
  [`### ${result.name}: ${result.title}`, table(cells(result)), ...result.notes].join("\n\n")

const single = results.cases.filter(({ sweep }) => sweep === null)
const compared = single.filter(({ rows }) => rows.some(({ toBaseline }) => toBaseline !== null))
const overview = plot(
  "overview",
  "Cost of each case, as a ratio to ws",
  bars(
    "Cost as a ratio to ws (less is better)",
    compared.flatMap(({ name, rows }) =>
      rows.flatMap(({ subject, toBaseline }) =>
        toBaseline === null || !["run", "receive", "messages", "raw net"].includes(subject)
          ? []
          : [{ group: name, name: subject, value: toBaseline }]
      )
    )
  )
)

const sweeps = [...groupBy(results.cases, ({ sweep }) => sweep?.name)].flatMap(([name, points]) => {
  if (name === undefined) return []
  const unit = points[0]?.sweep?.unit ?? ""
  const subjects = [...new Set(points.flatMap(({ rows }) => rows.map(({ subject }) => subject)))]
  const series = subjects.map((subject) => ({
    name: subject,
    points: points.flatMap(({ rows, sweep }) => {
      const row = rows.find((row) => row.subject === subject)
      return row === undefined || sweep === null ? [] : [{ x: sweep.x, y: row.median }]
    })
  }))
  const title = `CPU µs per message over ${unit}`
  const rows = points.map(({ rows, sweep }) => [
    String(sweep?.x),
    ...subjects.map((subject) => figure(rows.find((row) => row.subject === subject)?.median ?? Number.NaN))
  ])
  return [`### ${title}`, plot(name, title, lines(title, unit, series)), table([[unit, ...subjects], ...rows])]
})

const codecRows = [...groupBy(codec, ({ group }) => group)].map(([group, found]) => [
  group,
  found.map(({ name, nanos }) => `${name} ${nanos === null ? "–" : figure(nanos)}`).join(", ")
])

const missed = single.flatMap(({ name, rows }) =>
  rows.filter(({ holds }) => holds === false).map(({ subject }) => `${subject} in ${name}`)
)

const text = `# Performance

Written by \`pnpm bench:report\`. Measured on ${results.date} with Node ${results.node}${results.bun === null ? "" : ` and Bun ${results.bun}`} on ${results.cores} cores of ${results.cpu}, ${results.rounds} rounds of ${results.seconds} s, processes ${results.pinned ? "pinned to a core each" : "not pinned"}.

Figures are the CPU time (user and system) of the measured process per message, medians of the rounds; the spread is the
distance between the quartiles. Ratios are medians of those within each round, in which all subjects took their turns. \`run\`,
\`receive\` and \`messages\` are this library's ways to read; \`raw net\` echoes bytes and knows no frames.

${missed.length === 0 ? "All targets hold." : `Targets missed: ${missed.join(", ")}.`}

${overview}

${[...single.map(section), ...sweeps].join("\n\n")}
${codecRows.length === 0 ? "" : `\n## The codec, without a network\n\nNanoseconds for each message, medians.\n\n${table([["", "ns"], ...codecRows])}\n`}
## What this leaves out

- The network: everything runs over loopback, without TLS, loss or delay.
- Real apps: handlers do nothing but send back, and messages have one size at a time.
- Throughput: a faster machine or a free one gives other rates; the ratios are what should stay.
- Kernel time that is charged to nobody, such as that of interrupts.
- Runtimes besides Node, except for Bun's own server and client.
- Memory besides the heap and what it owns: sockets' buffers in the kernel are not counted. Bun's is that of its process.
`

writeFileSync("docs/performance.md", text)
