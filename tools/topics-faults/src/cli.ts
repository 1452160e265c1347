/** `pnpm topics-faults`: random faults of topics, against a model. The seed decides what is drawn, but not the time that it takes. */
import { parseArgs } from "node:util"
import { nats, redis, type Engine } from "./brokers.js"
import { Draw } from "./Draw.js"
import { FaultRun } from "./FaultRun.js"
import { Violation } from "./Model.js"
import type { Settings } from "./programs/protocol.js"
import { Trace } from "./Trace.js"
import { World } from "./World.js"

const { values } = parseArgs({
  options: {
    broker: { type: "string", default: "redis" },
    rounds: { type: "string", default: "200" },
    seed: { type: "string", default: String(Date.now() % 2 ** 31) }
  }
})
const [rounds, seed] = [Number(values.rounds), Number(values.seed)]

interface Kind {
  readonly broker: Settings["broker"]
  readonly counts: { readonly nodes: number; readonly clients: number }
  readonly engine: () => Promise<Engine | undefined>
}

const kinds: Readonly<Record<string, Kind>> = {
  memory: { broker: "memory", counts: { nodes: 1, clients: 3 }, engine: () => Promise.resolve(undefined) },
  // An even seed is one of an engine that keeps its data.
  redis: { broker: "redis", counts: { nodes: 2, clients: 3 }, engine: () => redis(seed % 2 === 0) },
  nats: { broker: "nats", counts: { nodes: 2, clients: 3 }, engine: () => nats(seed % 2 === 0) }
}

const roundsUntilSettled = 10

const main = async (): Promise<number> => {
  const kind = kinds[values.broker]
  if (kind === undefined) throw new Error(`--broker must be one of ${Object.keys(kinds).join(", ")}`)
  const trace = new Trace()
  const engine = await kind.engine()
  const keeps = engine === undefined ? "" : engine.isPersistent ? ", which keeps its data" : ", which loses its data"
  const command = `--broker ${values.broker} --rounds ${rounds} --seed ${seed}`
  console.log(`${command}: ${rounds} rounds over ${values.broker}${keeps}`)
  let run: FaultRun | undefined
  const world = await World.start(kind.broker, engine, kind.counts, (name, told) => run?.told(name, told))
  run = new FaultRun(world, new Draw(seed), trace, engine?.isPersistent ?? false)
  const start = performance.now()
  let round = 0
  try {
    run.begin()
    await run.settle()
    while (round < rounds) {
      trace.add("run", `round ${++round}`)
      await run.round()
      if (round % roundsUntilSettled === 0 || round === rounds) await run.settle()
    }
    const seconds = Math.round((performance.now() - start) / 1000)
    const { acknowledged, elements, faults, gaps, publications } = run.counts
    console.log(
      `${seconds} s: ${faults} faults, ${publications} publications (${acknowledged} acknowledged), ${elements} elements with ${gaps} gaps; presence was right after ${Math.round(run.slowestPresence)} ms at most`
    )
    return 0
  } catch (cause) {
    if (!(cause instanceof Violation)) throw cause
    for (const line of trace.around(cause.subject)) console.log(line)
    console.log(`\n${command}: in round ${round}, ${cause.subject} broke the rule\n${cause.message}`)
    return 1
  } finally {
    await world.stop()
  }
}

process.exitCode = await main()
