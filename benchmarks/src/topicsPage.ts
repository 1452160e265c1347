/** The text of `docs/performance/topics.md`. */
import { majorOf } from "./names.js"
import { markdown } from "./page.js"
import type { CaseResult, Results, Row } from "./results.js"
import { figure, sideBySide, type Table } from "./table.js"

const grouped = (value: number): string => Math.round(value).toLocaleString("en")

const of = (results: Results, name: string): ReadonlyArray<CaseResult> =>
  results.cases.filter((one) => one.name === name)

const notes = (all: ReadonlyArray<CaseResult>): ReadonlyArray<string> => all.flatMap(({ notes }) => notes)

/** Each case with a table of its own. */
const sections = (all: ReadonlyArray<CaseResult>): string =>
  all
    .flatMap((one) => [
      `### ${one.title}`,
      ...(one.rows.length === 0 ? [] : [markdown(sideBySide([one]))]),
      ...one.notes
    ])
    .join("\n\n")

const subjectsOf = (all: ReadonlyArray<CaseResult>): ReadonlyArray<string> => [
  ...new Set(all.flatMap(({ rows }) => rows.map(({ subject }) => subject)))
]

/** A row for each point of a curve, and a column for each subject. */
const growth = (all: ReadonlyArray<CaseResult>, cell: (row: Row, one: CaseResult) => string): string => {
  const subjects = subjectsOf(all)
  const rows = all.map((one) => [
    grouped(one.sweep?.x ?? Number.NaN),
    ...subjects.map((subject) => {
      const row = one.rows.find((row) => row.subject === subject)
      return row === undefined ? "–" : cell(row, one)
    })
  ])
  return [markdown([[all[0]?.sweep?.unit ?? "", ...subjects], ...rows]), ...notes(all)].join("\n\n")
}

const redisColumns: Table[number] = ["", "CPU µs each", "per second and core", "Redis µs each", "p50 ms", "p99 ms"]

/** What one message costs the processes and Redis. */
const overRedis = (one: CaseResult): string => {
  const rows = one.rows.map(({ latency, mean, redis, subject }) => [
    subject,
    figure(mean),
    grouped(1_000_000 / mean),
    redis === null ? "" : figure(redis),
    latency === null ? "" : figure(latency.p50),
    latency === null ? "" : figure(latency.p99)
  ])
  return [`### ${one.title}`, ...(rows.length === 0 ? [] : [markdown([redisColumns, ...rows])]), ...one.notes].join(
    "\n\n"
  )
}

export const topicsPage = (results: Results): string => {
  const members = of(results, "topics-members")
  const versions = ["ws", "bun", "socket.io", "@socket.io/redis-streams-adapter", "effect 4"]
  return `# Performance of topics

What it costs to publish to a [topic](../topics.md), on Node ${results.nodes.map(majorOf).join(" and ")} with default flags. All subjects take turns in one run, so
compare the ratios: absolute figures only show proportions. \`pnpm --filter benchmarks report\` writes this page from
\`benchmarks/results/topics.json\`, the output of:

\`\`\`sh
pnpm bench topics --node 24 --rounds ${results.rounds} --seconds ${results.seconds} --json benchmarks/results/topics.json
\`\`\`

- **topics**: \`attach\` and \`publish\` of this library on Effect 4, with a history of 1,000 publications. **run**: \`WebSocket.broadcast\`,
  without topics.
- **ws**: a loop over a set, in which each \`send\` gets the same buffer. **Bun**: \`subscribe\` and \`publish\`. **Socket.IO**: rooms, over
  WebSockets only. **raw net**: a loop that writes the same bytes to bare sockets.
- Each member is a raw socket of another process, which only counts messages. A server has to deliver unchanged messages before
  it is measured.
- CPU is that of the server per delivered message: all its threads, and the system calls. p50 and p99 are the time from one publish
  until the last member has received it. The next publish follows then.

## Publishing

${sections(of(results, "topics-publish"))}

## Growth

CPU time of one publication, in µs, over the number of members of its topic:

${growth(members, ({ mean }, { sweep }) => grouped(mean * (sweep?.x ?? Number.NaN)))}

CPU time of one delivery, in µs, if 10,000 members are spread over more and more topics, and each topic is published to. The cost of a
publication itself shows at the end, when each has one member:

${growth(of(results, "topics-count"), ({ mean }) => figure(mean))}

## Memory

Bytes of JavaScript's heap and of what it owns. For Bun, it is resident memory.

${sections([...of(results, "topics-first"), ...of(results, "topics-memory")])}

## Over Redis

The CPU time of both processes together for each message, and that of Redis. Socket.IO uses \`@socket.io/redis-streams-adapter\`.

${[...of(results, "topics-redis"), ...of(results, "topics-recovery")].map(overRedis).join("\n\n")}

In the recovery, CPU is that of both processes while a client comes back, and p50 and p99 are the time until it has all messages.

## How it was measured

${markdown([
  ["", ""],
  ["date", results.date],
  ["Node", results.nodes.join(" and ")],
  ["machine", `${results.cores} cores of ${results.cpu}, ${results.memoryGibibytes} GiB, ${results.system}`],
  ["load before", `${figure(results.load)}, averaged over a minute`],
  ["rounds", `at most ${results.rounds} of ${results.seconds} s`],
  ...versions.flatMap((name) => {
    const version = results.versions[name]
    return version === undefined ? [] : [[name, version]]
  })
])}

The [other cases](../performance.md) say more about how costs are measured.
`
}
