/**
 * `pnpm --filter benchmarks report`: writes `docs/performance.md` and its plots from the files that `pnpm bench --json` and
 * `pnpm --filter benchmarks codec --json` wrote to `benchmarks/results`, and `docs/performance/topics.md` from that of
 * `pnpm bench topics --json`. The cases of `again.json`, if it is there, replace those of `run.json`. A page whose file is missing
 * stays as it is.
 */
import { Schema } from "effect"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { format, resolveConfig } from "prettier"
import { page } from "./page.js"
import { CodecResults, Results } from "./results.js"
import { topicsPage } from "./topicsPage.js"

const fileOf = (name: string): string => `benchmarks/results/${name}.json`
const read = <A, I>(name: string, schema: Schema.Schema<A, I>): A =>
  Schema.decodeUnknownSync(Schema.parseJson(schema))(readFileSync(fileOf(name), "utf8"))

const write = async (file: string, text: string): Promise<void> =>
  writeFileSync(file, await format(text, { ...(await resolveConfig(file)), parser: "markdown" }))

mkdirSync("docs/performance", { recursive: true })
if (existsSync(fileOf("run"))) {
  const results = read("run", Results)
  if (results.singleThreadedGc) throw new Error(`${fileOf("run")} was measured with --single-threaded-gc`)
  const codec = existsSync(fileOf("codec")) ? read("codec", CodecResults) : undefined
  const profiles = "performance/remaining-time.md"
  const again = existsSync(fileOf("again")) ? read("again", Results) : undefined
  const { plots, text } = page(results, codec, existsSync(`docs/${profiles}`) ? profiles : undefined, again)
  for (const [name, svg] of plots) writeFileSync(`docs/performance/${name}.svg`, svg)
  await write("docs/performance.md", text)
}
if (existsSync(fileOf("topics"))) await write("docs/performance/topics.md", topicsPage(read("topics", Results)))
