/** The text and the plots of `docs/performance.md`. */
import { baseline, floor, majorOf } from "./names.js"
import { dots, lines } from "./plot.js"
import type { CaseResult, CodecResults, Results } from "./results.js"
import { groupBy } from "./statistics.js"
import { figure, headline, headlineCases, noise, sideBySide, summary, type Table } from "./table.js"
import { targets } from "./targets.js"

export interface Page {
  /** Markdown that is not formatted yet. */
  readonly text: string
  /** SVG by the name of its file, without the ending. */
  readonly plots: ReadonlyMap<string, string>
}

/** A table in Markdown. */
export const markdown = (rows: Table, alignment = "--:"): string => {
  const [header = [], ...body] = rows
  const line = (row: ReadonlyArray<string>) => `| ${row.join(" | ")} |`
  return [line(header), line(header.map((_, column) => (column === 0 ? "---" : alignment))), ...body.map(line)].join(
    "\n"
  )
}

/** A case on each Node that ran it, in one table. */
const section = (results: ReadonlyArray<CaseResult>): string =>
  [
    `### ${results[0]?.name}: ${results[0]?.title}`,
    ...(results.some(({ rows }) => rows.length > 0) ? [markdown(sideBySide(results))] : []),
    ...results.flatMap(({ node, notes }) => notes.map((note) => `Node ${majorOf(node)}: ${note}`))
  ].join("\n\n")

/** The limits of each way to read, as the issue of the targets has them. */
const targetTable: Table = [
  ["at most", ...headlineCases],
  ...targets
    .filter(({ limits }) => headlineCases.some((name) => limits[name] !== undefined))
    .map(({ effects, limits, nodes, of, way }) => [
      [
        `\`${way}\``,
        ...(effects.length === 1 ? [`Effect ${effects.join()}`] : []),
        ...(nodes.length === 1 ? [`Node ${nodes.join()}`] : []),
        ...(of === "run" ? ["to `run`"] : [])
      ].join(", "),
      ...headlineCases.map((name) => String(limits[name] ?? ""))
    ])
]

const targetSummary = (node: string, results: ReadonlyArray<CaseResult>): string => {
  const { count, missed } = summary(node, results)
  return [count, ...(missed.length === 0 ? [] : [missed.map((line) => `- ${line}`).join("\n")])].join("\n\n")
}

// The subjects in the overview of each case, servers and clients alike.
const shown = ["run", "receiveAll", "receive", "messages", "@effect/platform", floor]

const overview = (results: ReadonlyArray<CaseResult>, title: string): string => {
  const points = results
    .filter(({ unit }) => unit !== "KiB")
    .flatMap(({ name, rows, title }) =>
      rows.flatMap(({ subject, toBaseline }) =>
        toBaseline === null || !shown.includes(subject)
          ? []
          : [{ row: `${name}: ${title}`, name: subject, value: toBaseline }]
      )
    )
  return dots(title, `ratio to ${baseline} in the same run`, shown, points)
}

const units = [
  [1024 * 1024, "MiB"],
  [1024, "KiB"]
] as const
const bytes = (value: number): string => {
  const [size, name] = units.find(([size]) => value >= size) ?? [1, "B"]
  return `${value / size} ${name}`
}

/** A curve of each subject, as a plot and a table. */
const growth = (
  name: string,
  points: ReadonlyArray<CaseResult>,
  plot: (name: string, title: string, svg: string) => string
): string => {
  const measured = points.filter(({ rows }) => rows.length > 0)
  const unit = points[0]?.sweep?.unit ?? ""
  const formatX = unit.startsWith("bytes") ? bytes : (x: number) => x.toLocaleString("en")
  const subjects = [...new Set(measured.flatMap(({ rows }) => rows.map(({ subject }) => subject)))]
  const series = subjects.map((subject) => ({
    name: subject,
    points: measured.flatMap(({ rows, sweep }) => {
      const row = rows.find((row) => row.subject === subject)
      return row === undefined || sweep === null ? [] : [{ x: sweep.x, y: row.mean }]
    })
  }))
  const title = `CPU time per message (µs) over ${unit}`
  const rows = measured.map(({ rows, sweep }) => [
    formatX(sweep?.x ?? Number.NaN),
    ...subjects.map((subject) => {
      const row = rows.find((row) => row.subject === subject)
      return row === undefined ? "–" : figure(row.mean)
    })
  ])
  return [
    `### ${name}`,
    `From “${points[0]?.title}” to “${points.at(-1)?.title}”.`,
    ...(measured.length === 0
      ? []
      : [
          plot(name, title, lines(title, { x: unit, format: formatX }, series)),
          markdown([[`${unit}; µs per message`, ...subjects], ...rows])
        ]),
    ...points.flatMap(({ notes, title }) => notes.map((note) => `${title}: ${note}`))
  ].join("\n\n")
}

