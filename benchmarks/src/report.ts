/**
 * `pnpm --filter benchmarks report`: writes `docs/performance.md` and its plots from the files that `pnpm bench --json` and
 * `pnpm --filter benchmarks codec --json` wrote to `benchmarks/results`.
 */
import { Schema } from "effect"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { format, resolveConfig } from "prettier"
import { dots, lines } from "./plot.js"
import { type CaseResult, CodecResults, Results } from "./results.js"
import { groupBy } from "./statistics.js"
import { cells, figure, summary } from "./table.js"

const fileOf = (name: string): string => `benchmarks/results/${name}.json`
const read = <A, I>(name: string, schema: Schema.Schema<A, I>): A =>
  Schema.decodeUnknownSync(Schema.parseJson(schema))(readFileSync(fileOf(name), "utf8"))

const results = read("run", Results)
const codec = existsSync(fileOf("codec")) ? read("codec", CodecResults) : []
const gcThreads = existsSync(fileOf("gc-threads")) ? read("gc-threads", Results) : undefined
if (gcThreads?.singleThreadedGc === true) throw new Error(`${fileOf("gc-threads")} was measured without --gc-threads`)

const folder = "docs/performance"
mkdirSync(folder, { recursive: true })
const plot = (name: string, title: string, svg: string): string => {
  writeFileSync(`${folder}/${name}.svg`, svg)
  return `![${title}](performance/${name}.svg)`
}

const table = (rows: ReadonlyArray<ReadonlyArray<string>>, align = "--:"): string => {
  const [header = [], ...body] = rows
  const line = (row: ReadonlyArray<string>) => `| ${row.join(" | ")} |`
  return [line(header), line(header.map((_, column) => (column === 0 ? "---" : align))), ...body.map(line)].join("\n")
}

const section = (result: CaseResult): string =>
  [
    `### ${result.name}: ${result.title}`,
    ...(result.rows.length === 0 ? [] : [table(cells(result))]),
    ...result.notes
  ].join("\n\n")

const single = results.cases.filter(({ sweep }) => sweep === null)

// The subjects in the overview of each case, servers and clients alike.
const shown = ["run", "receiveAll", "receive", "messages", "@effect/platform", "raw net"]
const shownAs = (subject: string): string => (subject.startsWith("@effect/platform") ? "@effect/platform" : subject)
// The cases about CPU time. Memory and latency have their own tables.
const inOverview = new Set(["a", "b", "c", "d", "e", "f", "g", "h"])

const overviewDots = single
  .filter(({ name }) => inOverview.has(name))
  .flatMap(({ name, rows, title }) => {
    const ratios = rows.flatMap(({ subject, toBaseline }) =>
      toBaseline === null ? [] : [{ name: shownAs(subject), value: toBaseline }]
    )
    return shown.flatMap((subject) => {
      const values = ratios.filter((ratio) => ratio.name === subject).map(({ value }) => value)
      // The better of the two subjects on @effect/platform.
      return values.length === 0 ? [] : [{ row: `${name}: ${title}`, name: subject, value: Math.min(...values) }]
    })
  })

const overviewTitle = "CPU time of each case, as a ratio to ws (to the left is better)"
const overview =
  overviewDots.length === 0
    ? ""
    : plot("overview", overviewTitle, dots(overviewTitle, "ratio to ws in the same run", shown, overviewDots))

const units = [
  [1024 * 1024, "MiB"],
  [1024, "KiB"]
] as const
const bytes = (value: number): string => {
  const [size, name] = units.find(([size]) => value >= size) ?? [1, "B"]
  return `${value / size} ${name}`
}

const sweeps = [...groupBy(results.cases, ({ sweep }) => sweep?.name)].flatMap(([name, points]) => {
  const measured = points.filter(({ rows }) => rows.length > 0)
  const unit = measured[0]?.sweep?.unit
  if (name === undefined || unit === undefined) return []
  const formatX = unit.startsWith("bytes") ? bytes : (x: number) => x.toLocaleString("en")
  const subjects = [...new Set(measured.flatMap(({ rows }) => rows.map(({ subject }) => subject)))]
  const series = subjects.map((subject) => ({
    name: subject,
    points: measured.flatMap(({ rows, sweep }) => {
      const row = rows.find((row) => row.subject === subject)
      return row === undefined || sweep === null ? [] : [{ x: sweep.x, y: row.median }]
    })
  }))
  const title = `CPU time per message (µs) over ${unit}`
  const rows = measured.map(({ rows, sweep }) => [
    formatX(sweep?.x ?? Number.NaN),
    ...subjects.map((subject) => {
      const row = rows.find((row) => row.subject === subject)
      return row === undefined ? "–" : figure(row.median)
    })
  ])
  const notes = points.flatMap(({ notes, title }) => notes.map((note) => `${title}: ${note}`))
  return [
    [
      `### ${name}`,
      `From “${measured[0]?.title}” to “${measured.at(-1)?.title}”.`,
      plot(name, title, lines(title, { x: unit, format: formatX }, series)),
      table([[`${unit}; µs per message`, ...subjects], ...rows]),
      ...notes
    ].join("\n\n")
  ]
})

