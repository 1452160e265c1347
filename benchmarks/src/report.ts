/**
 * `pnpm --filter benchmarks report`: writes `docs/performance.md` and its plots from what `pnpm bench --json` and `pnpm --filter benchmarks codec --json`
 * left in `benchmarks/results`.
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

// What the overview shows of each case, servers and clients alike.
const shown = ["run", "receiveAll", "receive", "messages", "@effect/platform", "raw net"]
const shownAs = (subject: string): string => (subject.startsWith("@effect/platform") ? "@effect/platform" : subject)
// What costs processor time; memory and latency have tables of their own.
const inOverview = new Set(["a", "b", "c", "d", "e", "f", "g", "h"])

const overviewDots = single
  .filter(({ name }) => inOverview.has(name))
  .flatMap(({ name, rows, title }) => {
    const ratios = rows.flatMap(({ subject, toBaseline }) =>
      toBaseline === null ? [] : [{ name: shownAs(subject), value: toBaseline }]
    )
    return shown.flatMap((subject) => {
      const values = ratios.filter((ratio) => ratio.name === subject).map(({ value }) => value)
      // The better one of the two on @effect/platform.
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

Nanoseconds for each message, medians. The classes of \`ws\` are loaded by file; they are no part of its API.

${table([["", "ours", "ws", "ratio"], ...codecRows(["ours", "ws"])])}

${table([["", "ns"], ...alone.map(({ group, name, nanos }) => [`${group} ${name}`, nanos === null ? "–" : figure(nanos)])])}`

const gcThreadsSection =
  gcThreads === undefined
    ? ""
    : `## With the collector's helper threads

With \`--gc-threads\`, where the helper threads of V8's garbage collector share the core with the program that they help. Node
starts them unless it is told not to. It depends on chance, in every process anew, whether they get in its way; where they do not,
some are faster than without them.

${gcThreads.rounds} rounds of ${gcThreads.seconds} s.

${gcThreads.cases.map(section).join("\n\n")}`

const profiles = "performance/remaining-time.md"

const text = `# Performance

What messages, connections and memory cost: this library's servers and clients, \`ws\`, \`undici\`, \`@effect/platform\`, Bun, and
a bare \`node:net\` echo as the floor, in one run. \`pnpm --filter benchmarks report\` writes this page from the files of

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
    ["Node", `${results.node}, which ran what was measured`],
    ["machine", `${results.cores} cores of ${results.cpu}, ${results.memoryGibibytes} GiB, ${results.system}`],
    ["load before", `${figure(results.load)}, averaged over a minute`],
    ["processes", results.pinned ? "pinned: what is measured to one core, the load to another" : "not pinned to cores"],
    ["V8's collector", results.singleThreadedGc ? "without helper threads" : "with helper threads"],
    ["rounds", `${results.rounds} of ${results.seconds} s; at most 3 for clients that echo and sweeps, 2 for memory`],
    ["duration", `${results.minutes.toFixed(0)} minutes`],
    ...Object.entries(results.versions)
  ],
  "---"
)}

- A figure is the CPU time (user and system, as the operating system counts it) of the measured process per message: the median
  of the rounds. In case f it is per connection. The spread is the distance between the quartiles.
- Before the rounds that count, a subject has run for at least three seconds, in sweeps and as an echoing client for two rounds.
- In a round all subjects take their turns; a ratio is the median of those within each round. Absolute figures show
  proportions only.
- **run**, **receiveAll**, **receive** and **messages** are this library's ways to read. **raw net** echoes bytes and knows no frames.
  **platform to it** says how many times as much the better server or client on \`@effect/platform\` takes.
- Before anything is measured, each server and client that echoes has sent back messages of the case's shape unchanged.
- The load generator is another process over raw sockets, with frames made beforehand. Where it is as busy as the server, more
  load would have made batches larger.
${
  results.singleThreadedGc
    ? `- What is measured on Node has one core, so V8's garbage collector is told to do without helper threads (\`--single-threaded-gc\`),
  which would have to share it.
`
    : ""
}- Memory is what the process holds more of, after a collection, with 5,000 idle connections than with 100.

## Cases

${single.map(section).join("\n\n")}

${gcThreadsSection}

## Growth

Both axes are logarithmic: cost that is linear is a straight line, and cost per message that does not depend on something is a
level one.

${sweeps.join("\n\n")}

${codec.length === 0 ? "" : codecSection}

## What this leaves out

- **TLS**.
- **Real networks**: everything runs over loopback, without loss, delay or small segments.
- **Other machines**, systems and processors: there is one run, on the one above. \`pnpm bench --node <file>\` measures on
  another Node.
- **Throughput**: rates are shown to tell how busy a side was. They depend on the machine and on what else it does.
- **Real apps**: handlers do nothing but send back, and messages have one size at a time.
- **Time that is charged to nobody**, such as that of interrupts, and memory of the kernel: the sockets' buffers.
- ${existsSync(`docs/${profiles}`) ? `**Where the remaining time goes** is in [its own page](${profiles}).` : "**Where the remaining time goes**: `pnpm bench a --server run --profiles <folder>` writes CPU profiles of it."}
`

const file = "docs/performance.md"
writeFileSync(file, await format(text, { ...(await resolveConfig(file)), parser: "markdown" }))