const codecSection = ({ found: codec, node }: CodecResults): string => {
  const compared = [...groupBy(codec, ({ group }) => group)].flatMap(([group, found]) => {
    const [ours, theirs] = ["ours", "ws"].map((name) => found.find((one) => one.name === name)?.nanos ?? null)
    return typeof ours !== "number" || typeof theirs !== "number"
      ? []
      : [[group, figure(ours), figure(theirs), (ours / theirs).toFixed(2)]]
  })
  const alone = codec.filter(({ name }) => name !== "ours" && name !== "ws")
  return `## The codec, without a network

The figures are nanoseconds per message on Node ${majorOf(node)}, as medians. The benchmark loads the classes of \`ws\` by file, because they are
not part of its API.

${markdown([["", "ours", "ws", "ratio"], ...compared])}

${markdown([["", "ns"], ...alone.map(({ group, name, nanos }) => [`${group} ${name}`, nanos === null ? "–" : figure(nanos)])])}`
}

/** The results, with the cases of another run in place of the same ones. */
const replaced = (results: Results, again: Results): Results => ({
  ...results,
  cases: results.cases.map(
    (one) =>
      again.cases.find(({ name, node, sweep }) => name === one.name && node === one.node && sweep === null) ?? one
  )
})

const command = ({ rounds, seconds }: Results, file: string, ...names: ReadonlyArray<string>): string =>
  `pnpm ${["bench", ...names].join(" ")} --rounds ${rounds} --seconds ${seconds} --json benchmarks/results/${file}.json`