const codecGroups = groupBy(codec, ({ group }) => group)
const codecRows = (names: ReadonlyArray<string>) =>
  [...codecGroups].flatMap(([group, found]) => {
    const nanos = names.map((name) => found.find((one) => one.name === name)?.nanos ?? null)
    const [ours, theirs] = nanos
    if (nanos.every((value) => value === null)) return []
    return [
      [
        group,
        ...nanos.map((value) => (value === null ? "–" : figure(value))),
        typeof ours !== "number" || typeof theirs !== "number" ? "–" : (ours / theirs).toFixed(2)
      ]
    ]
  })
const alone = codec.filter(({ name }) => name !== "ours" && name !== "ws")

const codecSection = `## The codec, without a network

The figures are nanoseconds per message, as medians. The benchmark loads the classes of \`ws\` by file, because they are
not part of its API.

${table([["", "ours", "ws", "ratio"], ...codecRows(["ours", "ws"])])}

${table([["", "ns"], ...alone.map(({ group, name, nanos }) => [`${group} ${name}`, nanos === null ? "–" : figure(nanos)])])}`

const gcThreadsSection =
  gcThreads === undefined
    ? ""
    : `## With the collector's helper threads

With \`--gc-threads\`, the helper threads of V8's garbage collector share the core with the measured program. Node
starts these threads by default. Whether they slow the program down differs at random from process to process. If they
do not, some programs are faster with them.

${gcThreads.rounds} rounds of ${gcThreads.seconds} s.

${gcThreads.cases.map(section).join("\n\n")}`

const profiles = "performance/remaining-time.md"

const text = `# Performance

This page shows the cost of messages, connections and memory. One run measures this library's servers and clients,
\`ws\`, \`undici\`, \`@effect/platform\`, Bun, and a bare \`node:net\` echo as the lower bound. \`pnpm --filter benchmarks report\`
writes this page from the output of:

\`\`\`sh
pnpm bench --rounds ${results.rounds} --seconds ${results.seconds} --json benchmarks/results/run.json
pnpm bench c d --gc-threads --json benchmarks/results/gc-threads.json
pnpm --filter benchmarks codec --json benchmarks/results/codec.json
\`\`\`

${summary(results.cases)}

${overview}

## How it was measured

${table(
  [
    ["", ""],
    ["date", results.date],
    ["Node", `${results.node}, for all measured processes`],
    ["machine", `${results.cores} cores of ${results.cpu}, ${results.memoryGibibytes} GiB, ${results.system}`],
    ["load before", `${figure(results.load)}, averaged over a minute`],
    [
      "processes",
      results.pinned ? "pinned: the measured process to one core, the load to another" : "not pinned to cores"
    ],
    ["V8's collector", results.singleThreadedGc ? "without helper threads" : "with helper threads"],
    ["rounds", `${results.rounds} of ${results.seconds} s; at most 3 for clients that echo and sweeps, 2 for memory`],
    ["duration", `${results.minutes.toFixed(0)} minutes`],
    ...Object.entries(results.versions)
  ],
  "---"
)}

- A figure is the CPU time of the measured process per message: user and system time, as the operating system counts it.
  It is the median of the rounds. In case f it is the time per connection. The spread is the distance between the
  quartiles.
- Before the rounds that count, each subject warms up: for at least three seconds, or for two rounds in sweeps and as an
  echoing client.
- In each round all subjects run, one after another. A ratio is the median of the ratios within each round. Absolute
  figures only show proportions.
- **run**, **receiveAll**, **receive** and **messages** are this library's ways to read. **raw net** echoes bytes
  without reading frames.
- **to ws** and **to raw** are the cost of the subject divided by the cost of \`ws\` and of **raw net**.
- **platform / this** is the cost of the better server or client on \`@effect/platform\`, divided by the cost of the
  subject.
- Before the measurement, each server and client that echoes has to send back messages of the case's shape unchanged.
- The load generator is another process. It uses raw sockets, and makes its frames beforehand. If it is as busy as the
  server, more load would have made the batches larger.
${
  results.singleThreadedGc
    ? `- Each measured Node process has one core. So V8's garbage collector runs without helper threads
  (\`--single-threaded-gc\`), because they would have to share this core.
`
    : ""
}- Memory is the additional memory of a process with 5,000 idle connections over one with 100, after a garbage
  collection, per connection. V8's young generation is kept small (\`--max-semi-space-size=1\`), because it grows with
  the rate at which connections are opened, not with their number.

## Cases

${single.map(section).join("\n\n")}

${gcThreadsSection}

## Growth

Both axes are logarithmic. A linear cost is a straight line. A cost per message that does not change with the variable
is a horizontal line.

${sweeps.join("\n\n")}

${codec.length === 0 ? "" : codecSection}

## What this leaves out

- **TLS**.
- **Real networks**: everything runs over loopback, without loss, delay or small segments.
- **Other machines**, systems and processors: there is one run, on the machine above. \`pnpm bench --node <file>\`
  measures another version of Node.
- **Throughput**: the tables show rates only to tell how busy a side was. Rates depend on the machine and on its other
  load.
- **Real apps**: the handlers only send messages back, and all messages of a case have the same size.
- **Time that is not charged to a process**, such as the time of interrupts, and **kernel memory**, such as the buffers
  of sockets.
- ${existsSync(`docs/${profiles}`) ? `**Where the remaining time goes** is in [its own page](${profiles}).` : "**Where the remaining time goes**: `pnpm bench a --server run --profiles <folder>` writes CPU profiles."}
`

const file = "docs/performance.md"
writeFileSync(file, await format(text, { ...(await resolveConfig(file)), parser: "markdown" }))