/** `again` is a run of some cases with more rounds. They replace those of the first run. */
export const page = (
  run: Results,
  codec: CodecResults | undefined,
  profiles: string | undefined,
  again?: Results
): Page => {
  const results = again === undefined ? run : replaced(run, again)
  const names = [...new Set(again?.cases.map(({ name }) => name))]
  const plots = new Map<string, string>()
  const plot = (name: string, title: string, svg: string): string => {
    plots.set(name, svg)
    return `![${title}](performance/${name}.svg)`
  }
  const majors = results.nodes.map(majorOf)
  const of = (node: string) => results.cases.filter((one) => one.node === node)
  const single = [
    ...groupBy(
      results.cases.filter(({ sweep }) => sweep === null),
      ({ name }) => name
    )
  ]
  const inHeadline = (name: string) => headlineCases.includes(name)
  const sweeps = groupBy(results.cases, ({ sweep }) => sweep?.name)
  sweeps.delete(undefined)
  const [first = ""] = results.nodes
  const overviewTitle = `CPU time of each case on Node ${majorOf(first)}, as a ratio to ws (to the left is better)`

  const text = `# Performance

This page shows the cost of messages, connections and memory on Node ${majors.join(" and ")}, with the default flags of Node.
One run measures this library's servers and clients on Effect 4 and Effect 3, \`ws\`, \`undici\`, the sockets of Effect, Bun,
and a bare \`node:net\` echo as the lower bound. \`pnpm --filter benchmarks report\` writes this page from the output of:

\`\`\`sh
${[command(run, "run"), ...(again === undefined ? [] : [command(again, "again", ...names)])].join("\n")}
pnpm --filter benchmarks codec --json benchmarks/results/codec.json
\`\`\`

## At a glance

The tables show CPU time per message as a ratio to \`ws\` in the same run, and memory per idle connection as such a ratio.
Less is better. ✓ and ✗ say whether the [targets](#targets) of a figure hold.

${single
  .filter(([name]) => inHeadline(name))
  .map(([name, [one]]) => `- **${name}**: ${one?.title}`)
  .join("\n")}

${results.nodes.map((node) => markdown(headline(of(node)))).join("\n\n")}

${plot(
  "overview",
  overviewTitle,
  overview(
    of(first).filter(({ name }) => inHeadline(name)),
    overviewTitle
  )
)}

- **run**, **receiveAll**, **receive** and **messages** are this library's ways to read, on Effect 4 if the name does not
  say otherwise. **run, borrowed** and **read buffer** are opt-in. **run, observed** has [metrics and spans](observability.md)
  turned on.
- **${baseline}** masks in JavaScript, unless Node has \`http.websocketMask\`, as Node 26.12 does. With **bufferutil** it masks
  natively on every Node.
- **${floor}** echoes bytes without reading frames.
- **Effect 4 sockets** is the socket server of \`@effect/platform-node\` 4, and **@effect/platform** is that of Effect 3.

## Targets

${results.nodes.map((node) => targetSummary(node, of(node))).join("\n\n")}

The highest allowed ratios to \`ws\`, or to \`run\` on the same version of Effect, as \`benchmarks/src/targets.ts\` has them:

${markdown(targetTable)}

If a target is less than 15 % above the ratio of **${floor}** in the same run, or below it, 1.15 times that ratio counts instead.

## How it was measured

${markdown(
  [
    ["", ""],
    ["date", results.date],
    [
      "Node",
      `${results.nodes.join(" and ")}, ${results.singleThreadedGc ? "`--single-threaded-gc`" : "default flags"}`
    ],
    ["machine", `${results.cores} cores of ${results.cpu}, ${results.memoryGibibytes} GiB, ${results.system}`],
    ["load before", `${figure(results.load)}, averaged over a minute`],
    ["rounds", `${run.rounds} of ${run.seconds} s; at most 5 in details, 2 for memory`],
    ...(again === undefined
      ? []
      : [
          [
            names.join(", "),
            `measured again: ${again.rounds} rounds of ${again.seconds} s, load before ${figure(again.load)}`
          ]
        ]),
    ["duration", `${results.minutes.toFixed(0)} minutes`],
    ...Object.entries(results.versions)
  ],
  "---"
)}

- A figure is the CPU time of the measured process per message: user and system time of all its threads, as the operating
  system counts it. So it includes the helper threads of V8's garbage collector and of zlib. In case f it is the time per
  connection.
- In each round all subjects run, one after another. A figure is the mean of the rounds, so that it includes garbage
  collections that only some rounds have. A ratio is the ratio of two means. Absolute figures only show proportions.
- ${noise(results.cases.filter(({ name }) => inHeadline(name)))} With all rounds it is about half of that.
- Before the rounds that count, each process warms up for 1.6 seconds. After that, ratios to \`ws\` no longer fall, except in
  case f, where it is twice that. In details it is half of that.
- In case g each round begins with 17 broadcasts that do not count. After a pause, Linux acknowledges the first 16 segments
  of a connection at once, in the time of the sender. A message then costs up to twice as much, with all subjects.
- In cases c and d the rounds are those of two processes of each subject. In one process, V8's collector marks the heap
  again and again; in another, nearly never. A message then costs up to three times as much.
- Processes are not pinned to cores. The system decides where the program, its helper threads and the load generator run,
  as it does for users. If the program were pinned to one core, its helper threads would compete with it.
- **p50** and **p99** are what a client feels at half load: the load sends at a fixed rate, the same for all subjects, which
  is half of what \`ws\` can do in this case. Cases with more than one message in flight send them in one write. A latency
  counts from the moment at which the message was due. The load generator never sleeps, so on a machine with two cores the
  helper threads share the other core with the program.
- Before the measurement, each server and client that echoes has to send back messages of the case's shape unchanged.
- The load generator is another process. It uses raw sockets, and makes its frames beforehand. If it is as busy as the
  server, more load would have made the batches larger. \`pnpm bench\` prints how busy both were.
- Memory is the additional memory of a process with 5,000 idle connections over one with 100, after a garbage
  collection, per connection. V8's young generation is kept small (\`--max-semi-space-size=1\`), because it grows with
  the rate at which connections are opened, not with their number.

## Cases

${majors.length > 1 ? `The number before a column is the version of Node.\n` : ""}
${single
  .filter(([name]) => inHeadline(name))
  .map(([, results]) => section(results))
  .join("\n\n")}

## Growth

On Node ${majorOf(first)}. Both axes are logarithmic. A linear cost is a straight line. A cost per message that does not change with
the variable is a horizontal line.

${[...sweeps].map(([name, points]) => growth(name ?? "", points, plot)).join("\n\n")}

## Details

On Node ${majorOf(first)}.

${single
  .filter(([name]) => !inHeadline(name))
  .map(([, results]) => section(results))
  .join("\n\n")}

${codec === undefined ? "" : codecSection(codec)}

## What this leaves out

- **TLS**.
- **Real networks**: everything runs over loopback, without loss, delay or small segments.
- **Other machines**, systems and processors: there is one run, on the machine above. \`pnpm bench --node <file>\`
  measures another version of Node.
- **Throughput**: rates depend on the machine and on its other load. \`pnpm bench\` prints them.
- **Real apps**: the handlers only send messages back, and all messages of a case have the same size.
- **Time that is not charged to a process**, such as the time of interrupts, and **kernel memory**, such as the buffers
  of sockets.
- **Topics**, which have [a page of their own](performance/topics.md).
- ${profiles === undefined ? "**Where the remaining time goes**: `pnpm bench a --server run --profiles <folder>` writes CPU profiles." : `**Where the remaining time goes** is in [its own page](${profiles}).`}
`
  return { text, plots }
}
